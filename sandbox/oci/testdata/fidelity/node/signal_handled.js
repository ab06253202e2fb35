process.on('SIGTERM', (name, number) => {
  console.log(name, number);
  clearTimeout(t);
});
process.once('SIGUSR2', () => { console.log('usr2'); process.kill(process.pid, 'SIGTERM'); });
const t = setTimeout(() => {}, 5000);
process.kill(process.pid, 'SIGUSR2');
