"""The audit: what was concluded about each feature, one line a verdict, each line sealed to the one before.

    {"seq", "prev", "at", "thread", "session", "feature", "outcome", "check", "wording", "content", "baseline",
     "files", "evidence", "hash"}

Two files have this form. `checks/audit.jsonl` lies in git, has a line for every change of the list, and travels with
a clone; the commit that carries a line carries its hash as trailer, so that a chain forged anew does not fit the
history. `audit.jsonl` in the state directory has a line for every verdict and replay on this machine, failed ones
too. Whether list, checks and commits agree with them is `harness.verify.trail`.

The seal needs no key: whoever rewrites the chain and the whole history after it is not found out by either.
How lines are sealed is `harness.chain`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict

from harness.chain import ChainFile, Sealed, digest, read_chain
from harness.chain import extend as extend_chain
from harness.state_file import parse_json, read_text

if TYPE_CHECKING:
    from harness.features import Feature, FeatureList

AUDIT = "checks/audit.jsonl"
"""Where the chain lies in a project."""
TRAILER = "Harness-Audit"
"""Names the last line that a commit carries."""

Outcome = Literal["passed", "failed", "parked", "reopened", "amended", "removed"]


class Verdict(BaseModel):
    """What one line says."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    feature: str
    outcome: Outcome
    thread: str = ""
    session: str = ""
    check: str = ""
    """Digest of the check, as in the list's `passed_at`."""
    wording: str = ""
    """Digest of the feature's description and steps."""
    content: str = ""
    """Names the tree that was judged, without the harness's own files; empty: not known."""
    baseline: str = ""
    """The commit the work started from."""
    files: dict[str, str] = {}
    """Files in `checks/` written with it, by digest of what they say."""
    evidence: dict[str, str] = {}
    """Evidence files, below the evidence directory, by SHA-256."""
    done: str = ""
    """The last line of the thread's own audit before it, as number and hash; see `harness.thread_audit`."""


class Line(Verdict, Sealed):
    """A verdict in its place in the chain."""


def chain(text: str, path: Path) -> list[Line]:
    """Read a chain.

    Args:
        path: where it was read, for the words of an error.

    Raises: FeatureFileError: a line is not what was written there; the first such line is named.
    """
    return read_chain(text, path, Line)


def load_chain(path: Path) -> list[Line]:
    """Read a chain from its file; empty when there is none.

    Raises: FeatureFileError: as `chain`.
    """
    return chain(read_text(path), path) if path.exists() else []


def extend(text: str, verdicts: Sequence[Verdict]) -> tuple[str, str]:
    """Add verdicts to a chain; returns it with the hash of its last line."""
    return extend_chain(text, map(_said, verdicts))


def append(path: Path, verdicts: Sequence[Verdict]) -> None:
    """Add verdicts to this machine's own chain. A line that a killed process left half is dropped.

    Raises: SetupError: the file cannot be written.
    """
    with ChainFile(path) as file:
        file.append(*map(_said, verdicts))


def _said(verdict: Verdict) -> dict[str, Any]:
    return verdict.model_dump(mode="json", exclude_defaults=True)


def changes(before: FeatureList | None, after: FeatureList) -> list[Verdict]:
    """What a new list says of features that the old one did not: passed, parked, reopened, removed."""
    old = {feature.id: feature for feature in before.features} if before else {}
    known = [(old[feature.id], feature) for feature in after.features if feature.id in old]
    told = [(_outcome(was, feature), feature) for was, feature in known]
    gone = old.keys() - {feature.id for feature in after.features}
    removed = [Verdict(feature=name, outcome="removed") for name in old if name in gone]
    return removed + [
        Verdict(
            feature=feature.id,
            outcome=outcome,
            session=feature.passed_at.session if feature.passed_at and outcome == "passed" else "",
            check=feature.passed_at.check if feature.passed_at and outcome == "passed" else "",
            baseline=feature.passed_at.baseline if feature.passed_at and outcome == "passed" else "",
            wording=wording(feature),
        )
        for outcome, feature in told
        if outcome
    ]


def _outcome(was: Feature, now: Feature) -> Outcome | None:
    if now.passes:
        return "passed" if not was.passes or was.passed_at != now.passed_at else None
    if now.status == "parked":
        return "parked" if was.status != "parked" else None
    return "reopened" if was.passes or was.status == "parked" else None


def wording(feature: Feature) -> str:
    """Names what a feature asks for; 16 hex digits."""
    return digest([feature.description, *feature.steps])[:16]


def file_digest(content: str | bytes) -> str:
    """Names what a JSON file says, whatever its blanks and line ends; of a picture each byte counts.

    Raises: ValueError: a text that is not JSON.
    """
    return digest(parse_json(content)) if isinstance(content, str) else hashlib.sha256(content).hexdigest()


def evidence_digests(directory: str, root: Path) -> dict[str, str]:
    """The files of one replay's evidence, below the evidence directory, by SHA-256; empty when it is gone."""
    if not directory:
        return {}
    files = sorted(path for path in Path(directory).glob("*") if path.is_file())
    return {str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
