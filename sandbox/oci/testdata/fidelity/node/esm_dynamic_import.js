console.log('sync');
import('./other.mjs').then((m) => console.log(m.default, m));
(async () => {
  await import('./missing.mjs');
})().catch((e) => console.log(e.code, e.message));
