// One client asks everything once: every language, every way to end, every path
// that operators read.
import { check } from 'k6';
import { awaitRest, endings, get, hello, languages, rules, run } from './preheat.js';

export { handleSummary } from './preheat.js';

export const options = rules(
  { executor: 'per-vu-iterations', vus: 1, iterations: 2 },
  { run_refused: ['rate==0'], checks: ['rate==1'] },
);

export const setup = awaitRest;

export default function () {
  languages.forEach((language) => run(hello(language)));
  Object.values(endings).forEach((program) => run(program()));
  for (const path of ['/', '/healthz', '/readyz', '/languages', '/pool', '/metrics', '/openapi.json']) {
    check(get(path), { [path]: (response) => response.status === 200 });
  }
}
