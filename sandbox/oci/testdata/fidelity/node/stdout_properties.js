for (const s of [process.stdout, process.stderr, process.stdin]) {
  console.log(s.fd, s.isTTY, s.constructor.name, s.writableHighWaterMark, s.readable, s.writable, s.columns, s._type);
}
console.log(process.stdout._isStdio, process.stdout.listenerCount('error'), process.stdout.getColorDepth);
