Promise.resolve().then(() => process.exit(4));
setTimeout(() => console.log('never'), 0);
console.log('sync');
