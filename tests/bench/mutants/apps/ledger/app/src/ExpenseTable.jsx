import { money } from "./expenses.js";

const COLUMNS = [
  ["description", "Description"],
  ["category", "Category"],
  ["amount", "Amount"],
];

export function ExpenseTable({ expenses, order, onSort, onRemove }) {
  return (
    <table>
      <thead>
        <tr>
          {COLUMNS.map(([column, title]) => <Heading key={column} column={column} title={title} order={order} onSort={onSort} />)}
          <th />
        </tr>
      </thead>
      <tbody>
        {expenses.map((one) => (
          <tr key={one.id}>
            <td>{one.description}</td>
            <td>{one.category}</td>
            <td class="amount">{money(one.amount)}</td>
            <td>
              <button class="quiet small" aria-label={`Delete ${one.description}`} onClick={() => onRemove(one.id)}>Delete</button>
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

function Heading({ column, title, order, onSort }) {
  const active = order.column === column;
  const direction = order.descending ? "descending" : "ascending";
  return (
    <th class={column === "amount" ? "amount" : ""} aria-sort={active ? direction : "none"}>
      <button onClick={() => onSort(column)}>{title}</button>
      {active && <span aria-hidden="true">{order.descending ? " ▼" : " ▲"}</span>}
    </th>
  );
}
