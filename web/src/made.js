// The files that a program left: images are shown, all can be downloaded.

import { bytes, el } from "./dom.js";
import { visible } from "./text.js";

// createFiles shows files in list, which is hidden while there are none.
export function createFiles(list) {
  let urls = [];

  function clear() {
    for (const url of urls) URL.revokeObjectURL(url);
    urls = [];
    list.replaceChildren();
    list.hidden = true;
  }

  // add shows a file of an answer. An image comes from a data: URL in an img,
  // where no script in it runs; a download is never taken for a page.
  function add({ name, content, image, media_type: type, bytes: size }) {
    const label = visible(name);
    const blob = new Blob([Uint8Array.from(atob(content), (c) => c.charCodeAt(0))], { type: "application/octet-stream" });
    const href = URL.createObjectURL(blob);
    urls.push(href);
    const save = el("a", { href, download: name.split("/").at(-1) }, label);
    const item = el("li", {}, save, el("span", { className: "note" }, ` ${bytes(size)}`));
    if (image) item.prepend(el("img", { src: `data:${type};base64,${content}`, alt: label }));
    item.classList.toggle("picture", image);
    list.append(item);
    list.hidden = false;
  }

  function omitted(count) {
    if (!count) return;
    list.append(el("li", { className: "note" }, `${count} more, too many or too large`));
    list.hidden = false;
  }

  return { clear, add, omitted };
}
