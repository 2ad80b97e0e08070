import { useEffect, useRef, useState } from "preact/hooks";
import { CATEGORIES, problems } from "./expenses.js";

const EMPTY = { description: "", amount: "", category: "Food" };

export function ExpenseDialog({ onSave, onClose }) {
  const [draft, setDraft] = useState(EMPTY);
  const [wrong, setWrong] = useState({});
  const first = useRef(null);

  useEffect(() => first.current.focus(), []);
  useEffect(() => {
    const onKey = (event) => event.key === "Escape" && onClose();
    document.addEventListener("keydown", onKey);
    return () => document.removeEventListener("keydown", onKey);
  }, [onClose]);

  function change(name) {
    return (event) => setDraft({ ...draft, [name]: event.currentTarget.value });
  }

  function submit(event) {
    event.preventDefault();
    const found = problems(draft);
    setWrong(found);
    if (Object.keys(found).length === 0) onSave(draft);
  }

  return (
    <div class="veil">
      <form class="dialog" role="dialog" aria-modal="true" aria-labelledby="dialog-title" onSubmit={submit} noValidate>
        <h2 id="dialog-title">New expense</h2>
        <div class="field">
          <label for="description">Description</label>
          <input id="description" ref={first} value={draft.description} onInput={change("description")} autocomplete="off" />
          {wrong.description && <p class="wrong" role="alert">{wrong.description}</p>}
        </div>
        <div class="field">
          <label for="amount">Amount</label>
          <input id="amount" inputmode="decimal" value={draft.amount} onInput={change("amount")} autocomplete="off" />
          {wrong.amount && <p class="wrong" role="alert">{wrong.amount}</p>}
        </div>
        <div class="field">
          <label for="category">Category</label>
          <select id="category" value={draft.category} onChange={change("category")}>
            {CATEGORIES.map((name) => <option key={name}>{name}</option>)}
          </select>
        </div>
        <div class="buttons">
          <button type="button" class="quiet" onClick={onClose}>Cancel</button>
          <button>Save</button>
        </div>
      </form>
    </div>
  );
}
