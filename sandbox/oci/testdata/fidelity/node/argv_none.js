console.log(process.argv.length, process.argv0, process.title);
process.title = 'mine';
console.log(process.title, process.argv);
