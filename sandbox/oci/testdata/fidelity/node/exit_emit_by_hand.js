process.on('mine', (x) => console.log('mine', x));
console.log(process.emit('mine', 1), process.emit('nobody'));
console.log(process.emit === require('events').prototype.emit, process.hasOwnProperty('emit'));
console.log(process.emit('exit', 5));
