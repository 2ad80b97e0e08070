"""Reading the JSON files the harness keeps, so that a broken one is named with its place and never taken for empty."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

from pydantic import ValidationError

from harness.errors import FeatureFileError

REMEDY = "The file was left as it is. Mend it, or take an earlier one: `git log -p -- {path}`."
RESTORE = (
    "The file was left as it is. Mend it, or take the last commit's, by which changes since are lost: "
    "`git -C {where} checkout HEAD -- {name}`."
)


@contextmanager
def file_errors(path: Path, what: str, *, is_committed: bool = False) -> Iterator[None]:
    """Turn every way a file can be wrong into one error that says which file, where and why.

    Args:
        path: the file read inside the block.
        what: what it should be, "feature list".
        is_committed: it is a file of the project, of which every commit has one.

    Raises: FeatureFileError: the user mends the file.
    """
    remedy = REMEDY.format(path=path)
    if is_committed:
        remedy = RESTORE.format(where=shlex.quote(str(path.parent)), name=shlex.quote(path.name))
    try:
        yield
    except FileNotFoundError as exc:
        raise FeatureFileError(f"There is no {what} at {path}.", "`harness init` makes one.") from exc
    except ValidationError as exc:
        raise FeatureFileError(f"{path} is not a {what} this harness knows: {_places(exc)}", remedy) from exc
    except json.JSONDecodeError as exc:
        raise FeatureFileError(f"{path}:{exc.lineno}:{exc.colno} is not JSON: {exc.msg}.", remedy) from exc
    except (OSError, ValueError, RecursionError) as exc:
        raise FeatureFileError(f"{path} cannot be read as a {what}: {exc}.", remedy) from exc


def read_text(path: Path) -> str:
    """The text of a file, UTF-8, without a byte order mark."""
    return path.read_text(encoding="utf-8-sig")


def parse_json(text: str) -> Any:
    """Parse strictly: no repeated keys, no NaN, not empty."""
    if not text.strip():
        raise ValueError("it is empty")
    return json.loads(text, object_pairs_hook=_unique, parse_constant=_no_constant)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) < len(pairs):
        twice = next(key for key, _ in pairs if sum(key == k for k, _ in pairs) > 1)
        raise ValueError(f"{twice!r} is given twice in one object")
    return result


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON value")


def _places(exc: ValidationError) -> str:
    errors = exc.errors(include_url=False, include_input=False)
    lines = [f"{_path(e['loc'])}{e['msg'].removeprefix('Value error, ')}" for e in errors[:5]]
    more = f" (and {len(errors) - 5} more)" if len(errors) > 5 else ""
    return "; ".join(lines) + more


def _path(loc: tuple[int | str, ...]) -> str:
    path = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in loc).lstrip(".")
    return f"{path}: " if path else ""
