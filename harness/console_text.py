"""Foreign text made safe for a terminal, and events said in one line each.

What a model, a page or a program wrote may hold colours, cursor movements, titles, clipboard codes, line breaks and
characters that turn the reading direction. All of that is taken out here; nothing in it is ever markup.
"""

from __future__ import annotations

import re
import textwrap
import unicodedata
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from harness import events

_ESCAPES = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]?"  # colours and cursor
    r"|(?:\x1b[\]PX^_]|[\x9d\x90\x98\x9e\x9f])[^\x07\x1b\x9c\n]*(?:\x07|\x1b\\|\x9c|(?=\n)|$)"  # titles, clipboard
    r"|\x1b[ -/]*[0-~]?"
)
_KEPT = "\n\t"


def plain(text: str) -> str:
    """Text with its lines, without anything that could command a terminal."""
    if text.isascii() and text.isprintable():
        return text
    unescaped = _ESCAPES.sub("", text.replace("\r\n", "\n"))
    return "".join(c if c in _KEPT or not _is_unprintable(c) else " " for c in unescaped)


def one_line(text: str, width: int = 0) -> str:
    """Text on one line.

    Args:
        width: characters at most; 0: all.
    """
    line = " ".join(plain(text).split())
    return line if not width or len(line) <= width else f"{line[: max(width - 3, 0)]}..."


def wrapped(head: str, text: str, width: int) -> str:
    """A head and its text; what does not fit goes on at a blank or a slash, below the text.

    Args:
        width: characters a line may have; 0: all.
    """
    if not width:
        return f"{head}{text}"
    pad = " " * min(len(head), width // 3)
    first = head if head.strip() else pad
    lines = _Wrapper(max(width, 1), initial_indent=first, subsequent_indent=pad, break_on_hyphens=False).wrap(text)
    return "\n".join(lines) or head


class _Wrapper(textwrap.TextWrapper):
    """Paths are broken after a slash."""

    wordsep_simple_re = re.compile(r"(\s+|(?<=/)(?=[^\s/]))")


def call_line(name: str, args: dict[str, Any], width: int = 100) -> str:
    """A tool call: its name, then its values, the first ones first."""
    shown = (one_line(v if isinstance(v, str) else repr(v), 60) for v in args.values())
    return one_line(f"{name} {' '.join(shown)}", width)


def gist(reason: str) -> str:
    """A reason up to its first fence; what a fence quotes is for a model, and lies in the evidence."""
    return reason.partition("<<data ")[0].rstrip()


def event_line(event: events.Event, said: str = "") -> str:
    """An event in one line; empty for one that says nothing to somebody who watches.

    Args:
        said: the reason that was told last; a verdict does not repeat it.
    """
    if event.kind == "verdict":
        return _verdict(event, said)
    teller = _TELLERS.get(event.kind)
    return teller(event) if teller else ""


def _is_unprintable(char: str) -> bool:
    return unicodedata.category(char) in {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"}


def _stage(event: events.StageStarted) -> str:
    return one_line(f"{event.stage} {event.feature_id} {event.detail}", 160)


def _progress(event: events.Progressed) -> str:
    if event.stage != "plan" and event.done != event.total:
        return ""
    total = f" of {event.total}" if event.total else ""
    return one_line(f"{event.stage} {event.done}{total} {event.detail}", 160)


def _session(event: events.SessionStarted) -> str:
    repair = f", repair {event.attempt}" if event.attempt else ""
    return one_line(f"session {event.session_id} on {event.feature_id}{repair}")


def _tool(event: events.ToolReturned) -> str:
    outcome = "" if event.outcome == "ok" else f" ({event.outcome})"
    return f"  {call_line(event.name, event.args)}{outcome}"


def _recall(event: events.Recalled) -> str:
    titles = "; ".join(one_line(title, 60) for title in event.titles[:3]) or "nothing"
    return one_line(f"recalled by {event.source}: {titles}", 200)


def _word(event: events.Steered) -> str:
    return one_line(f"told the session: {event.text}", 300)


def _contract(event: events.ContractWritten) -> str:
    return one_line(f"contract {event.feature_id}: {event.acts} acts, {event.expectations} expectations")


def _binding(event: events.NamesBound) -> str:
    if not event.problems and not event.last_resort:
        return ""
    said = [*event.problems, *(f"{name!r} is found by css or position only" for name in event.last_resort)]
    return one_line(f"binding {event.feature_id} ({event.calls} calls): {'; '.join(said)}", 400)


def _replay(event: events.CheckReplayed) -> str:
    if event.purpose == "verify":
        return one_line(f"replayed {event.feature_id} ({event.seconds:.1f} s)")  # the result tells why it failed
    if event.purpose in ("red", "perturb") or event.passed:
        return ""  # failing is what these are for
    return one_line(f"replay {event.feature_id} ({event.purpose}) failed: {gist(event.reason)}", 400)


def _verdict(event: events.VerdictReached, said: str) -> str:
    if not event.passed:
        reason = gist(event.reason).removesuffix(gist(said))
        return one_line(": ".join(filter(None, (f"verdict {event.feature_id}: not yet", reason))), 600)
    proof = ", ".join(f"{count} {kind}" for kind, count in event.proof.items() if count)
    return one_line(f"verdict {event.feature_id}: passed ({proof or 'no proof counted'})")


def _commit(event: events.Committed) -> str:
    regressed = f" ({event.regressed})" if event.regressed else ""
    return one_line(f"commit {event.commit_sha[:10]} {event.subject}{regressed}", 200)


def _state(event: events.StateChanged) -> str:
    reason = gist(event.reason).removeprefix(f"{event.change} ")
    is_told = reason != gist(event.reason)  # by the reason itself: "reopened by a person"
    said = f"{event.feature_id} {event.change} " if is_told else f"{event.change} {event.feature_id}: "
    return one_line(said + reason, 600).removesuffix(":")


def _network(event: events.NetworkAsked) -> str:
    return "" if event.allowed else one_line(f"network: refused {event.host}:{event.port}: {event.reason}", 300)


def _notice(event: events.Noticed) -> str:
    return one_line(f"warning: {event.text}" if event.level == "warning" else event.text)


_TELLERS: dict[str, Any] = {
    "stage": _stage,
    "progress": _progress,
    "session": _session,
    "tool": _tool,
    "recall": _recall,
    "contract": _contract,
    "word": _word,
    "binding": _binding,
    "replay": _replay,
    "commit": _commit,
    "state": _state,
    "network": _network,
    "notice": _notice,
}
