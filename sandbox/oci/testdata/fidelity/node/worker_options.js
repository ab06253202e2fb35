const { Worker, SHARE_ENV, setEnvironmentData, getEnvironmentData } = require('worker_threads');
setEnvironmentData('k', 'v');
process.env.SHARED = 'yes';
const code = `const { parentPort, getEnvironmentData } = require('worker_threads');
process.env.FROM_WORKER = '1';
parentPort.postMessage([process.env.A, process.env.SHARED, process.execArgv, getEnvironmentData('k')]);`;
const run = (options) => new Promise((resolve) => {
  const w = new Worker(code, { eval: true, ...options });
  w.on('message', (m) => console.log(m)).on('exit', resolve);
});
(async () => {
  await run({ env: { A: '1' } });
  await run({ env: SHARE_ENV, execArgv: ['--no-warnings'] });
  console.log(process.env.FROM_WORKER);
})();
