"""Results of commands in words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from harness.console_text import gist, one_line, plain, wrapped

if TYPE_CHECKING:
    from harness.doctor import Finding
    from harness.verify.standalone import Replayed

_SCREEN = 24


def replayed_text(results: Sequence[Replayed]) -> str:
    """One line a check, and why it failed."""
    if not results:
        return "There is no check to replay: no feature passes yet."
    lines: list[str] = []
    for result in results:
        state = ("flaky " if result.flaky else "passed") if result.passed else "FAILED"
        lines.append(f"{state}  {result.feature_id}  {one_line(result.description)}  ({result.seconds:.1f} s)")
        if not result.passed:
            lines += [f"        {line}" for line in plain(gist(result.reason)).split("\n") if line.strip()]
            lines += [f"        evidence: {one_line(result.evidence)}"] * bool(result.evidence)
    passed = sum(result.passed for result in results)
    flaky = sum(result.flaky for result in results)
    said = f", {flaky} of them only when played again alone" if flaky else ""
    return "\n".join([*lines, "", f"{passed} of {len(results)} checks pass{said}."])


def findings_text(findings: Sequence[Finding], width: int = 0) -> str:
    """One line a finding, and below it the command that mends it.

    Args:
        width: characters a line may have; 0: all.
    """
    lines: list[str] = []
    for finding in findings:
        lines.append(wrapped(f"{finding.level:<4}  {finding.name:<12}  ", one_line(finding.text), width))
        lines += [wrapped(" " * 20, one_line(finding.remedy), width)] * bool(finding.remedy and finding.level != "ok")
    return "\n".join(lines)


def one_screen(text: str) -> str:
    """The beginning, and the end, where the remedy stands."""
    lines = plain(text).split("\n")
    if len(lines) <= _SCREEN:
        return "\n".join(lines)
    half = _SCREEN // 2
    return "\n".join([*lines[:half], f"... {len(lines) - _SCREEN + 1} lines ...", *lines[-half + 1 :]])
