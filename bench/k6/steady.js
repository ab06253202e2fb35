// Half of what the server sustains, for 30 s: nobody is turned away.
import { atRate, awaitRest, hello, rules, run, sustained } from './preheat.js';

export { handleSummary } from './preheat.js';

export const options = rules(atRate(sustained / 2, '30s'), { run_refused: ['rate==0'] });

export const setup = awaitRest;

export default () => run(hello());
