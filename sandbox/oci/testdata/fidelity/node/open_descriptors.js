const fs = require('fs');
for (let fd = 0; fd < 3; fd++) console.log(fd, fs.fstatSync(fd).isFIFO());
const kinds = fs.readdirSync('/proc/self/fd').filter((fd) => fd > 2).map((fd) => {
  try { return fs.readlinkSync(`/proc/self/fd/${fd}`).replace(/\[\d+\]/, '').replace(/\d+/, 'N'); } catch { return 'gone'; }
});
console.log(kinds.sort());
