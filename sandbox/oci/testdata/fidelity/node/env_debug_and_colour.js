console.log({ a: 1 }, [null]);
console.error(new Map([[1, 'x']]), require('util').styleText('green', 'styled'));
