// What is known about expenses. No page, no storage. Amounts are whole cents.

export const CATEGORIES = ["Food", "Travel", "Home", "Fun"];

// Cents of an amount as people write it, with a point or a comma; null when it is none.
export function cents(text) {
  const found = text.trim().match(/^(\d{1,7})(?:[.,](\d{1,2}))?$/);
  if (!found) return null;
  return Number(found[1]) * 100 + Number((found[2] ?? "").padEnd(2, "0"));
}

export function money(amount) {
  return (amount / 100).toFixed(2);
}

// What is wrong with a draft, by field.
export function problems(draft) {
  const found = {};
  if (!draft.description.trim()) found.description = "Enter a description.";
  if (!cents(draft.amount)) found.amount = "Enter an amount greater than 0.";
  return found;
}

export function addExpense(expenses, draft) {
  const id = expenses.reduce((highest, one) => Math.max(highest, one.id), 0) + 1;
  const expense = { id, description: draft.description.trim(), category: draft.category, amount: cents(draft.amount) };
  return [...expenses, expense];
}

export function removeExpense(expenses, id) {
  return expenses.filter((one) => one.id !== id);
}

export function matching(expenses, query) {
  const wanted = query.trim().toLowerCase();
  return expenses.filter((one) => `${one.description}\n${one.category}`.toLowerCase().includes(wanted));
}

// By a column; null: as they were added.
export function sorted(expenses, column, descending) {
  if (!column) return expenses;
  const order = column === "amount" ? byNumber : byWord;
  const found = [...expenses].sort((a, b) => order(a[column], b[column]));
  return descending ? found.reverse() : found;
}

export function total(expenses) {
  return expenses.reduce((sum, one) => sum + one.amount, 0);
}

// Categories that have expenses, with their sums.
export function totals(expenses) {
  return CATEGORIES.map((category) => {
    const own = expenses.filter((one) => one.category === category);
    return { category, count: own.length, amount: total(own) };
  }).filter((one) => one.count > 0);
}

function byNumber(a, b) {
  return a - b;
}

function byWord(a, b) {
  return a.localeCompare(b, "en", { sensitivity: "base" });
}
