process.exitCode = '9';
console.log(typeof process.exitCode);
