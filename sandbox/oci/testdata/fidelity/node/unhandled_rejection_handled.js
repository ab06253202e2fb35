process.on('unhandledRejection', (reason, promise) => {
  console.log('unhandled', reason.message, promise instanceof Promise);
  promise.catch(() => console.log('late'));
});
process.on('rejectionHandled', () => console.log('handled'));
process.on('warning', (w) => console.log('warning', w.name));
Promise.reject(new Error('x'));
