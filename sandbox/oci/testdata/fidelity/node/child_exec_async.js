const { exec, execFile, spawn } = require('child_process');
const { promisify } = require('util');
(async () => {
  console.log(await promisify(exec)('echo out; echo err >&2'));
  await promisify(execFile)('sh', ['-c', 'exit 5']).catch((e) => console.log(e.code, e.cmd, e.message));
  const c = spawn('cat', { stdio: ['pipe', 'inherit', 'inherit'] });
  c.stdin.end('through cat\n');
  c.on('close', (code) => console.log('closed', code));
})();
