const crypto = require('crypto');
console.log(crypto.createHash('sha256').update('x').digest('hex'), crypto.createHmac('md5', 'k').update('m').digest('base64'));
console.log(crypto.randomUUID().length, crypto.scryptSync('p', 's', 8), crypto.getHashes().length, crypto.webcrypto === globalThis.crypto);
console.log(require('zlib').gunzipSync(require('zlib').gzipSync('text')).toString(), require('zlib').crc32('x'));
crypto.pbkdf2('p', 's', 1, 4, 'sha1', (e, k) => console.log(k));
crypto.subtle.digest('SHA-1', Buffer.from('a')).then((d) => console.log(d.byteLength));
crypto.createHash('nonsense');
