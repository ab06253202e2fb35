// Modules of Node that touch the kernel in ways of their own.
const attempt = (name, f) => { try { f(); } catch (error) { console.log(name, error.message); } };

attempt('sqlite', () => {
  const { DatabaseSync } = require('node:sqlite');
  const db = new DatabaseSync('db');
  db.exec('pragma journal_mode=wal; create table t (a); insert into t values (1)');
  db.close();
});
attempt('inspector', () => {
  const { Session } = require('node:inspector');
  const session = new Session();
  session.connect();
  session.post('Profiler.enable');
  session.post('Profiler.start', () => session.post('Profiler.stop', () => session.disconnect()));
});
attempt('report', () => process.report.writeReport('report.json'));
attempt('wasi', () => { const { WASI } = require('node:wasi'); new WASI({ version: 'preview1', preopens: { '/': '.' } }); });
attempt('workers', () => {
  const { Worker } = require('node:worker_threads');
  for (let i = 0; i < 3; i += 1) new Worker('Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 10)', { eval: true });
});
