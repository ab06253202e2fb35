// The first page. Whatever a program printed reaches the document as text only.

const samples = {
  python: `import sys

print("Hello from Python", sys.version.split()[0])
print("2 + 2 =", 2 + 2)
`,
  node: `console.log("Hello from Node", process.version);
console.log("2 + 2 =", 2 + 2);
`,
};

const poolPeriod = 2000; // ms
const warnBelow = 500; // characters left

const $ = (id) => document.getElementById(id);
let codeLimit = Infinity;
let sample = "";
let running = false;

async function getJSON(path, options) {
  let response;
  try {
    response = await fetch(path, options);
  } catch {
    throw new Error("The server cannot be reached.");
  }
  let answer;
  try {
    answer = await response.json();
  } catch {
    throw new Error(`The server's answer makes no sense (HTTP ${response.status}).`);
  }
  if (response.ok) return answer;
  const wait = response.headers.get("Retry-After");
  const again = wait ? ` Try again in ${wait === "1" ? "1 second" : `${wait} seconds`}.` : "";
  throw new Error(`${answer.error}.${again}`);
}

async function loadLanguages() {
  try {
    const answer = await getJSON("languages");
    codeLimit = answer.limits.code_chars;
    for (const { name, version } of answer.languages) {
      $("language").add(new Option(`${name} ${version}`.trim(), name));
    }
    if (answer.languages.some(({ name }) => name === answer.default)) {
      $("language").value = answer.default;
    }
    showSample();
  } catch (error) {
    showFailure(error.message);
  }
}

function showSample() {
  const code = $("code");
  if (code.value !== sample) return; // the user's own
  sample = samples[$("language").value] ?? "";
  code.value = sample;
  showLeft();
}

function showLeft() {
  const left = codeLimit - [...$("code").value].length;
  const words = left < 0 ? `${-left} characters too many` : `${left} characters left`;
  $("left").textContent = left < warnBelow ? words : "";
  $("left").classList.toggle("over", left < 0);
}

async function run() {
  if (running) return;
  setRunning(true);
  try {
    showResult(await getJSON("run", {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({
        language: $("language").value,
        code: $("code").value,
        stdin: $("stdin").value,
      }),
    }));
  } catch (error) {
    showFailure(error.message);
  } finally {
    setRunning(false);
  }
}

function setRunning(now) {
  running = now;
  // Not the disabled attribute: that would take the focus away.
  $("run").setAttribute("aria-disabled", String(now));
  $("run").textContent = now ? "Running…" : "Run";
  $("progress").hidden = !now;
  for (const id of ["status", "result"]) $(id).classList.toggle("stale", now);
}

function showResult(answer) {
  showStatus(answer.status, answer.error ?? "Finished");
  showStream("stdout", answer.stdout, answer.stderr === "");
  showStream("stderr", answer.stderr, false);
  $("truncated").hidden = !answer.truncated;
  $("exit-code").textContent = answer.exit_code;
  $("queue").textContent = `${answer.timing.queue_ms} ms`;
  $("run-time").textContent = `${answer.timing.run_ms} ms`;
  $("total").textContent = `${answer.timing.total_ms} ms`;
  $("result").hidden = false;
}

function showStream(id, text, evenIfEmpty) {
  $(id).textContent = text || "(nothing)";
  $(id).classList.toggle("empty", !text);
  $(`${id}-block`).hidden = !text && !evenIfEmpty;
}

function showFailure(sentence) {
  showStatus("refused", sentence);
  $("result").hidden = true;
}

function showStatus(kind, words) {
  $("status").dataset.kind = kind;
  $("status").textContent = words;
}

async function showPool() {
  if (document.hidden) return;
  try {
    const { languages } = await getJSON("pool");
    const parts = languages.map((l) => `${l.language} ${l.warm} of ${l.size} warm`
      + (l.leased ? `, ${l.leased} running` : "")
      + (l.waiting ? `, ${l.waiting} waiting` : ""));
    $("pool").textContent = `Pool: ${parts.join(" · ")}`;
  } catch (error) {
    $("pool").textContent = `Pool: ${error.message}`;
  }
}

$("form").addEventListener("submit", (event) => {
  event.preventDefault();
  run();
});
document.addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey)) return;
  event.preventDefault();
  run();
});
$("language").addEventListener("change", showSample);
$("code").addEventListener("input", showLeft);
document.addEventListener("visibilitychange", showPool);

setInterval(showPool, poolPeriod);
showPool();
loadLanguages();
