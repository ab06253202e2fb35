const fs = require('fs/promises');
(async () => {
  await fs.mkdir('made/deep', { recursive: true });
  await fs.writeFile('made/f.txt', 'text');
  console.log(await fs.readdir('.'), (await fs.stat('made/f.txt')).mode.toString(8), await fs.readFile('data/in.txt', 'utf8'));
  console.log(process.cwd(), process.umask().toString(8), require('os').tmpdir(), require('os').homedir());
  await fs.open('missing');
})();
