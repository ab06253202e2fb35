const { Worker, isMainThread, parentPort, workerData, threadId } = require('worker_threads');
if (isMainThread) {
  const w = new Worker(__filename, { workerData: { n: 20 }, argv: ['extra'] });
  w.on('message', (m) => console.log(m));
  w.on('exit', (code) => console.log('worker exit', code, threadId));
} else {
  parentPort.postMessage({
    n: workerData.n + 1, argv: process.argv, execArgv: process.execArgv, options: process.env.NODE_OPTIONS,
    env: Object.keys(process.env).sort(), cache: Object.keys(require.cache), main: require.main === module,
  });
  process.exit(3);
}
