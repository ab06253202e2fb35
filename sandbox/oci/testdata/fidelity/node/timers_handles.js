const t = setTimeout(() => {}, 1);
console.log(t.hasRef(), Object.keys(t));
const i = setInterval(() => { console.log('interval'); clearInterval(i); }, 2);
console.log(process.getActiveResourcesInfo(), process._getActiveHandles().length);
require('timers/promises').setTimeout(3, 'v').then(console.log);
