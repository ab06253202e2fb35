const fs = require('fs');
fs.writeSync(1, 'first\n');
const out = fs.createWriteStream(null, { fd: 1, autoClose: false });
out.write('through a stream\n');
out.end('and its end\n');
process.stdout.write('last\n', () => console.log('drained'));
