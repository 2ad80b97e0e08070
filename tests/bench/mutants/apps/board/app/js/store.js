// The cards and what can be done with them. Knows nothing of the page.

export const COLUMNS = ["To do", "Doing", "Done"];
const KEY = "board.cards";

export function addCard(cards, text, column = "To do") {
  const clean = text.trim();
  if (!clean) return cards;
  return [...cards, { id: nextId(cards), text: clean, column }];
}

export function editCard(cards, id, text) {
  const clean = text.trim();
  if (!clean) return cards;
  return cards.map((card) => (card.id === id ? { ...card, text: clean } : card));
}

export function removeCard(cards, id) {
  return cards.filter((card) => card.id !== id);
}

// A moved card comes last in its new column.
export function moveCard(cards, id, column) {
  const card = cards.find((one) => one.id === id);
  if (!card || card.column === column) return cards;
  return [...removeCard(cards, id), { ...card, column }];
}

export function importCards(cards, content) {
  return content.split(/\r?\n/).reduce((sofar, line) => addCard(sofar, line), cards);
}

export function matching(cards, query) {
  const wanted = query.trim().toLowerCase();
  return cards.filter((card) => card.text.toLowerCase().includes(wanted));
}

export function inColumn(cards, column) {
  return cards.filter((card) => card.column === column);
}

export function summary(cards) {
  const done = inColumn(cards, "Done").length;
  return `${cards.length} ${cards.length === 1 ? "card" : "cards"}, ${done} done`;
}

export function emptyMessage(cards, query) {
  if (cards.length === 0) return "No cards yet. Add your first one above.";
  if (matching(cards, query).length === 0) return `No card matches "${query.trim()}".`;
  return "";
}

export function load(storage) {
  return JSON.parse(storage.getItem(KEY) ?? "[]");
}

export function save(storage, cards) {
  storage.setItem(KEY, JSON.stringify(cards));
}

function nextId(cards) {
  return cards.reduce((highest, card) => Math.max(highest, card.id), 0) + 1;
}
