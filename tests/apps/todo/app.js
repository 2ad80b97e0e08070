"use strict";

const KEY = "todos";
const list = document.getElementById("list");
const left = document.getElementById("left");
let todos = JSON.parse(localStorage.getItem(KEY) || "[]");

function save() {
  localStorage.setItem(KEY, JSON.stringify(todos));
}

function shown(todo) {
  if (location.hash === "#/active") return !todo.done;
  if (location.hash === "#/completed") return todo.done;
  return true;
}

function row(todo) {
  const item = document.createElement("li");
  item.className = todo.done ? "done" : "";
  const box = document.createElement("input");
  box.type = "checkbox";
  box.checked = todo.done;
  box.setAttribute("aria-label", `Done: ${todo.text}`);
  box.addEventListener("change", () => change(() => (todo.done = box.checked)));
  const text = document.createElement("span");
  text.textContent = todo.text;
  const remove = document.createElement("button");
  remove.textContent = "Delete";
  remove.addEventListener("click", () => change(() => (todos = todos.filter((other) => other !== todo))));
  item.append(box, text, remove);
  return item;
}

function render() {
  list.replaceChildren(...todos.filter(shown).map(row));
  const open = todos.filter((todo) => !todo.done).length;
  left.textContent = `${open} ${open === 1 ? "item" : "items"} left`;
}

function change(edit) {
  edit();
  save();
  render();
}

document.getElementById("new").addEventListener("submit", (event) => {
  event.preventDefault();
  const field = document.getElementById("text");
  const text = field.value.trim();
  field.value = "";
  if (text) change(() => todos.push({ text, done: false }));
});

window.addEventListener("hashchange", render);
render();
