require('fs').readFileSync('missing.txt');
