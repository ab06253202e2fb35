const fs = require('fs');
for (let i = 0; i < 3; i++) {
  console.log('out', i);
  console.error('err', i);
  fs.writeSync(1, 'raw\n');
  process.stdout.write('no newline ');
}
