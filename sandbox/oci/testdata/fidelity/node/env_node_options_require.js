console.log(globalThis.fromPreload, process.execArgv, Object.keys(require.cache));
