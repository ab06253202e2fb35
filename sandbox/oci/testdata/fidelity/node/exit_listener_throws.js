process.on('exit', () => console.log('before'));
process.on('exit', () => {
  throw new Error('in the exit listener');
});
process.on('exit', () => console.log('never'));
