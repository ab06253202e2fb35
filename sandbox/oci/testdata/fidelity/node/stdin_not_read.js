console.log(process.stdin.constructor.name, process.stdin.isTTY, process.stdin.fd, process.stdin.readableFlowing);
