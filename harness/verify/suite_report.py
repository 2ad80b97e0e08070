"""What a test runner's report says of each test: JUnit XML, the JSON of jest, or the lines of `go test -json`.

The report was written by code of the project, so this is a program of its own, which is run inside the sandbox and
imports nothing of ours. A report that cannot be read says nothing, and the exit code counts instead.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal
from xml.etree import ElementTree

Outcome = Literal["passed", "failed", "skipped"]
MOST, NAME = 100_000, 300
"""Tests of one report, and characters of a test's name."""
_NOISE = {"", "pytest", "test", "Mocha Tests", "vitest tests", "jest tests"}
"""What runners call the whole, which tells tests apart from no other."""
_OUTCOMES: dict[str, Outcome] = {"passed": "passed", "failed": "failed", "pass": "passed", "fail": "failed"}
Said = tuple[str, Outcome]


def main() -> None:
    """Read the report that is named; write an object of outcomes by test."""
    said = dict[str, Outcome]()
    for name, outcome in parse(Path(sys.argv[1]).read_bytes()):
        if len(said) < MOST and said.get(name) != "failed":
            said[name] = outcome
    json.dump(said, sys.stdout)


def parse(report: bytes) -> Iterator[Said]:
    """Tests with their outcomes; one that is told twice may differ.

    Raises: ValueError: it is none of the three.
    """
    if report.lstrip().startswith(b"<"):
        root = ElementTree.fromstring(report)
        found = _junit(root, ())
    else:
        found = _json(report.decode("utf-8-sig"))
    return ((_name(parts), outcome) for parts, outcome in found)


def _junit(at: ElementTree.Element, above: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Outcome]]:
    from junitparser import TestCase

    for element in at:
        name = element.get("name", "")
        if element.tag == "testcase":
            case = TestCase.fromelem(element)  # type: ignore[no-untyped-call]  # the library says no type here
            outcome: Outcome = "skipped" if case.is_skipped else "passed" if case.is_passed else "failed"
            yield (*above, element.get("classname", ""), name), outcome
        elif element.tag in ("testsuite", "testsuites"):
            yield from _junit(element, (*above, name))


def _json(text: str) -> Iterator[tuple[tuple[str, ...], Outcome]]:
    try:
        whole = json.loads(text)
    except ValueError:
        yield from _go([json.loads(line) for line in text.splitlines() if line.startswith("{")])
        return
    for file in whole["testResults"]:
        place = str(file["name"]).removeprefix("/project/")
        for test in file["assertionResults"]:
            yield (place, str(test["fullName"])), _OUTCOMES.get(test["status"], "skipped")
        if not file["assertionResults"]:
            yield (place,), _OUTCOMES.get(file["status"], "skipped")


def _go(lines: list[dict[str, Any]]) -> Iterator[tuple[tuple[str, ...], Outcome]]:
    """A package counts by itself only where none of its tests was run, as when it cannot be built."""
    ended = [line for line in lines if line.get("Action") in ("pass", "fail", "skip")]
    if not ended:
        raise ValueError("it names no test")
    tested = {line.get("Package") for line in ended if line.get("Test")}
    for line in ended:
        if line.get("Test") or line.get("Package") not in tested:
            yield (str(line.get("Package")), str(line.get("Test", ""))), _OUTCOMES.get(line["Action"], "skipped")


def _name(parts: tuple[str, ...]) -> str:
    told = [" ".join(part.split()) for part in parts]
    kept = [part for n, part in enumerate(told) if part not in _NOISE and part not in told[n + 1 : n + 2]]
    return " > ".join(kept or told[-1:])[:NAME]


if __name__ == "__main__":
    main()
