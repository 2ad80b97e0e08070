import { money, total, totals } from "./expenses.js";

export function Totals({ expenses }) {
  return (
    <section class="panel" aria-label="Totals">
      <h2>Totals</h2>
      <dl>
        {totals(expenses).map(({ category, amount }) => (
          <>
            <dt>{category}</dt>
            <dd>{money(amount)}</dd>
          </>
        ))}
        <dt class="total">Total</dt>
        <dd class="total">{money(total(expenses))}</dd>
      </dl>
    </section>
  );
}
