// Draws the columns. What a person does with a card is told to `actions`.

import { COLUMNS, emptyMessage, inColumn, matching, summary } from "./store.js";

export function render(state, actions) {
  const shown = matching(state.cards, state.query);
  document.querySelector("#summary").textContent = summary(state.cards);
  document.querySelector("#message").textContent = emptyMessage(state.cards, state.query);
  const columns = COLUMNS.map((name) => column(name, inColumn(shown, name), state, actions));
  document.querySelector("#columns").replaceChildren(...columns);
}

function column(name, cards, state, actions) {
  const section = element("section", { className: "column", ariaLabel: name });
  const heading = element("h2", {}, name, element("span", { className: "count" }, String(cards.length)));
  const list = element("ul", {}, ...cards.map((card) => item(card, state, actions)));
  section.append(heading, list);
  section.addEventListener("dragover", (event) => {
    event.preventDefault();
    section.classList.add("over");
  });
  section.addEventListener("dragleave", () => section.classList.remove("over"));
  section.addEventListener("drop", (event) => {
    event.preventDefault();
    actions.move(Number(event.dataTransfer.getData("text/plain")), name);
  });
  return section;
}

function item(card, state, actions) {
  const editing = state.editing === card.id;
  const li = element("li", { className: "card", draggable: !editing });
  li.append(editing ? editor(card, actions) : text(card, actions), remover(card, actions));
  li.addEventListener("dragstart", (event) => event.dataTransfer.setData("text/plain", String(card.id)));
  return li;
}

function text(card, actions) {
  const span = element("span", { className: "text", title: "Double-click to edit" }, card.text);
  span.addEventListener("dblclick", () => actions.startEdit(card.id));
  return span;
}

function editor(card, actions) {
  const input = element("input", { value: card.text, ariaLabel: "Card text" });
  input.addEventListener("keydown", (event) => {
    if (event.key === "Enter") actions.saveEdit(card.id, input.value);
    if (event.key === "Escape") actions.cancelEdit();
  });
  return input;
}

function remover(card, actions) {
  const button = element("button", { type: "button", ariaLabel: `Delete ${card.text}` }, "Delete");
  button.addEventListener("click", () => actions.remove(card));
  return button;
}

function element(name, properties, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}
