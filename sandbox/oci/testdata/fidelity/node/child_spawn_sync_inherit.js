const { spawnSync, execSync } = require('child_process');
console.log('before');
const r = spawnSync('sh', ['-c', 'cat; echo err >&2; exit 3'], { stdio: 'inherit' });
console.log(r.status, r.signal);
console.log(execSync('echo from exec').toString(), spawnSync('false').status, spawnSync('no-such-command').error.code);
console.log(spawnSync('sh', ['-c', 'kill -9 $$']).signal);
try { execSync('echo told; exit 4', { stdio: 'pipe' }); } catch (e) { console.log(e.status, e.message, e.stdout); }
