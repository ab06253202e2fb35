process.on('uncaughtExceptionMonitor', (e, origin) => console.log('monitor', e.message, origin));
process.on('uncaughtException', (e, origin) => {
  console.log('uncaught', e.message, origin);
  setTimeout(() => console.log('goes on'), 1);
});
Promise.reject(new Error('rejected'));
throw new Error('thrown');
