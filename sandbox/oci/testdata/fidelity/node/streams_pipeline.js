const { Readable, Transform } = require('stream');
const { pipeline } = require('stream/promises');
const zlib = require('zlib');
const upper = new Transform({ transform(c, _, done) { done(null, c.toString().toUpperCase()); } });
pipeline(Readable.from(['a', 'b']), upper, zlib.createGzip(), zlib.createGunzip(), process.stdout, { end: false })
  .then(() => console.log('|done'));
