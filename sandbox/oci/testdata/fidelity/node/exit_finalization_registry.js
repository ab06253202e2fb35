const registry = new FinalizationRegistry((name) => console.log('collected', name));
registry.register({}, 'thing');
const ref = new WeakRef({ a: 1 });
console.log(typeof ref.deref());
