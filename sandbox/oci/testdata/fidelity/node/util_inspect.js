const util = require('util');
class Point { constructor() { this.x = 1; this.self = this; } get y() { return 2; } }
console.log(new Point(), [new Map([[{ a: 1 }, new Set([1])]]), new Proxy({}, {}), function f() {}, class A extends Point {}]);
console.log(util.inspect('a\'b'), util.inspect(new Array(200).fill(1)), util.inspectDefaultOptions ?? util.inspect.defaultOptions);
console.log(util.format('%s', { toString() { return 'custom'; } }), util.types.isProxy(new Proxy({}, {})), util.inspect(Promise.resolve(4)));
console.log(new Date(0), /re/g, new Error('e').message, Buffer.from('hi'), new Uint8Array(3), globalThis === global);
console.log({ [util.inspect.custom]: () => 'inspected' }, util.styleText('red', 'x'), util.stripVTControlCharacters('\u001b[31mx'));
