console.log(Object.keys(process.memoryUsage()), Object.keys(process.resourceUsage()).length, Object.keys(process.cpuUsage()));
console.log(require('v8').getHeapStatistics().number_of_native_contexts, typeof gc, process.availableMemory() > 0, process.constrainedMemory() > 0);
