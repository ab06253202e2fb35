const Module = require('module');
console.log(Object.keys(Module).sort(), Object.keys(Module._pathCache), Module._preloadModules);
console.log(Object.keys(Module._cache), Module.wrap('x'), Module._load.name, module.constructor === Module);
