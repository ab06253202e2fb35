for (const k of Object.keys(process.env).sort()) console.log(k, '=', process.env[k]);
delete process.env.NAME;
process.env.N = 5;
console.log('NAME' in process.env, typeof process.env.N);
