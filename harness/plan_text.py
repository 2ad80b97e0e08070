"""The plan as a person edits it: TOML, one table a feature, because it has comments, and errors with their line.

JSON is read as well: an object of such tables, or a list of features as `features.json` and other harnesses have it.
What is not said of a feature stays as it was.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import ValidationError

from harness.errors import FeatureFileError
from harness.features import Feature, FeatureList
from harness.plan_change import PlanChange, Wording, next_number
from harness.state_file import parse_json

HOW = """\
# Change what you like; ids stay. What you take out of this text stays as it was: `harness plan remove ID` removes a
# feature, `harness plan add` adds one. Each feature needs a step that says what a person sees.
"""
_FIELDS = tuple(Wording.model_fields)
_RARE = ("category", "changes")
"""Shown only where they say something."""
_LOOKS_LIKE_FIELDS = re.compile(r"^\s*(\[[\w-]+\]\s*$|\w+\s*=\s*[\"'\[\d])", re.MULTILINE)
_STATE = ("id", "passes", "status", "claimed", "reason", "proof", "passed_at", "version")
"""What a list of features may also say, and only the harness decides."""


def as_toml(features: Iterable[Feature]) -> str:
    """Features as a person reads and edits them."""
    return "\n".join(_table(feature) for feature in features)


def is_fields(text: str) -> bool:
    """Whether a text gives fields, as TOML or JSON, and not what a person says in words."""
    return text.lstrip().startswith("{") or bool(_LOOKS_LIKE_FIELDS.search(text))


def read_edited(text: str, name: str, features: FeatureList) -> PlanChange:
    """What an edited text changes.

    Args:
        name: where it lies, for errors.

    Raises: FeatureFileError: it cannot be read, or names a feature that is not there; the first place is told.
    """
    known = {f.id: Wording.of(f) for f in features.features}
    tables = _tables(text, name)
    if strange := [each for each in tables if each not in known]:
        raise FeatureFileError(f"{name}: there is no feature {strange[0]!r}.", "Ids stay; `harness plan add` adds one.")
    now = {each: _worded(known[each], fields, f"{name}: {each}") for each, fields in tables.items()}
    changed = {each: wording for each, wording in now.items() if wording != known[each]}
    return PlanChange(amended=changed, before={each: known[each] for each in changed})


def read_fields(text: str, name: str, feature: Feature) -> PlanChange:
    """What a text changes in one feature: its fields alone, or its table.

    Raises: FeatureFileError: as `read_edited`.
    """
    data, known = _parsed(text, name), Wording.of(feature)
    fields = data.get(feature.id, data) if isinstance(data, dict) else data
    wording = _worded(known, fields, f"{name}: {feature.id}")
    changed = {feature.id: wording} if wording != known else {}
    return PlanChange(amended=changed, before=dict.fromkeys(changed, known))


def read_added(text: str, name: str, taken: Iterable[str]) -> PlanChange:
    """Features to add, with or without ids.

    Raises: FeatureFileError: as `read_edited`.
    """
    data = _parsed(text, name)
    listed = data.get("features") if isinstance(data, dict) else data
    if not isinstance(listed, list):
        listed = [{"id": each, **_object(fields, f"{name}: {each}")} for each, fields in _tables(text, name).items()]
    number, added = next_number(set(taken)), {}
    for place, entry in enumerate(listed):
        fields = _object(entry, f"{name}: features[{place}]")
        own = fields.get("id")
        feature_id = own if isinstance(own, str) else f"F{number + place:03}"
        if feature_id in added:
            raise FeatureFileError(f"{name}: two features have the id {feature_id!r}.", "Give each its own, or none.")
        added[feature_id] = _worded(None, fields, f"{name}: {feature_id}")
    try:
        return PlanChange(added=added)
    except ValidationError as exc:
        raise _told(exc, name) from exc


def _table(feature: Feature) -> str:
    wording = Wording.of(feature)
    state = f"  # {feature.state}" if feature.state != "open" else ""
    lines = [f"[{feature.id}]{state}"]
    for field in _FIELDS:
        value = getattr(wording, field)
        if field == "steps":
            lines += ["steps = [", *(f"  {_text(step)}," for step in value), "]"]
        elif field not in _RARE or value != Wording.model_fields[field].default:
            lines.append(f"{field} = {_text(value)}")
    return "\n".join(lines) + "\n"


def _text(value: Any) -> str:
    """A TOML string, number or list of them: JSON's, but for one character that TOML wants escaped."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def _tables(text: str, name: str) -> dict[str, dict[str, Any]]:
    data = _parsed(text, name)
    if isinstance(data, dict) and isinstance(data.get("features"), list):
        data = data["features"]
    if isinstance(data, list):
        entries = [_object(entry, f"{name}: features[{place}]") for place, entry in enumerate(data)]
        data = {str(entry.get("id")): entry for entry in entries}
    return {str(each): _object(fields, f"{name}: {each}") for each, fields in _object(data, name).items()}


def _parsed(text: str, name: str) -> Any:
    """Raises: FeatureFileError: it is neither JSON nor TOML; what it looks like decides which error is told."""
    try:
        if re.match(r"\s*(\{|\[\s*[{\]])", text):
            return parse_json(text)
        return tomllib.loads(text)
    except json.JSONDecodeError as exc:
        raise FeatureFileError(f"{name}:{exc.lineno}:{exc.colno} is not JSON: {exc.msg}.", _MEND) from exc
    except (ValueError, RecursionError) as exc:
        raise FeatureFileError(f"{name} cannot be read: {exc}.", _MEND) from exc


_MEND = "Nothing was changed. Mend it and give it again."


def _object(value: Any, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise FeatureFileError(f"{where} is no table of fields.", f"A feature has {', '.join(_FIELDS)}.")
    return value


def _worded(known: Wording | None, fields: Mapping[str, Any], where: str) -> Wording:
    said = {field: value for field, value in _object(fields, where).items() if field not in _STATE}
    try:
        return Wording.model_validate((known.model_dump() if known else {}) | said)
    except ValidationError as exc:
        raise _told(exc, where) from exc


def _told(exc: ValidationError, where: str) -> FeatureFileError:
    errors = exc.errors(include_url=False, include_input=False)[:5]
    said = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg'].removeprefix('Value error, ')}" for e in errors)
    return FeatureFileError(f"{where}: {said}.", _MEND)
