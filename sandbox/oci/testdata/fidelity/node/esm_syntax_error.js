import fs from 'node:fs';
const = 1;
