process.on('exit', () => {
  process.on('exit', () => console.log('too late'));
  console.log(process._exiting, process.exitCode);
});
