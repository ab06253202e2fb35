process.stdout.write('z'.repeat(500000), () => process.exit(0));
