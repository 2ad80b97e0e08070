// The search while somebody types. Answers may come in any order; only the newest question counts.

import { ask } from "./api.js";
import { make } from "./dom.js";

export class Search {
  #newest = 0;
  #waiting = 0;

  constructor(status, results) {
    this.status = status;
    this.results = results;
  }

  async run(words) {
    const mine = ++this.#newest;
    this.#wait(+1);
    try {
      const found = await ask("GET", `/api/search?q=${encodeURIComponent(words)}`);
      if (mine === this.#newest) this.#show(words, found);
    } finally {
      this.#wait(-1);
    }
  }

  #wait(more) {
    this.#waiting += more;
    this.status.textContent = this.#waiting ? "Searching…" : "";
  }

  #show(words, found) {
    const lines = found.map((item) =>
      make("li", {}, make("span", { className: "text" }, item.text), make("span", { className: "soft" }, `in ${item.title}`)),
    );
    const none = make("p", { className: "soft" }, `Nothing found for "${words.trim()}".`);
    this.results.replaceChildren(...(lines.length ? [make("ul", {}, ...lines)] : words.trim() ? [none] : []));
  }
}
