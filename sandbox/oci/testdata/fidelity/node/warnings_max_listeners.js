const { EventEmitter } = require('events');
const e = new EventEmitter();
for (let i = 0; i < 11; i++) e.on('x', () => {});
for (let i = 0; i < 12; i++) process.on('exit', () => {});
