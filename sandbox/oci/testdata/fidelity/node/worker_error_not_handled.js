const { Worker } = require('worker_threads');
new Worker('throw new RangeError("in the worker")', { eval: true });
