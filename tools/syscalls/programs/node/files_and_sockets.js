// What Node's own modules do with files, sockets and processes.
const fs = require('node:fs');
const fsp = require('node:fs/promises');
const http = require('node:http');
const net = require('node:net');
const os = require('node:os');
const zlib = require('node:zlib');
const crypto = require('node:crypto');
const { execFile, spawn, fork } = require('node:child_process');
const { once } = require('node:events');

const attempt = async (name, f) => {
  try { await f(); } catch (error) { console.log(name, error.code ?? error.message); }
};

async function files() {
  await fsp.mkdir('a/b', { recursive: true });
  await fsp.writeFile('a/f', 'x'.repeat(100000));
  await fsp.appendFile('a/f', 'y');
  await fsp.copyFile('a/f', 'a/g', fs.constants.COPYFILE_FICLONE);
  await fsp.cp('a', 'c', { recursive: true });
  await fsp.rename('a/g', 'a/h');
  await fsp.link('a/h', 'a/i');
  await fsp.symlink('h', 'a/j');
  await fsp.realpath('a/j');
  await fsp.utimes('a/h', 1, 1);
  await fsp.lutimes('a/j', 1, 1);
  await fsp.chmod('a/h', 0o600);
  await fsp.chown('a/h', process.getuid(), process.getgid());
  await fsp.lchown('a/j', process.getuid(), process.getgid());
  await fsp.truncate('a/h', 10);
  await fsp.statfs('.');
  await fsp.access('a/h', fs.constants.R_OK);
  await fsp.mkdtemp('t');
  const handle = await fsp.open('a/h', 'r+');
  for (const f of ['sync', 'datasync', 'stat']) await handle[f]();
  await handle.writev([Buffer.from('a'), Buffer.from('b')], 0);
  await handle.readv([Buffer.alloc(1)], 0);
  await handle.close();
  for await (const entry of await fsp.opendir('.')) entry.name;
  fs.createReadStream('a/f').pipe(fs.createWriteStream('a/k'));
  const watcher = fs.watch('a');
  await attempt('watch', async () => { setTimeout(() => fs.writeFileSync('a/w', ''), 10); await once(watcher, 'change'); });
  watcher.close();
  fs.watchFile('a/w', { interval: 10 }, () => {});
  fs.unwatchFile('a/w');
  await fsp.rm('c', { recursive: true });
}

async function sockets() {
  const server = http.createServer((req, res) => res.end(zlib.gzipSync('hello'))).listen('http.sock');
  await once(server, 'listening');
  await new Promise((resolve) => http.get({ socketPath: 'http.sock', path: '/' }, (res) => res.on('data', () => {}).on('end', resolve)));
  server.close();
  const echo = net.createServer((s) => s.pipe(s)).listen('\0abstract');
  await once(echo, 'listening');
  const client = net.connect('\0abstract');
  client.resume().end('x');
  await once(client, 'close');
  echo.close();
  await attempt('tcp', () => once(net.createServer().listen(0), 'listening'));
  await attempt('dns', () => require('node:dns/promises').lookup('example.com'));
  await attempt('dns', () => require('node:dns/promises').resolve('example.com'));
  await attempt('udp', () => once(require('node:dgram').createSocket('udp4').bind(0), 'listening'));
}

async function processes() {
  await new Promise((resolve) => execFile('sh', ['-c', 'cat /proc/self/status; ls -la'], resolve));
  const piped = spawn('cat', { stdio: ['pipe', 'pipe', 'inherit'], detached: true });
  piped.stdin.end('x');
  await once(piped, 'close');
  const child = fork(__filename, ['child']);
  child.send({ a: 1 });
  await once(child, 'exit');
  spawn('sleep', ['10']).kill('SIGTERM');
  await attempt('priority', () => os.setPriority(5));
  for (const f of ['cpus', 'loadavg', 'networkInterfaces', 'userInfo', 'uptime', 'totalmem', 'version', 'getPriority', 'availableParallelism']) {
    await attempt(f, () => os[f]());
  }
  for (const f of ['resourceUsage', 'memoryUsage', 'constrainedMemory', 'availableMemory', 'getgroups', 'umask', 'hrtime']) process[f]();
  await attempt('setuid', () => process.setuid(process.getuid()));
  await attempt('title', () => { process.title = 'x'; });
  await attempt('chdir', () => process.chdir('a'));
}

async function main() {
  if (process.argv[2] === 'child') return process.once('message', () => process.exit());
  await files();
  await sockets();
  await processes();
  await new Promise((resolve) => crypto.scrypt('a', 'b', 32, resolve));
  await new Promise((resolve) => crypto.generateKeyPair('ed25519', resolve));
  await new Promise((resolve) => zlib.brotliCompress('x'.repeat(1e5), resolve));
  require('node:v8').setFlagsFromString('--expose-gc');
  require('node:v8').writeHeapSnapshot();
  process.exit();
}

main();
