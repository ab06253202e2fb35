console.log(require('fs').readFileSync('/dev/stdin').toString());
require('fs').writeFileSync('/dev/stdout', 'by path\n');
