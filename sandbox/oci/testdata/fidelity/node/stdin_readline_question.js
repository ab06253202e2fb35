const rl = require('readline/promises').createInterface({ input: process.stdin, output: process.stdout });
(async () => {
  console.log('hello', await rl.question('name? '));
  rl.close();
})();
