"""Checks as files: `checks/<feature>.json`, the names in `elements.json`, and `flows.json`.

A check is kept with an act `flow` where it begins as others do, and read with the acts of that flow; so what is
digested, played and shown is the whole. A file that is broken is an error that names it.
"""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel

from harness.errors import FeatureFileError
from harness.state_file import file_errors, parse_json, read_text
from harness.verify.check import Check, Elements, Flows, UnknownFlow

ELEMENTS, FLOWS = "checks/elements.json", "checks/flows.json"
"""Paths in a project."""
_WHAT = {"Elements": "list of elements", "Flows": "list of flows"}
T = TypeVar("T", bound=BaseModel)


def to_json(value: BaseModel) -> str:
    """The text of a file."""
    return value.model_dump_json(by_alias=True, indent=2, exclude_none=True) + "\n"


def parse(kind: type[T], path: Path, text: str | None = None) -> T:
    """Read names, flows or a check as it is kept, from a text, or from the file itself.

    Raises: FeatureFileError: it is broken.
    """
    with file_errors(path, _WHAT.get(kind.__name__, "check"), is_committed=True):
        return kind.model_validate(parse_json(read_text(path) if text is None else text))


def read_check(path: Path, flows: Flows, text: str | None = None) -> Check:
    """A check from a text, or from the file itself, with the acts of its flows.

    Raises: FeatureFileError: it is broken, or names a flow that is not there.
    """
    check = parse(Check, path, text)
    try:
        return flows.expand_check(check)
    except UnknownFlow as exc:
        raise FeatureFileError(f"{path}: {exc}.", f"Restore {FLOWS} from git.") from exc


def read_flows(directory: Path) -> Flows:
    """The flows of a `checks` directory; none where there is no such file. Raises: FeatureFileError."""
    path = directory / Path(FLOWS).name
    return parse(Flows, path) if path.exists() else Flows()


def read_elements(directory: Path) -> Elements:
    """The names of a `checks` directory; none where there is no such file. Raises: FeatureFileError."""
    path = directory / Path(ELEMENTS).name
    return parse(Elements, path) if path.exists() else Elements()


def read_checks(directory: Path) -> dict[str, Check]:
    """All checks of a `checks` directory, by feature. Raises: FeatureFileError: as `read_check`."""
    flows = read_flows(directory)
    shared = {Path(ELEMENTS).name, Path(FLOWS).name}
    paths = (path for path in sorted(directory.glob("*.json")) if path.name not in shared)
    return {path.stem: read_check(path, flows) for path in paths}
