const { EventEmitter, once, on, captureRejectionSymbol } = require('events');
const e = new EventEmitter({ captureRejections: true });
console.log(EventEmitter.defaultMaxListeners, EventEmitter.captureRejections, Object.keys(e));
once(e, 'x').then((v) => console.log('once', v));
e.on('error', (err) => console.log('rejected', err.message));
e.on('y', async () => { throw new Error('async listener'); });
e.emit('x', 1);
e.emit('y');
