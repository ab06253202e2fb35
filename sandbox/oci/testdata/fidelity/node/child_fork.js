const { fork } = require('child_process');
if (process.argv[2] === 'child') {
  process.on('message', (m) => {
    process.send({ got: m, connected: process.connected, main: require.main === module });
    process.disconnect();
  });
} else {
  const c = fork(__filename, ['child']);
  c.on('message', (m) => console.log(m));
  c.on('exit', (code, signal) => console.log('exit', code, signal));
  c.send({ a: [1] });
}
