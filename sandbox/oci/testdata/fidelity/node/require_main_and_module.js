console.log(require.main === module, module.id, module.filename, module.loaded, module.parent, module.path);
console.log(module.paths, __filename, __dirname, require.resolve.paths('x'), Object.keys(require));
console.log(module.children.length, Object.keys(require.cache), require.cache[__filename] === module);
console.log(Object.keys(module), this === module.exports, arguments.length, require.main.children);
