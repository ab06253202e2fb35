for (let i = 0; i < 5000; i++) console.log(i, 'x'.repeat(40));
process.stdout.write('y'.repeat(1000000) + '\n');
process.stderr.write('e'.repeat(300000));
