console.log(process.noDeprecation, process.throwDeprecation, process.traceDeprecation, process.listenerCount('warning'));
console.log(process.listeners('warning').map((f) => f.name));
