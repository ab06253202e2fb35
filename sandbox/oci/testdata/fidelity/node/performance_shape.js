const { performance, PerformanceObserver, monitorEventLoopDelay } = require('perf_hooks');
console.log(performance === globalThis.performance, Object.keys(performance.toJSON()), Object.keys(performance.nodeTiming));
console.log(performance.getEntries(), performance.mark('m').name, performance.now() < 5000, process.uptime() < 5, performance.timeOrigin > 1e12);
console.log(PerformanceObserver.supportedEntryTypes, performance.eventLoopUtilization().active >= 0, typeof process.hrtime.bigint());
