const m = require('./lib.mjs');
console.log(m.default, m.named, require.cache[require.resolve('./lib.mjs')] !== undefined);
