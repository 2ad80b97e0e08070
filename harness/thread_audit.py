"""The audit of a thread: each thing that was done, refused or decided, one sealed line each, beside its trajectory.

    {"seq", "prev", "at", "session", "kind", "what", "decision", "by", "digest", "detail", "hash"}

A trajectory tells what happened in full, for reading; the audit tells what was done in the person's name, for proof. It
listens to the same events. A line is on the disk before the next thing happens, and the file lies where nothing that
runs in the sandbox can see it. `harness.chain` seals the lines; the commits of the thread carry the number and the hash
of the last one (`Verdict.done` in `checks/audit.jsonl`), so that an end that was cut off, or a chain forged anew, does
not fit the history. What was done after the last commit is held by the seals alone; and a file that begins by going on
from such a line, as on another machine, holds nothing of what came before, which is said wherever it is verified.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from harness.chain import ChainFile, Sealed, load_chain
from harness.errors import ContractError, FeatureFileError
from harness.events import (
    Committed,
    Decided,
    FileChanged,
    NetworkAsked,
    StateChanged,
    Steered,
    ToolReturned,
    VerdictReached,
)
from harness.trajectory import OUTSIDE, session_after

Kind = Literal[
    "command",
    "file",
    "browser",
    "tool",
    "network",
    "verdict",
    "commit",
    "state",
    "dispute",
    "sandbox",
    "word",
    "continued",
]

BROKEN = (
    "From there on it proves nothing; `harness log` tells the same from the trajectory. Moved away, it begins anew."
)
NOT_WHOLE = "It begins after line {before:.12}: earlier lines lie where the thread ran before, or were taken away."
CHARACTERS = 2000
"""Of what is told of one thing; all of it is named by its digest."""
_ACTS: dict[str, Kind] = {
    "run_command": "command",
    "browser_open": "browser",
    "write_file": "file",
    "edit_file": "file",
}
"""Tools whose calls are told whatever came of them; of the others only what policy refused."""
_ABOUT = ("command", "path", "name", "pattern")
"""The argument that tells what a call is about."""
_USERINFO = re.compile(r"(://)[^/?#\s@'\"]*@")


class Deed(BaseModel):
    """What one line says."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    kind: Kind
    what: str
    """The command, path, address, feature or commit."""
    decision: str
    """allowed, refused (by policy), not done (wrong or failed), passed, failed, committed, parked, ..."""
    by: str
    """Who decided: policy, harness (code), person, second author."""
    session: str = ""
    digest: str = ""
    """SHA-256 of the whole command, or of a file's new content."""
    detail: str = ""
    """What came of it, or why."""


class Line(Deed, Sealed):
    """A deed in its place in the chain."""


class ThreadAudit:
    """A listener that writes. Made for one thread, by the one process that owns the project.

    Args:
        path: the file.
        mask: takes keys and passwords out of a text.
        continues: the line that the thread's last commit carries, when this file begins on another machine.

    Raises: SetupError: the file cannot be written; a run without its audit must not go on.
    """

    def __init__(self, path: Path, mask: Callable[[str], str] = str, continues: str = "") -> None:
        self._mask, self._session = mask, OUTSIDE
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = ChainFile(path)
        if continues and not self._file.length:
            why = "earlier lines lie where the thread ran before"
            self._append(Deed(kind="continued", what=continues, decision="continued", by="harness", detail=why), {})

    @property
    def head(self) -> str:
        """Number and hash of the last line, for a commit to carry."""
        return f"{self._file.length} {self._file.head}"

    def __call__(self, event: Any) -> None:
        """Write what an event says of deeds, if it says any."""
        self._session = session_after(self._session, event)
        if (teller := _TELLERS.get(event.kind)) and (deed := teller(event)):
            self._append(deed, {"at": event.at.isoformat(timespec="seconds")})

    def close(self) -> None:
        """Let others write."""
        self._file.close()

    def _append(self, deed: Deed, more: dict[str, str]) -> None:
        said = deed.model_copy(update={"session": self._session}).model_dump(mode="json", exclude_defaults=True)
        for name in ("what", "detail"):
            if name in said:
                said[name] = self._shown(said[name])
        self._file.append({**more, **said})

    def _shown(self, text: str) -> str:
        """Text without secrets, bounded; masked first, or half of a secret would stay."""
        plain = _USERINFO.sub(r"\1[secret]@", self._mask(text)).encode(errors="replace").decode()
        return plain if len(plain) <= CHARACTERS else f"{plain[:CHARACTERS]}[{len(plain)} characters]"


def audit_file(trajectories_dir: Path, thread_id: str) -> Path:
    """Where the audit of a thread lies: beside the directory of its trajectory."""
    return trajectories_dir / f"{thread_id}.audit.jsonl"


def load_audit(path: Path) -> list[Line]:
    """The lines of a thread; empty when there are none on this machine.

    Raises: ContractError: a line does not fit; the first such one is named.
    """
    try:
        return load_chain(path, Line)
    except FeatureFileError as exc:
        raise ContractError(exc.what, BROKEN) from exc


def readable(path: Path) -> list[Line]:
    """The lines that can be read at all, whether or not they fit."""
    lines = []
    for row in path.read_bytes().split(b"\n") if path.exists() else ():
        with suppress(ValueError):
            lines.append(Line.model_validate_json(row))
    return lines


def begins_after(lines: Sequence[Line]) -> str:
    """Number and hash of the line that a file goes on from whose earlier lines are not in it; empty: it is whole.

    They lie where the thread ran before, or somebody took them away: which of the two nothing here can tell.
    """
    return lines[0].what if lines and lines[0].kind == "continued" else ""


def unanchored(lines: Sequence[Line], anchors: Sequence[str]) -> str:
    """The first disagreement between the lines and what the thread's commits carry; empty: none.

    Args:
        anchors: number and hash, oldest first.
    """
    begun = begins_after(lines)
    own = anchors[anchors.index(begun) + 1 :] if begun in anchors else anchors
    for anchor in own:
        number, _, wanted = anchor.partition(" ")
        if not number.isdecimal():
            return f"A commit carries {anchor[:40]!r}, which names no line."
        seq = int(number)
        if seq > len(lines):
            return f"A commit carries line {seq}, and only {len(lines)} are there: the end was cut off."
        if seq and lines[seq - 1].hash != wanted:
            return f"Line {seq} is not the one that a commit carries: lines were written anew."
    return ""


def _tool(event: ToolReturned) -> Deed | None:
    kind = _ACTS.get(event.name)
    if event.outcome == "refused":
        return Deed(kind=kind or "tool", what=_about(event), decision="refused", by="policy", detail=event.result)
    if kind is None or (kind == "file" and event.outcome == "ok"):  # `_file` tells that, with the digest
        return None
    came_of_it = event.result.partition("\n")[0]
    again = "again after a kill; " if event.again else ""
    return Deed(
        kind=kind,
        what=_about(event),
        decision="allowed" if event.outcome == "ok" else "not done",
        by="policy" if event.outcome == "ok" else "harness",
        digest=hashlib.sha256(_about(event).encode(errors="replace")).hexdigest() if kind == "command" else "",
        detail=f"{again}{came_of_it}",
    )


def _about(event: ToolReturned) -> str:
    found = next((event.args[name] for name in _ABOUT if isinstance(event.args.get(name), str)), "")
    return str(found) if event.name in _ACTS else f"{event.name} {found}".strip()


def _file(event: FileChanged) -> Deed:
    return Deed(kind="file", what=event.path, decision="allowed", by="policy", digest=event.sha256)


def _decided(event: Decided) -> Deed:
    return Deed(kind=event.topic, what=event.what, decision=event.decision, by=event.by, detail=event.reason)


def _word(event: Steered) -> Deed:
    return Deed(kind="word", what=event.text, decision="told", by="person", detail=event.word_id)


def _network(event: NetworkAsked) -> Deed:
    decision = "allowed" if event.allowed else "refused"
    return Deed(
        kind="network",
        what=f"{event.host}:{event.port}",
        decision=decision,
        by="policy",
        detail=event.reason or event.address,
    )


def _verdict(event: VerdictReached) -> Deed:
    decision = "passed" if event.passed else "failed"
    return Deed(kind="verdict", what=event.feature_id, decision=decision, by="harness", detail=event.reason)


def _commit(event: Committed) -> Deed:
    what = f"{event.commit_sha} {event.subject}"
    return Deed(kind="commit", what=what, decision="committed", by="harness", detail=event.regressed)


def _state(event: StateChanged) -> Deed:
    return Deed(kind="state", what=event.feature_id, decision=event.change, by=event.by, detail=event.reason)


_TELLERS: dict[str, Callable[[Any], Deed | None]] = {
    "tool": _tool,
    "file": _file,
    "decision": _decided,
    "word": _word,
    "network": _network,
    "verdict": _verdict,
    "commit": _commit,
    "state": _state,
}
