const domain = require('domain').create();
domain.on('error', (e) => console.log('domain', e.message));
domain.run(() => {
  setTimeout(() => {
    throw new Error('inside');
  }, 1);
});
