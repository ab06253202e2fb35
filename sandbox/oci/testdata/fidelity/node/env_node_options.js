console.log(process.env.NODE_OPTIONS, process.execArgv, process.argv, Object.keys(require.cache), process.title);
console.log(new Error('limited').stack.split('\n').length, module.children.length, process.listenerCount('warning'));
