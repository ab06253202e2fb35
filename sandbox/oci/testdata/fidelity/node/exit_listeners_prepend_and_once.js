process.once('exit', () => console.log('once'));
process.on('exit', () => console.log('second'));
process.prependListener('exit', () => console.log('first'));
process.prependOnceListener('exit', function () {
  console.log('zeroth', this === process, process.listenerCount('exit'), process.eventNames());
});
