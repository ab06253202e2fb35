process.on('exit', (code) => console.log('exit', code));
setTimeout(function later() {
  throw new Error('in a timer');
}, 1);
