process.emit('error', new Error('nobody listens'));
