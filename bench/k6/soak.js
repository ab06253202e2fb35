// Programs of every language and every ending at half of what the server
// sustains, for SOAK_DURATION (default 40s). After it the server has no more
// goroutines and not much more memory than before, and no sandbox that its pool
// does not know.
import { Gauge } from 'k6/metrics';
import { sleep } from 'k6';
import exec from 'k6/execution';
import { atRate, awaitRest, endings, get, hello, languages, rules, run, sustained } from './preheat.js';

export { handleSummary } from './preheat.js';

const memory = new Gauge('memory_growth');
const goroutines = new Gauge('goroutine_growth');
const leaked = new Gauge('leaked_sandboxes');

export const options = {
  ...rules(atRate(sustained / 2, __ENV.SOAK_DURATION || '40s'), {
    run_refused: ['rate<0.01'],
    memory_growth: ['value<2'],
    goroutine_growth: ['value<1.5'],
    leaked_sandboxes: ['value==0'],
  }),
  noVUConnectionReuse: true, // each has a goroutine
};

const programs = [...languages.map((language) => () => hello(language)), ...Object.values(endings)];

function measure() {
  awaitRest();
  sleep(21); // fasthttp ends idle goroutines every 10 s, once they have been idle for 10 s
  const text = get('/metrics').body;
  const value = (name) => Number((text.match(new RegExp(`^${name} (\\S+)$`, 'm')) || [])[1] || 0);
  return { memory: value('process_resident_memory_bytes'), goroutines: value('go_goroutines'), leaked: value('preheat_leaked_sandboxes') };
}

export const setup = measure;

export default () => run(programs[exec.scenario.iterationInTest % programs.length]());

export function teardown(before) {
  const after = measure();
  memory.add(after.memory / before.memory);
  goroutines.add(after.goroutines / before.goroutines);
  leaked.add(after.leaked);
}
