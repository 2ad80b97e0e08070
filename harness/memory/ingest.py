"""What is known before the first session, as records: specification, plan, history, older notes. One fact each."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

from harness.memory.record import MAX_TOKENS, Record, clean_text, count_tokens, cut_text, make_record

_HEADING = re.compile(r"^#{1,6}\s+(.*)$")
_ITEM = re.compile(r"^\s*(?:[-*+]|\d+[.)])\s+")
_SLICE = 4_000
"""Characters of a sentence that are looked at together."""
DOCUMENT = "(document)"
"""Stands in the place of a feature's id in records of documents that a person added; no feature has such an id."""
_SENTENCE = re.compile(r"(?<=[.!?;])\s+")
_BODY = 600
"""Characters of a commit's reasons."""


@dataclass(frozen=True)
class HistoryEntry:
    """One commit as git tells it."""

    commit_sha: str
    subject: str
    files: tuple[str, ...]
    date: datetime
    body: str = ""
    """Why, where it is told."""


def spec_records(project: str, text: str, thread: str = "") -> list[Record]:
    """A specification, one record a paragraph or list item, each under its heading. Line numbers are not part of
    the key, so that a specification that grew is not remembered twice.
    """  # noqa: D205 - one thought
    facts = (f"{heading}: {fact}" if heading else fact for heading, fact in _facts(text))
    return [make_record(project, "knowledge", fact, source="spec", thread=thread) for fact in dict.fromkeys(facts)]


def plan_records(project: str, features: Iterable[tuple[str, str]], thread: str = "") -> list[Record]:
    """A plan, one record a feature: (feature id, description)."""
    return [
        make_record(project, "knowledge", f"feature {name}: {text}", source="plan", feature=name, thread=thread)
        for name, text in features
        if clean_text(text)
    ]


def progress_records(project: str, text: str, source: str, thread: str = "", most: int = 200) -> list[Record]:
    """Notes of earlier sessions, one record a paragraph or list item, each under its heading.

    Args:
        most: records; the last of the text are kept, which are the newest.
    """
    facts = dict.fromkeys(f"{heading}: {fact}" if heading else fact for heading, fact in _facts(text))
    kept = list(facts)[-most:]
    return [make_record(project, "progress", fact, source=source, thread=thread) for fact in kept]


def document_records(project: str, name: str, text: str, *, is_code: bool, files: Iterable[str] = ()) -> list[Record]:
    """A document a person added, in pieces as large as a record can be, each under its name and headings.

    A piece does not say at which line it stands, so that a document that grew keeps the records of what stayed.

    Args:
        name: what it is called in memory.
        is_code: nothing in it is a heading; pieces end at blank lines.
        files: its path, where it lies in the project.
    """
    title = cut_text(name.rpartition("/")[2], MAX_TOKENS // 8)
    sections = [("", _blank_separated(text))] if is_code else _sections(text)
    facts = [
        f"{title}{heading}\n{piece}"
        for heading, blocks in sections
        for piece in _packed(blocks, MAX_TOKENS - count_tokens(f"{title}{heading}") - 2)
    ]
    source = document_source(name)
    return [
        make_record(project, "knowledge", fact, source=source, feature=DOCUMENT, files=files)
        for fact in dict.fromkeys(facts)
    ]


def document_source(name: str) -> str:
    """The source of the records of a document."""
    return f"document {name}"


def history_records(project: str, entries: Iterable[HistoryEntry]) -> list[Record]:
    """A git history, one record a commit, as old as the commit."""
    return [
        make_record(
            project,
            "commit",
            _commit_text(entry),
            source=f"git {entry.commit_sha[:12]}",
            files=entry.files,
            commit=entry.commit_sha,
            created_at=entry.date,
        )
        for entry in entries
        if clean_text(entry.subject)
    ]


def _commit_text(entry: HistoryEntry) -> str:
    files = f"files: {', '.join(entry.files[:12])}" if entry.files else ""
    return "\n".join(part for part in (entry.subject, files, entry.body[:_BODY]) if part)


def _facts(text: str) -> Iterator[tuple[str, str]]:
    """(heading, fact): paragraphs and list items, long ones sentence by sentence."""
    heading = ""
    for block in _blocks(text):
        if found := _HEADING.match(block):
            heading = cut_text(found.group(1), MAX_TOKENS // 8)
            continue
        room = MAX_TOKENS - count_tokens(heading) - 1
        for piece in _pieces(" ".join(block.split()), room):
            yield heading, piece


def _sections(text: str) -> Iterator[tuple[str, list[str]]]:
    """(headings down to here, each after ` > `; blocks below)."""
    way: list[tuple[int, str]] = []
    blocks: list[str] = []
    for block in _blocks(text):
        if not (found := _HEADING.match(block)):
            blocks.append(" ".join(block.split()))
            continue
        yield _way(way), blocks
        level = len(block) - len(block.lstrip("#"))
        way, blocks = [*(w for w in way if w[0] < level), (level, cut_text(found.group(1), MAX_TOKENS // 16))], []
    yield _way(way), blocks


def _way(headings: list[tuple[int, str]]) -> str:
    return "".join(f" > {heading}" for _, heading in headings[-4:])


def _blank_separated(text: str) -> list[str]:
    return [block for block in re.split(r"\n\s*\n", text) if block.strip()]


def _packed(blocks: Iterable[str], room: int) -> Iterator[str]:
    """Blocks put together as long as they fit; one that does not is taken apart at its lines or sentences."""
    gathered = ""
    for part in (part for block in blocks for part in _parts(block, room)):
        both = f"{gathered}\n{part}" if gathered else part
        if gathered and count_tokens(both) > room:
            yield gathered
            both = part
        gathered = both
    if gathered:
        yield gathered


def _parts(block: str, room: int) -> Iterator[str]:
    cleaned = clean_text(block)
    if len(cleaned) <= 8 * room and count_tokens(cleaned) <= room:
        yield cleaned
        return
    for line in cleaned.split("\n"):
        for sentence in _SENTENCE.split(line):
            for start in range(0, len(sentence), _SLICE):  # one long line of a hostile file costs no more than many
                yield from _pieces(sentence[start : start + _SLICE], room)


def _blocks(text: str) -> Iterator[str]:
    lines: list[str] = []
    for line in [*text.splitlines(), ""]:
        starts_anew = _ITEM.match(line) or _HEADING.match(line) or not line.strip()
        if lines and (starts_anew or _HEADING.match(lines[-1])):
            yield "\n".join(lines)
            lines = []
        if line.strip():
            lines.append(_ITEM.sub("", line))


def _pieces(fact: str, room: int) -> Iterator[str]:
    fact = clean_text(fact)
    gathered = ""
    for sentence in _SENTENCE.split(fact):
        if gathered and count_tokens(f"{gathered} {sentence}") > room:
            yield gathered
            gathered = ""
        gathered = f"{gathered} {sentence}".strip()
        while count_tokens(gathered) > room:
            head = cut_text(gathered, room)
            yield head
            gathered = gathered[len(head) :].strip()
    if gathered:
        yield gathered
