// What stays in the browser between visits.

const EXPENSES = "ledger.expenses";
const THEME = "ledger.theme";

export function loadExpenses(storage) {
  return JSON.parse(storage.getItem(EXPENSES) ?? "[]");
}

export function saveExpenses(storage, expenses) {
  storage.setItem(EXPENSES, JSON.stringify(expenses));
}

export function loadTheme(storage) {
  return storage.getItem(THEME) === "dark" ? "dark" : "light";
}

export function saveTheme(storage, theme) {
  storage.setItem(THEME, theme);
}
