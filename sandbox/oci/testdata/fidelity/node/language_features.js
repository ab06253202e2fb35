const o = { a: { b: 1 }, *gen() { yield* [1, 2]; }, async *[Symbol.asyncIterator]() { yield 'x'; } };
console.log(o?.a?.b, [...o.gen()], 2n ** 70n, [3, 1, 2].toSorted(), Object.groupBy([1, 2, 3], (n) => (n % 2 ? 'odd' : 'even')));
(async () => { for await (const x of o) console.log(x); })();
label: for (const i of [1, 2]) for (const j of [1]) { if (i === 1) continue label; console.log(i, j); }
console.log([1, 2, 3].at(-1), 'abc'.replaceAll('b', '$&$&'), /(?<y>\d{4})/.exec('2024').groups, new Set([1]).union?.(new Set([2])));
