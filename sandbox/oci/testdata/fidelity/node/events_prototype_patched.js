const { EventEmitter } = require('events');
const emit = EventEmitter.prototype.emit;
EventEmitter.prototype.emit = function (name, ...args) {
  if (this === process) require('fs').writeSync(1, `process emits ${String(name)}\n`);
  return emit.call(this, name, ...args);
};
console.log('end');
