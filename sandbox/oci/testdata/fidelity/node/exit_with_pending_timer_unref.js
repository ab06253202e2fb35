setTimeout(() => console.log('never'), 5000).unref();
setInterval(() => {}, 1000).unref();
process.stdin.unref?.();
console.log('done');
