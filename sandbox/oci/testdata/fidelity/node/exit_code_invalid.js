process.exitCode = 'many';
