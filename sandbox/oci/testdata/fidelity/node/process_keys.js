console.log(Object.keys(process), Object.getOwnPropertyNames(process).sort());
console.log(process.toString(), Object.prototype.toString.call(process));
