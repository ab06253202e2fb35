process.stdout.write(Buffer.from([0xff, 0xfe, 0x20, 0x80, 0x0a, 0x00]));
process.stdout.write('\ud800 lone\n');
console.log('é 日本語 😀');
console.error('\u0007 bell');
