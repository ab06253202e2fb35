import readline from 'node:readline';
for await (const line of readline.createInterface({ input: process.stdin, crlfDelay: Infinity })) console.log(line.length);
