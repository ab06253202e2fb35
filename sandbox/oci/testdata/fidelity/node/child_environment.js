const { execSync } = require('child_process');
console.log(execSync('env').toString().trim().split('\n').sort().join('\n'));
