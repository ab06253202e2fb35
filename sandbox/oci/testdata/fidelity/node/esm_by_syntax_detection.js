import fs, { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
console.log(import.meta.url, import.meta.filename, import.meta.dirname, import.meta.main, typeof require, this);
console.log(readFileSync === fs.readFileSync, createRequire(import.meta.url)('os').EOL, import.meta.resolve('./x.mjs'));
export const x = 1;
