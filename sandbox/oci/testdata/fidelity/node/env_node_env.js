console.log(process.env.NODE_ENV, process.execArgv, process.argv.length);
