// Three times as many programs at once as there are warm sandboxes: those over
// the pool wait in the queue, and nobody is turned away.
import { awaitRest, burst, hello, rules } from './preheat.js';

export { handleSummary } from './preheat.js';

export const options = rules(
  { executor: 'per-vu-iterations', vus: 1, iterations: 4, maxDuration: '5m' },
  { run_refused: ['rate==0'] },
);

export default function () {
  const python = awaitRest().languages.find((l) => l.language === 'python');
  burst(Array.from({ length: 3 * python.size }, () => hello()));
}
