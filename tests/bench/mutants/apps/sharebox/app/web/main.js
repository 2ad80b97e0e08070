import { ask } from "./api.js";
import { button, field, make, show } from "./dom.js";
import { Search } from "./search.js";

const POLL_MILLISECONDS = 700;
const state = { me: null, asked: 0, seen: "" };

async function start() {
  state.me = (await ask("GET", "/api/session")).name;
  await route();
}

async function route() {
  state.seen = "";
  refresh = async () => {};
  show("#toast");
  showAccount();
  if (!state.me) return showSignIn();
  const found = location.hash.match(/^#\/list\/(\d+)$/);
  return found ? showList(Number(found[1])) : showLists();
}

function showAccount() {
  if (!state.me) return show("#account");
  return show("#account", make("span", {}, `Hello, ${state.me}`), button("Sign out", signOut));
}

async function signOut() {
  await ask("DELETE", "/api/session");
  state.me = null;
  history.replaceState(null, "", "#/");
  await route();
}

function showSignIn() {
  const name = field("Name", { id: "name" });
  const password = field("Password", { id: "password", type: "password" });
  const error = make("p", { className: "error", role: "alert" });
  const form = make("form", { className: "stack" }, name.box, password.box, error, make("button", {}, "Sign in"));
  onSubmit(form, error, async () => {
    state.me = (await ask("POST", "/api/session", { name: name.input.value, password: password.input.value })).name;
    await route();
  });
  show("#main", panel("Sign in", form));
}

// --- all lists ---

async function showLists() {
  const title = field("New list", { id: "new-list" });
  const error = make("p", { className: "error", role: "alert" });
  const form = make("form", { className: "line" }, title.box, make("button", {}, "Create"));
  onSubmit(form, error, async () => {
    const { id } = await ask("POST", "/api/lists", { text: title.input.value });
    location.hash = `#/list/${id}`;
  });
  const mine = make("div");
  const shared = make("div");
  show("#main", panel("My lists", mine, form, error), panel("Shared with me", shared), searchPanel());
  refresh = async () => {
    const lists = await news("/api/lists");
    if (!lists) return;
    mine.replaceChildren(listing(lists.filter((list) => list.owner === state.me), "You have no lists yet."));
    shared.replaceChildren(listing(lists.filter((list) => list.owner !== state.me), "Nobody shares a list with you."));
  };
  await refresh();
}

function listing(lists, nothing) {
  if (!lists.length) return make("p", { className: "soft" }, nothing);
  const lines = lists.map((list) => {
    const link = make("a", { href: `#/list/${list.id}`, className: "text" }, list.title);
    const from = list.owner === state.me ? [] : [make("span", { className: "soft" }, `from ${list.owner}`)];
    return make("li", {}, link, ...from, make("span", { className: "soft" }, `${list.open} open`));
  });
  return make("ul", {}, ...lines);
}

function searchPanel() {
  const words = field("Search items", { id: "search", type: "search" });
  const status = make("p", { className: "soft", role: "status" });
  const results = make("div");
  const search = new Search(status, results);
  words.input.addEventListener("input", () => search.run(words.input.value));
  return panel("Search", words.box, status, results);
}

// --- one list ---

async function showList(id) {
  const items = make("div");
  const sharing = make("div");
  const heading = make("h2");
  const text = field("New item", { id: "new-item" });
  const error = make("p", { className: "error", role: "alert" });
  const form = make("form", { className: "line" }, text.box, make("button", {}, "Add"));
  onSubmit(form, error, async () => {
    await ask("POST", `/api/lists/${id}/items`, { text: text.input.value });
    text.input.value = "";
    await refresh();
  });
  const section = make("section", { className: "panel", ariaLabel: "Items" }, heading, items, form, error);
  show("#main", make("p", {}, make("a", { href: "#/" }, "All lists")), section, sharing);
  refresh = async () => {
    const list = await news(`/api/lists/${id}`);
    if (!list) return;
    heading.textContent = list.title;
    items.replaceChildren(itemsOf(list));
    sharing.replaceChildren(sharingOf(list));
  };
  try {
    await refresh();
  } catch (refused) {
    refresh = async () => {};
    show("#main", make("p", {}, make("a", { href: "#/" }, "All lists")), panel("Not for you", refused.message));
  }
}

function itemsOf(list) {
  if (!list.items.length) return make("p", { className: "soft" }, "Nothing on this list yet.");
  return make("ul", {}, ...list.items.map(itemOf));
}

function itemOf(item) {
  const box = make("input", { type: "checkbox", checked: item.done, ariaLabel: item.text });
  box.addEventListener("change", async () => {
    await ask("PATCH", `/api/items/${item.id}`, { done: box.checked });
    await refresh();
  });
  const remove = button("Delete", () => removeItem(item), "small");
  return make("li", { className: item.done ? "done" : "" }, box, make("span", { className: "text" }, item.text), remove);
}

async function removeItem(item) {
  await ask("PATCH", `/api/items/${item.id}`, { deleted: true });
  await refresh();
  const undo = button("Undo", async () => {
    await ask("PATCH", `/api/items/${item.id}`, { deleted: false });
    show("#toast");
    await refresh();
  });
  show("#toast", make("span", {}, `"${item.text}" was deleted.`), undo);
}

function sharingOf(list) {
  if (list.owner !== state.me) return panel("Sharing", `This list belongs to ${list.owner}.`);
  const name = field("Share with", { id: "share-with" });
  const error = make("p", { className: "error", role: "alert" });
  const form = make("form", { className: "line" }, name.box, make("button", {}, "Share"));
  onSubmit(form, error, async () => {
    await ask("POST", `/api/lists/${list.id}/shares`, { name: name.input.value });
    await refresh();
  });
  const lines = list.shared.map((other) => {
    const stop = async () => {
      await ask("DELETE", `/api/lists/${list.id}/shares`, { name: other });
      await refresh();
    };
    return make("li", {}, make("span", { className: "text" }, `Shared with ${other}`), button("Stop sharing", stop, "small"));
  });
  const nobody = make("p", { className: "soft" }, "Only you can see this list.");
  return panel("Sharing", lines.length ? make("ul", {}, ...lines) : nobody, form, error);
}

// --- what all views share ---

let refresh = async () => {};

// What the server says, if it is the answer to the newest question and differs from what is shown.
async function news(path) {
  const mine = ++state.asked;
  const answer = await ask("GET", path);
  const text = JSON.stringify(answer);
  if (mine !== state.asked || text === state.seen) return null;
  state.seen = text;
  return answer;
}

function panel(title, ...children) {
  return make("section", { className: "panel", ariaLabel: title }, make("h2", {}, title), ...children);
}

function onSubmit(form, error, act) {
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    error.textContent = "";
    try {
      await act();
    } catch (refused) {
      error.textContent = refused.message;
    }
  });
}

async function poll() {
  const view = refresh;
  try {
    await refresh();
  } catch (refused) {
    if (refused.status && view === refresh) await start(); // signed out elsewhere, or no longer shared
  } finally {
    setTimeout(poll, POLL_MILLISECONDS);
  }
}

addEventListener("hashchange", route);
await start();
setTimeout(poll, POLL_MILLISECONDS);
