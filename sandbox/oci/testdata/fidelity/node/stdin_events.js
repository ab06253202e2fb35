let n = 0;
process.stdin.on('data', (c) => { n += c.length; console.log(Buffer.isBuffer(c)); });
process.stdin.on('end', () => console.log('end', n));
process.stdin.on('close', () => console.log('close'));
