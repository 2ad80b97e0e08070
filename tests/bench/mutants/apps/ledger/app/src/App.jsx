import { useEffect, useRef, useState } from "preact/hooks";
import { ExpenseDialog } from "./ExpenseDialog.jsx";
import { ExpenseTable } from "./ExpenseTable.jsx";
import { Totals } from "./Totals.jsx";
import { addExpense, matching, removeExpense, sorted } from "./expenses.js";
import { loadExpenses, loadTheme, saveExpenses, saveTheme } from "./storage.js";

export function App() {
  const [expenses, setExpenses] = useState(() => loadExpenses(localStorage));
  const [theme, setTheme] = useState(() => loadTheme(localStorage));
  const [query, setQuery] = useState("");
  const [order, setOrder] = useState({ column: null, descending: false });
  const [isOpen, setOpen] = useState(false);
  const adder = useRef(null);

  useEffect(() => saveExpenses(localStorage, expenses), [expenses]);
  useEffect(() => {
    document.documentElement.dataset.theme = theme;
    saveTheme(localStorage, theme);
  }, [theme]);

  function close() {
    setOpen(false);
    adder.current.focus();
  }

  function save(draft) {
    setExpenses(addExpense(expenses, draft));
    close();
  }

  function sort(column) {
    setOrder({ column, descending: order.column === column && !order.descending });
  }

  const shown = sorted(matching(expenses, query), order.column, order.descending);
  const other = theme === "dark" ? "light" : "dark";
  return (
    <div class="page">
      <header>
        <h1>Ledger</h1>
        <button class="quiet" onClick={() => setTheme(other)}>{`Use ${other} theme`}</button>
      </header>
      <div class="bar">
        <div>
          <label for="search">Search expenses</label>
          <input id="search" type="search" value={query} onInput={(event) => setQuery(event.currentTarget.value)} />
        </div>
        <button ref={adder} onClick={() => setOpen(true)}>Add expense</button>
      </div>
      <div class="columns">
        <section class="panel" aria-label="Expenses">
          {shown.length > 0 && <ExpenseTable expenses={shown} order={order} onSort={sort} onRemove={(id) => setExpenses(removeExpense(expenses, id))} />}
          {expenses.length === 0 && <p class="soft">No expenses yet.</p>}
          {expenses.length > 0 && shown.length === 0 && <p class="soft">No expenses match your search.</p>}
        </section>
        <Totals expenses={shown} />
      </div>
      {isOpen && <ExpenseDialog onSave={save} onClose={close} />}
    </div>
  );
}
