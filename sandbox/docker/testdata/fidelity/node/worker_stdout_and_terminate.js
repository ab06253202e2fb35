const { Worker } = require('worker_threads');
const w = new Worker('console.log("from the worker"); console.error("err"); setInterval(() => {}, 1000)', { eval: true });
setTimeout(() => w.terminate().then((code) => console.log('terminated', code)), 300);
