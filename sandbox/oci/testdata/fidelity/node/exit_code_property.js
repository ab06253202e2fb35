process.exitCode = 7;
console.log('set', process.exitCode);
