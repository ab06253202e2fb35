const { add } = require('./add.ts');
console.log(add(1, 2));
