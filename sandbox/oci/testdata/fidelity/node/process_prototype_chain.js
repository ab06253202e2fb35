const proto = Object.getPrototypeOf(process);
console.log(Object.getOwnPropertyDescriptors(proto), Object.getPrototypeOf(proto) === require('events').prototype);
for (const name in proto) if (name.startsWith('e')) console.log(name);
