"""The time that pages read, moved without waiting.

Only what JavaScript asks for the date is moved: `Date` and `Intl.DateTimeFormat`. Timers, animations, cookies, workers
and the server go by the real time.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from harness.browser.failed import ActFailed

_STEP = re.compile(r"([+-]\d+) ?(second|minute|hour|day|week)s?", re.IGNORECASE)

_SCRIPT = """((moved) => {
  const Real = Date, now = () => Real.now() + moved;
  const Moved = new Proxy(Real, {
    construct: (_, args, to) => Reflect.construct(Real, args.length ? args : [now()], to),
    apply: () => new Real(now()).toString(),
    get: (_, key) => (key === 'now' ? now : Reflect.get(Real, key)) });
  Real.prototype.constructor = Moved;
  globalThis.Date = Moved;
  const formats = Intl.DateTimeFormat.prototype, format = Object.getOwnPropertyDescriptor(formats, 'format').get;
  Object.defineProperty(formats, 'format', { configurable: true, get() {
    const own = format.call(this); return (date = now()) => own(date) } });
})(%r)"""


def moved_to(value: str, now_ms: float) -> float:
    """The time to show instead of `now_ms`: an ISO date or time (UTC where it says nothing), or a step: `+1 day`.

    Shape: milliseconds since 1970, both.
    Raises: ActFailed: it is neither.
    """
    if step := _STEP.fullmatch(value.strip()):
        return now_ms + timedelta(**{f"{step[2].lower()}s": int(step[1])}).total_seconds() * 1000
    try:
        moment = datetime.fromisoformat(value.strip())
    except ValueError:
        raise ActFailed(
            f"the clock takes a date, a time such as 2024-05-01T10:00, or a step such as +1 day: {value!r}"
        ) from None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000


def script(moved_ms: float) -> str:
    """What moves the clock of a document on, from wherever it stands."""
    return _SCRIPT % moved_ms
