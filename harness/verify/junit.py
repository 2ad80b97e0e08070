"""The results of a verify as JUnit XML, which CI systems read."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from harness.errors import SetupError

if TYPE_CHECKING:
    from junitparser import TestCase

    from harness.verify.standalone import Replayed, Replays

_NOT_IN_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def write_junit(path: Path, name: str, replays: Replays) -> None:
    """Write one suite with a case a feature.

    Args:
        path: the file; its directory is made when missing.
        name: of the project.
        replays: what to tell.

    Raises: SetupError: it cannot be written.
    """
    from junitparser import JUnitXml, TestSuite

    suite = TestSuite(_xml(name))
    suite.timestamp = replays.at.replace(tzinfo=None).isoformat(timespec="seconds")
    for result in replays.results:
        suite.add_testcase(_case(name, result))
    suite.update_statistics()  # type: ignore[no-untyped-call]  # the library says no type here
    document = JUnitXml("harness verify")
    document.add_testsuite(suite)
    document.update_statistics()  # type: ignore[no-untyped-call]  # as above
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        document.write(str(path), pretty=True)
    except OSError as exc:
        raise SetupError(f"{path} cannot be written: {exc.strerror}.", "Name another file for --junit.") from exc


def _case(name: str, result: Replayed) -> TestCase:
    from junitparser import Failure, TestCase

    case = TestCase(_xml(f"{result.feature_id}: {result.description}"), _xml(name), round(result.seconds, 3))
    if not result.passed:
        failure = Failure(_xml(result.reason.partition("\n")[0]), "verdict")
        failure.text = _xml(result.reason)
        case.result = [failure]
    notes = [f"evidence: {result.evidence}"] * bool(result.evidence)
    notes += ["flaky: failed once, passed when played again alone"] * result.flaky
    if notes:
        case.system_out = _xml("\n".join(notes))
    return case


def _xml(text: str) -> str:
    """Foreign text without characters that no XML file can hold."""
    return _NOT_IN_XML.sub("\ufffd", text)
