const e = new Error('outer', { cause: new RangeError('inner') });
e.code = 'E_MINE';
e.details = { a: [1, 2] };
throw e;
