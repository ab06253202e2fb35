'use strict';
const fs = require('fs');

// Prints what comes of attempt.
exports.report = (attempt) => {
  try {
    const what = attempt();
    console.log(what === undefined ? 'ESCAPED' : `ESCAPED ${what}`);
  } catch (e) {
    console.log('CONTAINED', e.code || e.message);
  }
};

// Returns the address at which the host listens.
exports.listener = () => {
  const [host, port] = process.argv[2].split(':');
  return { host, port: Number(port) };
};

// Reports whether path can be read and tells anything.
exports.leak = (path, tells = (data) => data.length > 0) => {
  exports.report(() => {
    const fd = fs.openSync(path);
    const data = Buffer.alloc(1 << 16);
    const n = fs.readSync(fd, data);
    if (!tells(data.subarray(0, n))) throw new Error('it tells nothing');
  });
};

// Writes what a file says back to it.
exports.rewrite = (path) => fs.writeFileSync(path, fs.readFileSync(path));

// Writes text to a descriptor so many times, also where that may block.
exports.flood = (fd, text, times) => {
  const data = Buffer.from(text);
  for (let done = 0; done < times * data.length;) {
    try {
      done += fs.writeSync(fd, data, done % data.length);
    } catch (e) {
      if (e.code !== 'EAGAIN') throw e;
    }
  }
};
