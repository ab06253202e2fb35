process.once('beforeExit', (code) => console.log('beforeExit', code));
