'use strict';
// Warm-up of the Node interpreter.
//
// The agent starts the real command, `node main.js`, with this file in
// NODE_OPTIONS: Node loads it when it is up and before it looks for main.js. Here
// the agent is told, the modules that programs commonly use are loaded until a
// program comes, and Node waits. When the agent lets it go, main.js exists, and
// Node runs it as it always does. A worker thread loads this file too, and finds
// nothing to warm.

const CONTROL = 3;

// What Node reads once, when it starts.
const STARTUP = /^(NODE_|LC_|LANG|LD_|MALLOC_|GLIBC_|OPENSSL_|SSL_CERT_)/;

// What programs commonly use, in the order of how common it is for its cost.
const MODULES = [
  'fs', 'path', 'events', 'util', 'os', 'url', 'buffer', 'stream', 'stream/promises', 'string_decoder', 'timers',
  'timers/promises', 'querystring', 'readline', 'vm', 'async_hooks', 'worker_threads', 'fs/promises',
  'assert', 'child_process', 'perf_hooks', 'crypto', 'zlib',
];

function warm() {
  const fs = require('node:fs');
  rehearse();
  delete process.env.NODE_OPTIONS;
  skipTeardown();

  fs.writeSync(CONTROL, 'R');
  preload(fs);
  const words = fs.readFileSync(CONTROL, 'utf8');
  fs.closeSync(CONTROL);
  if (words === '') process.reallyExit(0); // the agent has gone
  const header = JSON.parse(words);
  const { args = [], env = {}, entry } = header;
  // The size of V8's heap follows from the memory limit, at the start.
  if (header.memory_bytes || Object.keys(env).some((name) => STARTUP.test(name))) coldStart(entry, args, env);
  if (entry) enter(entry);
  process.argv.push(...args);
  Object.assign(process.env, env);
}

// Loads modules until a program comes, which loads the rest itself, as ever. Node
// cannot ask whether there is something to read; but a program's files come before
// the agent's words, and nothing else is in the work folder.
function preload(fs) {
  for (const name of MODULES) {
    if (fs.readdirSync('.').length > 0) return;
    require(`node:${name}`);
  }
}

// Runs what every program runs once, so that its code is compiled and its pages
// are in memory.
function rehearse() {
  const vm = require('node:vm');
  const util = require('node:util');
  new vm.Script('(function () { class A { f(...a) { return a.map((x) => `${x}`); } } return new A().f(1); })()')
    .runInThisContext();
  util.inspect({ a: [1, 'b', null], e: new Error('x') });
  util.format('%s %o', 1, {});
}

// Makes a program that ends well end at once: tearing V8's heap down takes
// longer than a run, and nobody can see it. `emit` is read, with `_exiting` set,
// when the 'exit' event is due. A program that listens for it, or has an exit code
// of its own, or an error yet to be printed, ends as ever; so does one that has
// replaced `emit`.
function skipTeardown() {
  const { prototype } = require('node:events');
  const { emit } = prototype;
  Object.defineProperty(Object.getPrototypeOf(process), 'emit', {
    configurable: true,
    enumerable: true,
    get() {
      if (process._exiting && !process.exitCode && prototype.emit === emit && process.listenerCount('exit') === 0) {
        process.reallyExit(0);
      }
      return prototype.emit;
    },
    set(value) {
      Object.defineProperty(this, 'emit', { value, configurable: true, enumerable: true, writable: true });
    },
  });
}

// Makes Node run another file than the one that it was started with: what it
// calls for that is read once more, and is then as ever. A bound function leaves
// no frame in a stack trace.
function enter(entry) {
  const Module = require('node:module');
  const usual = Object.getOwnPropertyDescriptor(Module, 'runMain');
  const path = require('node:path').resolve(entry);
  process.argv[1] = path;
  Object.defineProperty(Module, 'runMain', {
    configurable: true,
    get() {
      Object.defineProperty(Module, 'runMain', usual);
      return usual.value.bind(Module, path);
    },
  });
}

// Replaces this interpreter by a new one: for it, something comes too late.
function coldStart(entry, args, env) {
  process.removeAllListeners('warning');
  process.emitWarning = () => {}; // execve is marked experimental
  process.execve(process.execPath, ['node', entry ?? 'main.js', ...args], { ...process.env, ...env });
}

// Takes this file out of what a program can see of the modules that are loaded.
function forget() {
  delete require.cache[__filename];
  delete require('node:module')._pathCache[`${__filename}\x00`];
}

forget();
if (require('node:worker_threads').isMainThread) warm();
