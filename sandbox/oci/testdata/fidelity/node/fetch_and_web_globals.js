console.log(typeof fetch, typeof Request, typeof WebSocket, typeof Blob, typeof FormData, typeof ReadableStream, typeof crypto.subtle);
console.log(new Headers({ a: 'b' }), new Response('x').status, fetch.name);
new Blob(['text']).text().then(console.log);
new Response('{"a":1}').json().then(console.log);
