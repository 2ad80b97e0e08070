"""Take over a project that another harness began: its list, its specification, its notes; read once, left as they are.

Anthropic's autonomous-coding projects keep `feature_list.json` (an array without ids), `app_spec.txt` and
`claude-progress.txt`; relatives add keys, give numbers as ids, or wrap the array in an object. All of it was written by
a model, so it is data: bounded, cleaned of what is no text, and never a link to somewhere else. What it says of a
feature, that it passes, is a claim here: open, and proved before anything is built.
"""

from __future__ import annotations

import errno
import os
import re
import stat
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import (
    AliasChoices,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictInt,
    StrictStr,
    StringConstraints,
)

from harness.errors import SetupError
from harness.features import RESERVED, Feature, FeatureList
from harness.memory.record import clean_text
from harness.plan_rules import dependency_cycle
from harness.planning import Plan
from harness.state_file import file_errors, parse_json

LISTS = ("feature_list.json", "feature-list.json", "features_list.json")
SPECIFICATIONS = ("app_spec.txt", "app_spec.md", "spec.md")
NOTES = ("claude-progress.txt", "claude-progress.md", "progress.txt")
"""Names looked for, the first that is there counts."""
MOST = 10_000
"""Features of one list."""
LIST_BYTES, SPECIFICATION_BYTES, NOTES_BYTES = 50_000_000, 2_000_000, 400_000
"""Of notes the end is read: the newest stand there."""
_WORD_CHARACTERS, _STEPS = 10_000, 500
_KEYS_TOLD = 8
_ORDINARY = 100
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,62}")
_PRIORITIES = {
    "critical": 10,
    "highest": 10,
    "high": 20,
    "medium": _ORDINARY,
    "normal": _ORDINARY,
    "low": 200,
    "lowest": 300,
}
_SHELL = re.compile(r"#!\S*/(?:env +)?\w*sh\b")
_READS_ARGUMENTS = re.compile(r"\$\{?[#!]?[1@*#]|\$\{?#|\bgetopts\b|\bshift\b")

PROTOCOL = (
    "`./init.sh prepare` installs and builds, and ends; `./init.sh serve` stays in the foreground and listens on "
    "127.0.0.1 and port $PORT, its data under $HARNESS_DATA_DIR. (`[app]` in harness.toml may name other commands; "
    "`--prepare-network registries` lets `prepare` install packages.)"
)
"""What starts an application, for a person."""
HELP_PROTOCOL = (
    "`./init.sh prepare` installs and builds, and ends; `./init.sh help` prints how the program is used, and ends with "
    "exit code 0. (`[app]` in harness.toml may name other commands; `--prepare-network registries` lets `prepare` "
    "install packages.)"
)
"""What calls a program, for a person."""


def _clean(value: Any) -> Any:
    return clean_text(value) if isinstance(value, str) else value


def _as_steps(value: Any) -> Any:
    """One text is one step, none is none, and blank ones say nothing."""
    given = [] if value is None else [value] if isinstance(value, str) else value
    return [s for s in given if not isinstance(s, str) or clean_text(s)] if isinstance(given, list) else given


def _none_is(empty: Any) -> BeforeValidator:
    return BeforeValidator(lambda value: empty if value is None else value)


_Words = Annotated[str, BeforeValidator(_clean), StringConstraints(min_length=1, max_length=_WORD_CHARACTERS)]
_Name = StrictInt | StrictStr


class _Entry(BaseModel):
    """One feature as others write it."""

    model_config = ConfigDict(frozen=True, extra="allow")

    id: _Name | None = None
    category: Annotated[_Words, _none_is("functional")] = "functional"
    description: _Words = Field(validation_alias=AliasChoices("description", "title", "name"))
    steps: Annotated[tuple[_Words, ...], Field(max_length=_STEPS), BeforeValidator(_as_steps)] = Field(
        default=(), validation_alias=AliasChoices("steps", "acceptance_criteria", "acceptanceCriteria")
    )
    passes: Annotated[bool, Field(strict=True), _none_is(False)] = False
    priority: Any = None
    depends_on: Annotated[tuple[_Name, ...], _none_is(())] = Field(
        default=(), validation_alias=AliasChoices("depends_on", "dependencies", "dependsOn")
    )

    @property
    def rank(self) -> int | None:
        """Its priority as ours; None: it has none that is understood."""
        given = self.priority
        if isinstance(given, str):
            return _PRIORITIES.get(given.strip().casefold())
        return given if isinstance(given, int) and not isinstance(given, bool) and given >= 0 else None


class _List(BaseModel):
    features: tuple[_Entry, ...]


@dataclass(frozen=True)
class Adopted:
    """What was found, in our terms."""

    plan: Plan
    spec: str
    """The specification's text."""
    notices: tuple[str, ...]
    """What was left out or made up, for the person."""


def read_adoption(directory: Path, spec: str = "") -> Adopted:
    """Read a project of another harness. Nothing in it is changed.

    Args:
        directory: the project's.
        spec: the specification's text; empty: it is looked for.

    Raises: FeatureFileError: the list is broken; file and place are named. SetupError: a file is missing, is no file
        of this directory, or is too large.
    """
    path = _found(directory, LISTS)
    if path is None:
        raise SetupError(f"There is no list to adopt in {directory}.", f"It is looked for as {_either(LISTS)}.")
    features, notices = parse_list(_read(path, LIST_BYTES), path)
    where = _found(directory, SPECIFICATIONS)
    text = spec or (_text(where, SPECIFICATION_BYTES) if where else "")
    if not text.strip():
        raise SetupError(
            f"There is no specification in {directory}, or it is empty.",
            f"It is looked for as {_either(SPECIFICATIONS)}; name another file with --spec.",
        )
    notes = _found(directory, NOTES)
    said = _read(notes, NOTES_BYTES, tail=True).decode("utf-8", errors="replace") if notes else ""
    plan = Plan(features=features, given=path.name, notes=said, notes_from=notes.name if notes else "")
    return Adopted(plan, text if text.endswith("\n") else f"{text}\n", tuple(notices))


def parse_list(content: bytes, path: Path) -> tuple[FeatureList, list[str]]:
    """Read the list; returns it with what a person should know of it.

    Raises: FeatureFileError: it cannot be adopted; file and place are named.
    """
    with file_errors(path, "feature list"):
        entries, beside = _entries(parse_json(content.decode("utf-8-sig")))
        if not entries:
            raise ValueError("it lists no features")
        if len(entries) > MOST:
            raise ValueError(f"it lists {len(entries):,} features, and at most {MOST:,} can be adopted")
        found = _List.model_validate({"features": entries}).features
        names = _names(found)
        known = {str(entry.id): name for entry, name in zip(found, names, strict=True) if entry.id is not None}
        listed = (_feature(place, *pair, known) for place, pair in enumerate(zip(found, names, strict=True)))
        features = FeatureList(features=tuple(listed))
        if cycle := dependency_cycle(features.features):
            raise ValueError(f"dependencies go round in a circle: {' -> '.join(cycle)}")
    return features, list(_notices(path.name, found, names, beside))


def why_not_ours(script: str | None) -> str:
    """Why an `init.sh` cannot start an application as we do, as far as its text tells; empty: it has to be tried.

    A shell script that looks at no argument does the same for `prepare` as for `serve`: run, it would never end.
    """
    if script is None:
        return "there is no init.sh in the last commit."
    if _SHELL.match(script) and not _READS_ARGUMENTS.search(script):
        return "it looks at no argument, so `prepare` and `serve` would do the same."
    return ""


def _entries(data: Any) -> tuple[list[Any], list[str]]:
    """The array, and names that stand beside it."""
    if isinstance(data, list):
        return data, []
    if not isinstance(data, dict):
        raise ValueError("it is neither an array of features nor an object that holds one")
    arrays = [key for key, value in data.items() if isinstance(value, list)]
    key = "features" if "features" in arrays else arrays[0] if len(arrays) == 1 else None
    if key is None:
        named = ", ".join(repr(clean_text(name)[:40]) for name in arrays[:_KEYS_TOLD]) or "none"
        raise ValueError(f"it must hold one array of features, or one named 'features'; its arrays: {named}")
    return data[key], [name for name in data if name != key]


def _names(entries: Sequence[_Entry]) -> list[str]:
    """Our id of each entry: its own where it can name a file, F007 for 7, else the next free number.

    Raises: ValueError: two entries have the same id.
    """
    first: dict[str, int] = {}
    for place, entry in enumerate(entries):
        if entry.id is not None and (other := first.setdefault(str(entry.id).casefold(), place)) != place:
            raise ValueError(f"features[{other}] and features[{place}] have the same id {clean_text(str(entry.id))!r}")
    own = [_own_name(entry.id) for entry in entries]
    taken = {name.casefold() for name in own if name}
    numbers = (f"F{number:03}" for number in range(1, 2 * len(entries) + 1))
    free = (name for name in numbers if name.casefold() not in taken)
    return [name or next(free) for name in own]


def _own_name(given: int | str | None) -> str:
    if isinstance(given, int):
        return f"F{given:03}" if 0 <= given < 10**12 else ""
    return given if given and _ID.fullmatch(given) and given.casefold() not in RESERVED else ""


def _feature(place: int, entry: _Entry, name: str, known: Mapping[str, str]) -> Feature:
    if unknown := [given for given in entry.depends_on if str(given) not in known]:
        raise ValueError(f"features[{place}] depends on {clean_text(str(unknown[0]))!r}, which is not in the list")
    description = " ".join(entry.description.split())
    return Feature(
        id=name,
        category=" ".join(entry.category.split()),
        description=description,
        steps=tuple(" ".join(step.split()) for step in entry.steps) or (description,),
        claimed=entry.passes,
        depends_on=tuple(dict.fromkeys(known[str(given)] for given in entry.depends_on)),
        priority=_ORDINARY if entry.rank is None else entry.rank,
    )


def _notices(name: str, entries: Sequence[_Entry], names: Sequence[str], beside: Sequence[str]) -> Iterator[str]:
    claimed = sum(entry.passes for entry in entries)
    yield f"{name}: {len(entries)} features, {claimed} of them claimed to pass, which is proved first."
    left = Counter(key for entry in entries for key in entry.model_extra or {})
    left["priority"] += sum(entry.priority is not None and entry.rank is None for entry in entries)
    left.update(beside)
    told = [f"{clean_text(key)[:40]!r} ({count})" for key, count in left.most_common(_KEYS_TOLD) if count]
    more = f" and {len(+left) - len(told)} more" if len(+left) > len(told) else ""
    if told:
        yield f"{name}: {left.total()} values are left out, for which there is no place: {', '.join(told)}{more}."
    if without := sum(not entry.steps for entry in entries):
        yield f"{name}: {without} features have no steps; their description is taken as the one step."
    anew = sum(isinstance(e.id, str) and n != e.id for e, n in zip(entries, names, strict=True))
    if anew:
        yield f"{name}: {anew} ids cannot name a file of their own and are numbered anew."


def _found(directory: Path, names: Sequence[str]) -> Path | None:
    return next((directory / name for name in names if os.path.lexists(directory / name)), None)


def _text(path: Path, most: int) -> str:
    try:
        return _read(path, most).decode("utf-8-sig")
    except UnicodeDecodeError as exc:
        raise SetupError(f"{path} is not UTF-8 text.", "Save it as UTF-8, or name another file with --spec.") from exc


def _read(path: Path, most: int, *, tail: bool = False) -> bytes:
    """A file of the project's own: a link could lead to what nobody meant to hand to a model.

    Args:
        most: bytes.
        tail: of a larger file the end is read.

    Raises: SetupError: it is a link, no plain file, unreadable, or too large.
    """
    try:
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
            info = os.fstat(file.fileno())
            if not stat.S_ISREG(info.st_mode):
                raise SetupError(f"{path} is not a plain file.", "Put the file itself there.")
            if info.st_size > most and not tail:
                raise SetupError(
                    f"{path} has {info.st_size:,} bytes, and at most {most:,} are read.", "Make it smaller."
                )
            file.seek(max(info.st_size - most, 0))
            return file.read(most)
    except OSError as exc:
        if exc.errno == errno.ELOOP:
            raise SetupError(f"{path} is a symbolic link.", "Put the file itself in its place.") from exc
        raise SetupError(f"{path} cannot be read: {exc.strerror}.", "Make it readable.") from exc


def _either(names: Sequence[str]) -> str:
    return f"{', '.join(names[:-1])} or {names[-1]}"
