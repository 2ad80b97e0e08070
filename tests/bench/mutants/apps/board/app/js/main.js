import { addCard, editCard, importCards, load, moveCard, removeCard, save } from "./store.js";
import { render } from "./view.js";

const state = { cards: load(localStorage), query: "", editing: null };
const form = document.querySelector("#add");
const field = document.querySelector("#new-card");
const filter = document.querySelector("#filter");
const chooser = document.querySelector("#import");
const notice = document.querySelector("#notice");

const actions = {
  startEdit(id) {
    state.editing = id;
    draw();
    document.querySelector(".card input")?.select();
  },
  saveEdit(id, text) {
    state.editing = null;
    change(editCard(state.cards, id, text));
  },
  cancelEdit() {
    state.editing = null;
    draw();
  },
  remove(card) {
    if (!confirm(`Delete "${card.text}"?`)) return;
    change(removeCard(state.cards, card.id));
    field.focus();
  },
  move(id, column) {
    change(moveCard(state.cards, id, column));
  },
};

form.addEventListener("submit", (event) => {
  event.preventDefault();
  change(addCard(state.cards, field.value));
  field.value = "";
  field.focus();
});

filter.addEventListener("input", () => {
  state.query = filter.value;
  draw();
});

chooser.addEventListener("change", async () => {
  const [file] = chooser.files;
  if (!file) return;
  const before = state.cards.length;
  change(importCards(state.cards, await file.text()));
  const added = state.cards.length - before;
  notice.textContent = `${added} ${added === 1 ? "card" : "cards"} imported from ${file.name}`;
  chooser.value = "";
});

function change(cards) {
  state.cards = cards;
  save(localStorage, cards);
  notice.textContent = "";
  draw();
}

function draw() {
  render(state, actions);
}

draw();
