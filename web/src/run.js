// One run at a time, over /run/stream: what it tells as it goes on, and how it
// ended, in words.

import { ask, events, post, Refusal } from "./api.js";

export const endings = {
  ok: "Finished", error: "Failed", timeout: "Timed out", out_of_memory: "Out of memory", output_limit: "Too much output",
};

// createRunner returns what runs requests. on has started, queued, print, file,
// each of which is told as it happens.
export function createRunner(on) {
  let stopping = null;

  // run resolves to {result}, or {failure} with a sentence; null is a run that
  // was not begun, because one goes on.
  async function run(request) {
    if (stopping) return null;
    stopping = new AbortController();
    const { signal } = stopping;
    try {
      for await (const { name, data } of events(await ask("run/stream", post(request, signal)))) {
        if (name === "queued") on.queued(data.position);
        else if (name === "started") on.started(data);
        else if (name === "stdout" || name === "stderr") on.print(name, data.text);
        else if (name === "file") on.file(data);
        else if (name === "result") return { result: data };
        else if (name === "error") return { failure: `${data.error}.` };
      }
      return { failure: "The server went away before the run ended." };
    } catch (error) {
      if (signal.aborted) return { failure: "Stopped", stopped: true };
      return { failure: error instanceof Refusal ? error.message : "The connection to the server broke." };
    } finally {
      stopping = null;
    }
  }

  return { run, stop: () => stopping?.abort(), running: () => stopping !== null };
}
