import { setTimeout as sleep } from 'node:timers/promises';
process.exitCode = 5;
await sleep(1);
process.on('exit', (c) => console.log('exit', c));
