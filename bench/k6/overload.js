// Ten times what the server sustains, for 20 s: most are turned away at once and
// told when to come back; those that are accepted are answered right, after at
// most a wait of 10 s in the queue and the time of a run.
import { atRate, awaitRest, hello, rules, run, sustained } from './preheat.js';

export { handleSummary } from './preheat.js';

export const options = rules(atRate(10 * sustained, '20s'), {
  run_refused: ['rate>0.5', 'rate<1'],
  run_accepted: ['p(95)<20000'],
  'run_refusal{status:429}': ['med<1000'],
});

export const setup = awaitRest;

export default () => run(hello());
