console.log(Object.getOwnPropertyDescriptor(process, 'stdin').get.name, Object.getOwnPropertyDescriptor(process, 'stdout').get.name);
console.log(require('module').builtinModules.length, require('module').globalPaths, process.sourceMapsEnabled, require('module')._extensions);
