const vm = require('vm');
console.log(vm.runInNewContext('x + 1', { x: 41 }), vm.runInThisContext('typeof require'), eval('__filename'));
console.log(new Function('return typeof module')(), vm.isContext({}));
vm.runInThisContext('throw new Error("in vm")', { filename: 'made-up.js' });
