require('fs').readFileSync(__filename);
console.log(require('util').debuglog('mine').enabled, require('util').debuglog('other').enabled);
