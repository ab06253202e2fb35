const { Worker, MessageChannel } = require('worker_threads');
const shared = new Int32Array(new SharedArrayBuffer(4));
const w = new Worker(`const { workerData } = require('worker_threads');
Atomics.add(workerData, 0, 5); Atomics.notify(workerData, 0);`, { eval: true, workerData: shared });
w.on('exit', () => console.log(shared[0]));
const { port1, port2 } = new MessageChannel();
port2.once('message', (m) => { console.log(m); port2.close(); });
port1.postMessage(new Map([[1, new Set(['a'])]]));
