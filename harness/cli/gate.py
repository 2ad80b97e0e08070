"""Driving `harness gate`: the words, the facts, the annotations, the exit code."""

from __future__ import annotations

import json
import os
import secrets
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from harness.console import watch
from harness.console_text import one_line, plain
from harness.events import Events
from harness.project import find_git

if TYPE_CHECKING:
    from harness.gate import Asked, Claim, Gated

SHOWN_CHARACTERS = 3000
"""Of a reason, with what page and server said."""
_WORDS = {"refused": "REFUSED ", "failed": "FAILED  ", "unproved": "UNPROVED"}


@dataclass(frozen=True)
class Wish:
    """What a person asked for."""

    directory: Path
    asked: Asked
    keep: bool = False
    as_json: bool = False
    junit: Path | None = None
    github: bool = False
    flags: Mapping[str, Any] = field(default_factory=dict)


async def gate_once(wish: Wish) -> int:
    """Look at what is claimed and tell it; returns the exit code. Progress goes to standard error.

    Raises: HarnessError: there is no verdict.
    """
    from harness.runtime import check_claims

    events = Events()
    with watch(events, sys.stderr):
        gated = await check_claims(wish.directory, wish.asked, keep=wish.keep, flags=dict(wish.flags), events=events)
    if wish.junit:
        from harness.verify.junit import write_junit

        write_junit(wish.junit, Path(os.path.realpath(wish.directory)).name, gated.as_replays())
    text = as_json(gated) if wish.as_json else as_text(gated)
    typer.echo("\n".join(as_github(gated, text, _prefix(wish.directory))) if wish.github else text)
    return 0 if gated.passed else 1


def as_text(gated: Gated) -> str:
    """What is not so, each with its evidence, then one line for all; foreign text stays fenced."""
    lines: list[str] = []
    for claim in gated.claims:
        if not claim.is_so:
            lines += [one_line(f"{_WORDS[claim.state]}  {claim.what}  {claim.text}", 300), *_reason(claim)]
    lines += [f"note      {note}" for note in notes_of(gated)]
    return "\n".join([*lines, *[""] * bool(lines), _summary(gated)])


def notes_of(gated: Gated) -> list[str]:
    """What a person should know and stops nothing, a line each."""
    return [one_line(note, 400) for note in gated.notes]


def _reason(claim: Claim) -> Iterator[str]:
    text = plain(claim.reason.strip())
    cut = text if len(text) <= SHOWN_CHARACTERS else f"{text[:SHOWN_CHARACTERS]}\n[the rest is in the evidence]"
    yield from (f"          {line}" for line in cut.split("\n") if line.strip())
    if claim.evidence:
        yield f"          evidence: {one_line(claim.evidence)}"


def _summary(gated: Gated) -> str:
    wrong = [claim for claim in gated.claims if not claim.is_so]
    if any(claim.state == "refused" for claim in wrong):
        files = ", ".join(dict.fromkeys(claim.file for claim in wrong))
        more = " To claim that a feature is done: `harness gate --feature ID`." if "features.json" in files else ""
        return f"Refused: {files}. Nothing was replayed, because proofs are read from such files.{more}"
    if wrong:
        mend = " Mend the application, then run this again." if any(c.state == "failed" for c in wrong) else ""
        return f"Not so: {len(wrong)} of {len(gated.claims)} claimed.{mend}"
    if not gated.claims:
        return "Nothing is claimed: no feature passes in the list, and there is no gate of the project."
    held = sum(claim.state == "held" for claim in gated.claims)
    proved = ", ".join(claim.what for claim in gated.claims if claim.state == "proved")
    said = f", {held} of them by an earlier look at these very files" if held else ""
    count = len(gated.claims)
    so = f"All {count} claims are so" if count > 1 else "What is claimed is so"
    return f"{so}{said}." + (f" Proved now: {proved}." if proved else "")


def as_json(gated: Gated) -> str:
    """The facts for a program."""
    claims = [{**vars(claim), "is_so": claim.is_so} for claim in gated.claims]
    facts = {"passed": gated.passed, "claims": claims, "notes": list(gated.notes), "at": gated.at.isoformat()}
    return json.dumps(facts, indent=2, ensure_ascii=False)


def as_github(gated: Gated, text: str, prefix: str) -> Iterator[str]:
    """Annotations as GitHub's runner reads them, after the text, in which it is told to read none.

    Args:
        prefix: the project's directory in its repository; empty when they are the same.

    Source: GitHub's documentation, workflow commands; the escapes are those of its own toolkit.
    """
    token = secrets.token_hex(16)  # what a page said must not be able to end the quotation
    yield from (f"::stop-commands::{token}", text, f"::{token}::")
    for claim in gated.claims:
        if not claim.is_so:
            where = _property(os.path.normpath(os.path.join(prefix, claim.file)))  # noqa: PTH118 - a name, not a path here
            title = _property(one_line(f"{claim.what}: {claim.text}", 200))
            yield f"::error file={where},title={title}::{_data(plain(claim.reason.strip())[:SHOWN_CHARACTERS])}"
    for note in notes_of(gated):
        yield f"::notice::{_data(note)}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")


def _prefix(directory: Path) -> str:
    found = find_git(directory)
    prefix = os.path.relpath(os.path.realpath(directory), found.root) if found else "."
    return "" if prefix == "." else prefix
