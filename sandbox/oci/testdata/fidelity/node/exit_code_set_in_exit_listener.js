process.on('exit', () => {
  process.exitCode = 12;
});
console.log('end');
