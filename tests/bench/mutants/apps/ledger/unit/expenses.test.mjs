import assert from "node:assert/strict";
import { test } from "node:test";
import * as ledger from "../app/src/expenses.js";
import * as storage from "../app/src/storage.js";

const list = [
  ["Lunch", "9.00", "Food"],
  ["Train", "10.50", "Travel"],
  ["apples", "3", "Food"],
].reduce((sofar, [description, amount, category]) => ledger.addExpense(sofar, { description, amount, category }), []);

const names = (expenses) => expenses.map((one) => one.description);

function browser() {
  const kept = new Map();
  return { getItem: (key) => kept.get(key) ?? null, setItem: (key, value) => kept.set(key, value) };
}

test("amounts are read with point or comma", () => {
  assert.equal(ledger.cents("12"), 1200);
  assert.equal(ledger.cents("12.5"), 1250);
  assert.equal(ledger.cents(" 12,05 "), 1205);
});

test("what is no amount is none", () => {
  for (const text of ["", "abc", "-1", "1.234", "1e3"]) assert.equal(ledger.cents(text), null);
});

test("money has two decimals", () => {
  assert.equal(ledger.money(1205), "12.05");
  assert.equal(ledger.money(0), "0.00");
});

test("problems are told by field", () => {
  assert.deepEqual(Object.keys(ledger.problems({ description: " ", amount: "0" })), ["description", "amount"]);
  assert.deepEqual(ledger.problems({ description: "Lunch", amount: "9" }), {});
});

test("a new expense comes last, trimmed, in cents", () => {
  const added = ledger.addExpense(list, { description: " Tea ", amount: "2.20", category: "Food" });
  assert.deepEqual(added.at(-1), { id: 4, description: "Tea", category: "Food", amount: 220 });
});

test("removing takes one away", () => {
  assert.deepEqual(names(ledger.removeExpense(list, 2)), ["Lunch", "apples"]);
});

test("searching looks at description and category in any case", () => {
  assert.deepEqual(names(ledger.matching(list, "TRAV")), ["Train"]);
  assert.deepEqual(names(ledger.matching(list, "food")), ["Lunch", "apples"]);
  assert.equal(ledger.matching(list, " ").length, 3);
});

test("amounts are sorted as numbers", () => {
  assert.deepEqual(names(ledger.sorted(list, "amount", false)), ["apples", "Lunch", "Train"]);
  assert.deepEqual(names(ledger.sorted(list, "amount", true)), ["Train", "Lunch", "apples"]);
});

test("words are sorted without regard to case", () => {
  assert.deepEqual(names(ledger.sorted(list, "description", false)), ["apples", "Lunch", "Train"]);
});

test("unsorted is as added, and sorting changes nothing in place", () => {
  ledger.sorted(list, "amount", true);
  assert.deepEqual(names(ledger.sorted(list, null, false)), ["Lunch", "Train", "apples"]);
});

test("totals are by category, without empty ones", () => {
  assert.deepEqual(ledger.totals(list).map(({ category, amount }) => [category, amount]), [["Food", 1200], ["Travel", 1050]]);
  assert.equal(ledger.total(list), 2250);
});

test("expenses and theme are kept", () => {
  const kept = browser();
  assert.deepEqual(storage.loadExpenses(kept), []);
  assert.equal(storage.loadTheme(kept), "light");
  storage.saveExpenses(kept, list);
  storage.saveTheme(kept, "dark");
  assert.deepEqual(storage.loadExpenses(kept), list);
  assert.equal(storage.loadTheme(kept), "dark");
});
