console.log(Object.getOwnPropertyNames(globalThis));
console.log(Object.keys(globalThis), Object.getOwnPropertyNames(Object.getPrototypeOf(globalThis)), typeof navigator, typeof localStorage);
