const { Worker } = require('worker_threads');
const w = new Worker('throw new RangeError("in the worker")', { eval: true });
w.on('error', (e) => console.log('error', e.name, e.message, e.stack.split('\n')[1]));
w.on('exit', (code) => console.log('exit', code));
