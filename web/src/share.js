// Links that carry a program in their fragment, which browsers do not send to
// any server.

import { isProgram } from "./work.js";

const maxText = 1 << 20; // characters of what a link unpacks to

// pack returns the fragment for a program; attachments are left out.
export async function pack(program) {
  const text = JSON.stringify({ ...program, active: 0, attachments: [] });
  const packed = new Blob([text]).stream().pipeThrough(new CompressionStream("deflate-raw"));
  const bytes = new Uint8Array(await new Response(packed).arrayBuffer());
  const binary = Array.from(bytes, (b) => String.fromCharCode(b)).join("");
  return `code=${btoa(binary).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "")}`;
}

// unpack returns the program of a fragment, or throws.
export async function unpack(fragment) {
  const binary = atob(fragment.replace(/^code=/, "").replaceAll("-", "+").replaceAll("_", "/"));
  const packed = new Blob([Uint8Array.from(binary, (c) => c.charCodeAt(0))]).stream();
  const reader = packed.pipeThrough(new DecompressionStream("deflate-raw")).pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) break;
    text += value;
    if (text.length > maxText) throw new Error("too long");
  }
  const program = { ...JSON.parse(text), active: 0, attachments: [] };
  if (!isProgram(program)) throw new Error("no program");
  return program;
}
