console.log(Error.stackTraceLimit, new Error('x').stack);
Error.stackTraceLimit = 2;
const o = {};
Error.captureStackTrace(o);
console.log(o.stack);
Error.prepareStackTrace = (e, frames) => frames.map((f) => `${f.getFunctionName()} ${f.getFileName()}:${f.getLineNumber()}`);
console.log(new Error('y').stack);
console.trace('traced');
