process.on('exit', (code) => {
  console.log('exit', code);
  process.exit(code + 1);
});
process.exitCode = 3;
