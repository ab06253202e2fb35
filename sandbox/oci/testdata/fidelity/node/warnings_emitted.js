process.emitWarning('careful');
process.emitWarning('named', 'MyWarning', 'M001');
process.emitWarning('detailed', { type: 'T', detail: 'more about it' });
process.on('warning', (w) => console.log('listener', w.name, w.message, w.code));
