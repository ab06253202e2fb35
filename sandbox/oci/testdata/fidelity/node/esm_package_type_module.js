import { join } from 'path';
console.log(join('a', 'b'), import.meta.filename);
