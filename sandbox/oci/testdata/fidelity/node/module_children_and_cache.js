const a = require('./a');
console.log(a.main, module.children.map((m) => m.id), Object.keys(require.cache));
console.log(require('./a') === a, require('./data.json'), require('./folder').name);
console.log(module.children.map((m) => m.loaded), module.children[0].parent === module);
delete require.cache[require.resolve('./a')];
console.log(require('./a') === a);
