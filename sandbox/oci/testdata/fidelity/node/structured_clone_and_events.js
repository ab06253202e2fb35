console.log(structuredClone({ a: new Date(0), b: new Map([[1, [2]]]), c: /x/ }));
const target = new EventTarget();
target.addEventListener('x', (e) => console.log(e.type, e instanceof Event), { once: true });
target.dispatchEvent(new Event('x'));
new BroadcastChannel('c').close();
structuredClone(() => {});
