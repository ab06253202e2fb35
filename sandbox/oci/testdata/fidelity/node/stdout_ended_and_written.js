process.stdout.on('error', (e) => process.stderr.write(e.code + '\n'));
process.stdout.end('last\n');
console.log('after end');
