// The server's API: requests with the key that the visitor gave, refusals as
// sentences, and server-sent events.

const storedKey = "preheat.key";
let askForKey = () => {};

// Refusal is an answer other than a success, or none.
export class Refusal extends Error {
  constructor(sentence, code) {
    super(sentence);
    this.code = code;
  }
}

export const setKey = (key) => sessionStorage.setItem(storedKey, key);

// onKeyAsked sets what is called when the server wants a key.
export function onKeyAsked(ask) {
  askForKey = ask;
}

// ask sends a request and returns the response to one that was accepted.
export async function ask(path, options = {}) {
  const key = sessionStorage.getItem(storedKey);
  const headers = { ...options.headers, ...(key && { Authorization: `Bearer ${key}` }) };
  let response;
  try {
    response = await fetch(path, { ...options, headers });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Refusal("The server cannot be reached.", "unreachable");
  }
  if (response.ok) return response;
  const refusal = await refusalOf(response);
  if (refusal.code === "unauthorized") askForKey(Boolean(key));
  throw refusal;
}

async function refusalOf(response) {
  let answer;
  try {
    answer = await response.json();
  } catch {
    return new Refusal(`The server's answer makes no sense (HTTP ${response.status}).`, "unreadable");
  }
  const wait = response.headers.get("Retry-After");
  const again = wait ? ` Try again in ${wait === "1" ? "1 second" : `${wait} seconds`}.` : "";
  return new Refusal(`${answer.error}.${again}`, answer.code);
}

export async function askJSON(path, options) {
  return (await ask(path, options)).json();
}

// post is the options of a request with a body: a form as it is, or JSON.
export function post(body, signal) {
  if (body instanceof FormData) return { method: "POST", body, signal };
  return { method: "POST", body: JSON.stringify(body), signal, headers: { "Content-Type": "application/json" } };
}

// events yields the server-sent events of a response as {name, data}, where data
// was JSON.
export async function* events(response) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  let looked = 0; // up to where there is no end of an event
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    text += value;
    for (let end; (end = text.indexOf("\n\n", looked)) >= 0; looked = 0) {
      const event = parse(text.slice(0, end));
      text = text.slice(end + 2);
      if (event) yield event;
    }
    looked = Math.max(0, text.length - 1);
  }
}

function parse(block) {
  const event = {};
  for (const line of block.split("\n")) {
    if (line.startsWith("event: ")) event.name = line.slice(7);
    if (line.startsWith("data: ")) event.data = JSON.parse(line.slice(6));
  }
  return event.name && event;
}
