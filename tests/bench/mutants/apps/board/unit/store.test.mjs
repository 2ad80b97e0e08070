import assert from "node:assert/strict";
import { test } from "node:test";
import * as store from "../app/js/store.js";

const three = ["Buy milk", "Walk the dog", "Call Ann"].reduce((cards, text) => store.addCard(cards, text), []);

function storage() {
  const kept = new Map();
  return { getItem: (key) => kept.get(key) ?? null, setItem: (key, value) => kept.set(key, value) };
}

test("a new card is last in To do and trimmed", () => {
  const cards = store.addCard(three, "  Sleep ");
  assert.deepEqual(cards.at(-1), { id: 4, text: "Sleep", column: "To do" });
});

test("blank text adds nothing", () => {
  assert.equal(store.addCard(three, "   "), three);
});

test("ids are not used twice while their card lives", () => {
  const cards = store.addCard(store.removeCard(three, 2), "New");
  assert.equal(new Set(cards.map((card) => card.id)).size, 3);
});

test("editing changes one card only", () => {
  const cards = store.editCard(three, 2, "Walk the cat");
  assert.deepEqual(cards.map((card) => card.text), ["Buy milk", "Walk the cat", "Call Ann"]);
});

test("editing to blank keeps the text", () => {
  assert.equal(store.editCard(three, 2, " "), three);
});

test("removing takes one card away", () => {
  assert.deepEqual(store.removeCard(three, 1).map((card) => card.id), [2, 3]);
});

test("a moved card comes last in its column", () => {
  const cards = store.moveCard(store.moveCard(three, 2, "Done"), 1, "Done");
  assert.deepEqual(store.inColumn(cards, "Done").map((card) => card.id), [2, 1]);
});

test("importing adds one card for each line that is not blank", () => {
  const cards = store.importCards([], "one\r\n\n two \nthree");
  assert.deepEqual(cards.map((card) => card.text), ["one", "two", "three"]);
});

test("filtering ignores case and blanks around", () => {
  assert.deepEqual(store.matching(three, " MILK ").map((card) => card.id), [1]);
});

test("an empty filter matches everything", () => {
  assert.equal(store.matching(three, "").length, 3);
});

test("the summary counts cards and those done", () => {
  assert.equal(store.summary([]), "0 cards, 0 done");
  assert.equal(store.summary(three.slice(0, 1)), "1 card, 0 done");
  assert.equal(store.summary(store.moveCard(three, 1, "Done")), "3 cards, 1 done");
});

test("the message tells an empty board from an empty search", () => {
  assert.match(store.emptyMessage([], ""), /No cards yet/);
  assert.match(store.emptyMessage(three, "zzz"), /No card matches "zzz"/);
  assert.equal(store.emptyMessage(three, "milk"), "");
});

test("what is saved is loaded again", () => {
  const kept = storage();
  assert.deepEqual(store.load(kept), []);
  store.save(kept, three);
  assert.deepEqual(store.load(kept), three);
});
