"""What a person sees of a run: a live display on a terminal, plain lines anywhere else.

Both listen to the events and change nothing. A console that can no longer be written to (a closed pipe) falls silent
instead of ending a run that works for hours unattended.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, Any, Protocol

from harness.console_text import call_line, event_line, one_line

if TYPE_CHECKING:
    from rich.console import Console as RichConsole
    from rich.console import Group
    from rich.table import Table

    from harness.events import Event, Events
    from harness.features import Feature, FeatureList

_LASTING = {"commit": "green", "state": "yellow", "notice": "", "contract": "dim", "word": "cyan"}
"""Events that stay on the screen, and their colour; a verdict stays when it says no."""

_COLUMNS = ("feature", "state", "commit", "proof", "what", "evidence")
_COLOURS = {"passed": "green", "parked": "yellow", "claimed": "cyan", "open": ""}


class Display(Protocol):
    """A listener that can make room for a question."""

    def __call__(self, event: Event) -> None:
        """Show an event."""

    def say(self, text: str) -> None:
        """Show a line of our own."""

    def paused(self) -> contextlib.AbstractContextManager[None]:
        """Leave the screen to somebody else for a while."""


@contextmanager
def watch(
    events: Events, stream: IO[str], totals: Callable[[], str] | None = None, *, is_live: bool | None = None
) -> Iterator[Display]:
    """Show events on a stream until the block ends.

    Args:
        totals: "3 of 8 features pass", asked when a feature begins.
        is_live: None: when the stream is a terminal.
    """
    live = stream.isatty() if is_live is None else is_live
    display = LiveDisplay(stream, totals) if live else PlainDisplay(stream)
    forget = events.listen(display)
    try:
        with display.running() if isinstance(display, LiveDisplay) else contextlib.nullcontext():
            yield display
    finally:
        forget()


class PlainDisplay:
    """Lines without times or colours, for files and pipes."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream
        self._is_open = True
        self._said = ""

    def __call__(self, event: Event) -> None:
        """Show an event."""
        if line := event_line(event, self._said):
            self.say(line)
            self._said = event.reason if event.kind == "replay" else self._said

    def say(self, text: str) -> None:
        """Show a line."""
        if not self._is_open:
            return
        try:
            encoding = getattr(self._stream, "encoding", None) or "utf-8"
            print(text.encode(encoding, "replace").decode(encoding), file=self._stream, flush=True)
        except (OSError, ValueError):  # nobody reads any more
            self._is_open = False

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Nothing is in the way."""
        yield


class LiveDisplay:
    """Lasting lines above, and below them what is going on now."""

    def __init__(self, stream: IO[str], totals: Callable[[], str] | None = None) -> None:
        from rich.live import Live

        self._console = rich_console(stream)
        self._totals = totals or (lambda: "")
        self._started = time.monotonic()
        self._stage = self._feature = self._doing = self._total = ""
        self._tokens, self._cost = 0, 0.0
        self._live = Live(console=self._console, get_renderable=self._render, refresh_per_second=4, transient=True)

    @contextmanager
    def running(self) -> Iterator[None]:
        """Draw until the block ends."""
        with self._live:
            yield

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Take the display away for a question."""
        self._live.stop()
        try:
            yield
        finally:
            self._live.start(refresh=True)

    def __call__(self, event: Event) -> None:
        """Show an event."""
        self._note(event)
        lasts = event.kind in _LASTING or (event.kind == "verdict" and not event.passed)
        if lasts and (line := event_line(event)):
            self.say(line, _LASTING.get(event.kind, "red"))

    def say(self, text: str, style: str = "") -> None:
        """Show a lasting line."""
        from rich.text import Text

        with contextlib.suppress(OSError, ValueError):  # nobody reads any more
            self._console.print(Text(text, style=style))

    def _note(self, event: Any) -> None:
        if event.kind == "stage":
            self._stage, self._doing = one_line(event.stage), ""
            self._feature = one_line(f"{event.feature_id} {event.detail}", 200)
            if event.stage in ("select", "commit", "orient"):
                self._total = self._totals()
        elif event.kind == "model":
            self._tokens += event.input_tokens + event.output_tokens
            self._cost += event.cost_usd
            self._doing = one_line(f"turn {event.turn}: {event.text}", 300)
        elif event.kind == "tool":
            self._doing = call_line(event.name, event.args, 300)
        elif event.kind == "progress":
            self._doing = one_line(f"{event.done} of {event.total or '?'} {event.detail}", 300)

    def _render(self) -> Group:
        from rich.console import Group
        from rich.text import Text

        seconds = int(time.monotonic() - self._started)
        cost = f", ${self._cost:.2f}" if self._cost else ""
        clock = f"{seconds // 3600}:{seconds // 60 % 60:02}:{seconds % 60:02}, {self._tokens:,} tokens{cost}"
        lines = [Text.assemble((self._stage or "starting", "bold cyan"), " ", self._feature)]
        lines += [Text(f"  {self._doing}", style="dim")] * bool(self._doing)
        lines += [Text(", ".join(filter(None, (self._total, clock))), style="dim")]
        for line in lines:
            line.truncate(max(self._console.width - 1, 1), overflow="ellipsis")
        return Group(*lines)


def rich_console(stream: IO[str], width: int | None = None) -> RichConsole:
    """Rich, told to interpret nothing; it respects NO_COLOR and dumb terminals itself."""
    from rich.console import Console

    return Console(file=stream, markup=False, emoji=False, highlight=False, width=width)


def features_table(
    features: FeatureList, commits: Mapping[str, str] | None = None, evidence: Mapping[str, str] | None = None
) -> Table:
    """The list as a table; columns that would be empty are left out.

    Args:
        commits: feature id -> sha.
        evidence: feature id -> where its evidence lies.
    """
    from rich.table import Table
    from rich.text import Text

    rows = [
        (
            Text(feature.id),
            Text(feature.state, style=_COLOURS[feature.state]),
            Text((commits or {}).get(feature.id, "")[:10]),
            Text(proof_words(feature)),
            Text(one_line(feature.description)),
            Text((evidence or {}).get(feature.id, "")),
        )
        for feature in features.features
    ]
    filled = [n for n in range(len(_COLUMNS)) if any(row[n].plain for row in rows)]
    table = Table(box=None, pad_edge=False, show_edge=False, header_style="bold")
    for n in filled:
        table.add_column(_COLUMNS[n], no_wrap=n < 3, overflow="fold")
    for row in rows:
        table.add_row(*(row[n] for n in filled))
    return table


def print_table(table: Table, stream: IO[str]) -> None:
    """Print a table as wide as the terminal; wide enough to read where there is none."""
    rich_console(stream, None if stream.isatty() else 200).print(table)


def proof_words(feature: Feature) -> str:
    """`3 red, 1 perturbed`; empty without a proof."""
    if not feature.proof:
        return ""
    counts = {"red": feature.proof.red, "perturbed": feature.proof.perturbed, "person": feature.proof.person}
    return ", ".join(f"{count} {kind}" for kind, count in counts.items() if count)
