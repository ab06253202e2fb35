// What the scripts share: the programs, how an answer is judged, and the summary.
//
//   URL          the server; default http://127.0.0.1:5000
//   PREHEAT_KEY  its key, where it needs one
//   RATE         Python runs a second that it sustains, as bench/hey.sh measures them; default 4
//   RESULTS      where to write the figures, without an ending; default nowhere
import exec from 'k6/execution';
import http from 'k6/http';
import { sleep } from 'k6';
import { Rate, Trend } from 'k6/metrics';

const url = __ENV.URL || 'http://127.0.0.1:5000';

const key = __ENV.PREHEAT_KEY ? { 'X-API-Key': __ENV.PREHEAT_KEY } : {};

export const sustained = Number(__ENV.RATE) || 4;

const accepted = new Trend('run_accepted', true); // until the answer of a program that ran
const refused = new Rate('run_refused'); // 429 or 503 with Retry-After
const refusal = new Trend('run_refusal', true); // until it came
const retryAfter = new Trend('run_retry_after'); // seconds
const wrong = new Rate('run_wrong'); // neither refused nor answered as the program must be
const moment = new Trend('run_moment'); // when a request was sent, or answered

const echoes = {
  python: 'print("hello", input())',
  node: 'console.log("hello", require("fs").readFileSync(0, "utf8"))',
  bash: 'read -r x || true; echo "hello $x"',
  lua: 'print("hello " .. io.read())',
};

export const languages = Object.keys(echoes);

const token = () => Math.random().toString(36).slice(2);

// hello prints a word of its own, so that the answer of another run is wrong.
export function hello(language = 'python') {
  const word = token();
  return {
    ask: { language, code: echoes[language], stdin: word },
    want: { status: 'ok', exit_code: 0, stdout: `hello ${word}\n`, stderr: '' },
  };
}

// endings holds a program for each way to end, and for files.
export const endings = {
  files: () => {
    const word = token();
    return {
      ask: { code: 'print(open("data/in.txt").read())', files: [{ name: 'data/in.txt', content: word }] },
      want: { status: 'ok', stdout: `${word}\n` },
    };
  },
  error: () => ({
    ask: { code: 'import sys\nprint("out")\nprint("err", file=sys.stderr)\nsys.exit(3)' },
    want: { status: 'error', exit_code: 3, stdout: 'out\n', stderr: 'err\n' },
  }),
  timeout: () => ({
    ask: { code: 'print("begun")\nwhile True: pass', timeout_ms: 500 },
    want: { status: 'timeout', exit_code: 137, stdout: 'begun\n' },
  }),
  memory: () => ({ ask: { code: 'b"x" * (1 << 30)' }, want: { status: 'out_of_memory', exit_code: 137 } }),
  output: () => ({ ask: { code: 'print("x" * 200_000)' }, want: { status: 'ok', truncated: true, stdout: 'x'.repeat(65536) } }),
};

function request(program) {
  const params = { headers: { 'Content-Type': 'application/json', ...key }, timeout: '60s', tags: { name: '/run' } };
  return ['POST', `${url}/run`, JSON.stringify(program.ask), params];
}

function right(response, want) {
  if (response.status !== 200) return false;
  const answer = response.json();
  return Object.keys(want).every((field) => answer[field] === want[field]);
}

function judge(response, want) {
  const took = response.timings.duration;
  const seconds = Number(response.headers['Retry-After']);
  const turnedAway = (response.status === 429 || response.status === 503) && seconds >= 1;
  const good = turnedAway || right(response, want);
  moment.add(Date.now() - took);
  moment.add(Date.now());
  refused.add(turnedAway);
  wrong.add(!good);
  if (response.status === 200) accepted.add(took);
  if (turnedAway) {
    refusal.add(took, { status: String(response.status) });
    retryAfter.add(seconds);
  }
  if (!good) console.error(`wanted ${JSON.stringify(want).slice(0, 200)}, got ${response.status} ${response.error} ${String(response.body).slice(0, 500)}`);
}

export const run = (program) => judge(http.request(...request(program)), program.want);

// burst posts all programs at once.
export function burst(programs) {
  http.batch(programs.map(request)).forEach((response, i) => judge(response, programs[i].want));
}

export const get = (path) => http.get(url + path, { headers: key });

// awaitRest returns what /pool says once it is full and nothing goes on.
export function awaitRest() {
  for (let tries = 0; tries < 1200; tries++) {
    const response = get('/pool');
    const pool = response.status === 200 && response.json();
    const t = pool && pool.totals;
    if (t && t.warm >= t.size && t.leased + t.launching + t.destroying + t.waiting === 0) return pool;
    sleep(0.1);
  }
  exec.test.abort(`${url}: the pool was not full and at rest within two minutes`);
}

// atRate is a scenario that posts so many programs a second, however long the
// answers take.
export const atRate = (perSecond, duration) => ({
  executor: 'constant-arrival-rate',
  rate: Math.max(1, Math.round(perSecond * 60)),
  timeUnit: '1m',
  duration,
  gracefulStop: '60s',
  preAllocatedVUs: 60,
  maxVUs: 300,
});

// rules adds to a scenario what must hold in every script: all requests are
// answered, right or with a refusal that says when to come back, and 95 % of
// those that are accepted within the wall time of one run.
export const rules = (scenario, thresholds) => ({
  scenarios: { default: scenario },
  thresholds: {
    iterations: ['count>0'],
    run_wrong: ['rate==0'],
    run_accepted: ['p(95)<10000'],
    ...thresholds,
  },
  batch: 1000,
  batchPerHost: 1000,
  setupTimeout: '150s',
  teardownTimeout: '150s',
  summaryTrendStats: ['count', 'min', 'med', 'p(95)', 'p(99)', 'max'],
});

const missed = (metrics) =>
  Object.entries(metrics).flatMap(([name, metric]) =>
    Object.entries(metric.thresholds || {})
      .filter(([, threshold]) => !threshold.ok)
      .map(([rule]) => `${name} ${rule}`),
  );

// row is the script's line in the table of bench/load.sh.
function row(metrics) {
  const values = (name) => (metrics[name] ? metrics[name].values : {});
  const { passes: refusals = 0, fails = 0 } = values('run_refused');
  const { min, max } = values('run_moment');
  const took = values('run_accepted');
  const count = took.count || 0;
  const broken = missed(metrics);
  return [
    refusals + fails,
    count,
    refusals,
    ((count * 1000) / (max - min) || 0).toFixed(1),
    ...['med', 'p(95)', 'p(99)'].map((stat) => (took[stat] || 0).toFixed(0)),
    broken.length ? `missed: ${broken.join(', ')}` : 'held',
  ].join('\t');
}

// handleSummary prints the row, and writes it and all figures to RESULTS.
export function handleSummary(data) {
  const line = `${row(data.metrics)}\n`;
  const results = __ENV.RESULTS;
  return { stdout: line, ...(results && { [`${results}.row`]: line, [`${results}.json`]: JSON.stringify(data, null, 2) }) };
}
