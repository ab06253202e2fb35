require('fs').closeSync(1);
console.log('nowhere');
process.stderr.write('still here\n');
