const { EventEmitter } = require('events');
const e = new EventEmitter();
e.on('x', () => {
  undefinedFunction();
});
process.nextTick(() => e.emit('x'));
