const emit = process.emit;
process.emit = function (name, ...args) {
  if (name !== 'newListener') console.log('emit', name, args.length);
  return Reflect.apply(emit, this, [name, ...args]);
};
