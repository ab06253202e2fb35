const { spawnSync } = require('child_process');
const r = spawnSync(process.execPath, ['child.js', 'a'], { encoding: 'utf8' });
console.log(r.stdout, r.stderr, r.status);
