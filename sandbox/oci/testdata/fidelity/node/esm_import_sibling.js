import value, { name } from './sibling.mjs';
import cjs from './common.cjs';
import data from './data.json' with { type: 'json' };
console.log(value, name, cjs, data, Object.keys(await import('./sibling.mjs')));
