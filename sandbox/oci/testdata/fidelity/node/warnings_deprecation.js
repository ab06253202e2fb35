new Buffer(1);
require('util').deprecate(() => {}, 'old thing', 'DEP_MINE')();
require('url').parse('http://[::1]x/');
process.emitWarning('again', 'DeprecationWarning', 'DEP_MINE');
