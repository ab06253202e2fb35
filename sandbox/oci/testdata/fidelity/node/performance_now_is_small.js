const { performance } = require('perf_hooks');
setTimeout(() => console.log(performance.now() > 50, process.uptime() > 0.05), 60);
