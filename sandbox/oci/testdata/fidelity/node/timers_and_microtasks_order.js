setTimeout(() => console.log('timeout'), 0);
setImmediate(() => console.log('immediate'));
process.nextTick(() => console.log('tick'));
Promise.resolve().then(() => console.log('microtask'));
queueMicrotask(() => { console.log('queued'); process.nextTick(() => console.log('tick in microtask')); });
(async () => { await null; console.log('await'); })();
require('fs').stat('.', () => console.log('stat'));
console.log('sync');
