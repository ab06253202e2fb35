const { Worker } = require('worker_threads');
const w = new Worker('console.log("from the worker"); console.error("err"); setInterval(() => {}, 1000); require("worker_threads").parentPort.postMessage("up")', { eval: true });
w.once('message', () => setTimeout(() => w.terminate().then((code) => console.log('terminated', code)), 300));
