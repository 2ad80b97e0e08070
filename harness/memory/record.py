"""One memory: a fact with its source, small enough to embed whole.

A record's key follows from what it says and where it came from, so remembering the same thing twice (a resumed
session, a re-read specification) changes nothing, and the text behind a key never changes.
Text comes from models, pages and programs: it is cleaned of what could break a line, a filter or a database here,
once, at the door. What it says is never trusted.
"""

from __future__ import annotations

import hashlib
import math
import re
import unicodedata
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, field_validator

Kind = Literal["progress", "failure", "decision", "commit", "knowledge", "note"]
KINDS: tuple[Kind, ...] = ("progress", "failure", "decision", "commit", "knowledge", "note")

MAX_TOKENS = 256
"""The embedding model reads no further. Source: all-MiniLM-L6-v2 model card (max_seq_length 256)."""
MAX_FILES = 64
MAX_NAME = 200

_PIECE = re.compile(r"\w+|[^\w\s]")
_BREAKS_LINES = "\u2028\u2029\u0085"


class Record(BaseModel):
    """One remembered fact."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    project: str = Field(min_length=1, max_length=MAX_NAME)
    kind: Kind
    text: str = Field(min_length=1)
    """One fact, one to three sentences, the gist in its first line."""
    source: str = Field(default="", max_length=MAX_NAME)
    """Where it came from: `session s-12`, `git 1a2b3c`, `spec`. Part of the key."""
    thread: str = Field(default="", max_length=MAX_NAME)
    session: str = Field(default="", max_length=MAX_NAME)
    feature: str = Field(default="", max_length=MAX_NAME)
    files: tuple[str, ...] = Field(default=(), max_length=MAX_FILES)
    """Paths the fact is about, relative to the project."""
    commit: str = Field(default="", max_length=MAX_NAME)
    outcome: str = Field(default="", max_length=MAX_NAME)
    """`passed` or `mended` when it led to proved work, `failed` or `parked` when not, `refuted` when found untrue."""
    created_at: AwareDatetime = Field(default_factory=lambda: datetime.now(UTC))
    superseded_by: str = Field(default="", max_length=MAX_NAME)
    """Key of the record that replaces this one; a superseded record is kept and never recalled."""

    @field_validator("text")
    @classmethod
    def _fits(cls, text: str) -> str:
        if text != cut_text(text):
            raise ValueError(f"text is not clean or longer than {MAX_TOKENS} tokens; build records with make_record")
        return text

    @field_validator("created_at")
    @classmethod
    def _in_utc(cls, moment: datetime) -> datetime:
        return moment.astimezone(UTC)

    @property
    def key(self) -> str:
        """The deterministic name of this fact."""
        return record_key(self.project, self.kind, self.source, self.text)

    @property
    def title(self) -> str:
        """The first line."""
        return self.text.split("\n", 1)[0]


def make_record(
    project: str,
    kind: Kind,
    text: str,
    *,
    source: str = "",
    thread: str = "",
    session: str = "",
    feature: str = "",
    files: Iterable[str] = (),
    commit: str = "",
    outcome: str = "",
    created_at: datetime | None = None,
) -> Record:
    """Build a record from text of any length and origin: cleaned, cut to what the embedder reads.

    Raises: ValueError: nothing is left of the text, or the project has no name.
    """
    return Record(
        project=clean_name(project),
        kind=kind,
        text=cut_text(text),
        source=clean_name(source),
        thread=clean_name(thread),
        session=clean_name(session),
        feature=clean_name(feature),
        files=tuple(dict.fromkeys(clean_name(f) for f in files))[:MAX_FILES],
        commit=clean_name(commit),
        outcome=clean_name(outcome),
        created_at=created_at or datetime.now(UTC),
    )


def record_key(project: str, kind: str, source: str, text: str) -> str:
    """The deterministic key of a fact; each part is measured, so that no two splits look alike."""
    parts = "".join(f"{len(part)}:{part}" for part in (project, kind, source, text))
    return hashlib.sha256(parts.encode()).hexdigest()[:32]


def clean_text(text: str) -> str:
    """Keep lines, drop what is no text: control and bidirectional characters, lone surrogates, runs of blanks."""
    kept = "".join(" " if c in "\t\r" else c for c in _drop_unprintable(text))
    lines = (" ".join(line.split()) for line in kept.split("\n"))
    return "\n".join(line for line in lines if line)


def clean_name(text: str) -> str:
    """A name, id or path on one line; a long one is shortened so that no two become the same."""
    name = " ".join(_drop_unprintable(text).split())
    if len(name) <= MAX_NAME:
        return name
    return f"{name[: MAX_NAME - 33]}~{hashlib.sha256(name.encode()).hexdigest()[:32]}"


def cut_text(text: str, tokens: int = MAX_TOKENS) -> str:
    """Clean text and cut it after so many tokens, at the end of a word."""
    cleaned = clean_text(text)
    left = tokens
    for match in _PIECE.finditer(cleaned):
        left -= _pieces(match.group())
        if left < 0:
            return clean_text(cleaned[: match.start()]) or cleaned[: tokens * 4]
    return cleaned


def count_tokens(text: str) -> int:
    """About how many tokens; rather too many than too few."""
    return sum(_pieces(word) for word in _PIECE.findall(text))


def _pieces(word: str) -> int:
    # Word pieces of identifiers average five letters; scripts outside the vocabulary go letter by letter.
    return math.ceil(len(word) / 5) if word.isascii() else len(word)


def _drop_unprintable(text: str) -> str:
    return "".join(c for c in text if c in "\n\t\r" or not _is_unprintable(c))


def _is_unprintable(char: str) -> bool:
    return char in _BREAKS_LINES or unicodedata.category(char) in {"Cc", "Cf", "Cs"}
