const { spawn } = require('child_process');
spawn('sleep', ['60'], { detached: true, stdio: 'ignore' }).unref();
console.log('left it behind');
