const b = Buffer.from('héllo €', 'utf8');
console.log(b, b.toString('base64'), b.toString('latin1'), Buffer.concat([b, Buffer.alloc(2)]).length, Buffer.poolSize);
console.log(new TextDecoder('utf-16le').decode(new Uint8Array([65, 0, 66, 0])), new TextEncoder().encode('é'));
console.log(new TextDecoder('windows-1252').decode(new Uint8Array([0x80])), atob('aGk='), btoa('hi'));
console.log(Buffer.allocUnsafe(8).byteOffset % 8, Buffer.from('x').buffer.byteLength);
new TextDecoder('utf-8', { fatal: true }).decode(new Uint8Array([0xff]));
