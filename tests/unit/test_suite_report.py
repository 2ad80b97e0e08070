"""What test runners report, and what is worse than before."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from harness.verify import suite_report
from harness.verify.suite import Compared, Outcomes, worse
from harness.verify.suite_report import Outcome, parse

NODE = b"""<?xml version="1.0" encoding="utf-8"?>
<testsuites>
  <testcase name="alone" time="0.1" classname="test"/>
  <testcase name="alone too" classname="test" failure="1 == 2"><failure type="testCodeFailure"/></testcase>
  <testsuite name="outer" tests="2"><testsuite name="inner"><testcase name="deep" classname="test"/></testsuite>
    <testcase name="later" classname="test"><skipped type="todo"/></testcase></testsuite>
</testsuites>"""
PYTEST = b"""<testsuites><testsuite name="pytest" errors="1" failures="0" tests="2">
  <testcase classname="tests.test_a.TestB" name="test_c[1]" time="0.0"/>
  <testcase classname="" name="tests.test_d"><error message="collection failure">x</error></testcase>
</testsuite></testsuites>"""
VITEST = b"""<testsuites name="vitest tests"><testsuite name="src/a.test.ts">
  <testcase classname="src/a.test.ts" name="adds &gt; two"/></testsuite></testsuites>"""
JEST = {
    "testResults": [
        {
            "name": "/project/src/a.test.js",
            "status": "failed",
            "assertionResults": [
                {"fullName": "adds two", "status": "passed"},
                {"fullName": "adds three", "status": "failed"},
                {"fullName": "adds four", "status": "pending"},
            ],
        },
        {"name": "/project/src/b.test.js", "status": "failed", "assertionResults": [], "message": "SyntaxError"},
    ]
}
GO = "\n".join(
    [
        json.dumps({"Action": "start", "Package": "shop"}),
        json.dumps({"Action": "pass", "Package": "shop", "Test": "TestA"}),
        json.dumps({"Action": "fail", "Package": "shop", "Test": "TestB/deep"}),
        json.dumps({"Action": "fail", "Package": "shop"}),
        json.dumps({"Action": "fail", "Package": "shop/broken"}),
        "FAIL",
    ]
)
REPORTS: list[tuple[bytes, dict[str, Outcome]]] = [
    (NODE, {"alone": "passed", "alone too": "failed", "outer > inner > deep": "passed", "outer > later": "skipped"}),
    (PYTEST, {"tests.test_a.TestB > test_c[1]": "passed", "tests.test_d": "failed"}),
    (VITEST, {"src/a.test.ts > adds > two": "passed"}),
    (
        json.dumps(JEST).encode(),
        {
            "src/a.test.js > adds two": "passed",
            "src/a.test.js > adds three": "failed",
            "src/a.test.js > adds four": "skipped",
            "src/b.test.js": "failed",
        },
    ),
    (GO.encode(), {"shop > TestA": "passed", "shop > TestB/deep": "failed", "shop/broken": "failed"}),
]


@pytest.mark.parametrize(("report", "said"), REPORTS, ids=["node", "pytest", "vitest", "jest", "go"])
def test_each_test_is_known_by_its_name(report: bytes, said: dict[str, Outcome]) -> None:
    assert dict(parse(report)) == said


@pytest.mark.parametrize("report", [b"", b"<testsuites>", b"{}", b"[]", b"no report", b"\xff\xfe<", b"{" * 100_000])
def test_what_is_no_report_is_an_error_and_not_an_empty_one(report: bytes, tmp_path: Path) -> None:
    path = tmp_path / "report"
    path.write_bytes(report)
    done = subprocess.run([sys.executable, "-I", suite_report.__file__, path], capture_output=True, check=False)
    assert done.returncode != 0, done.stdout


@pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed")
def test_the_report_of_the_node_that_is_here_is_read(tmp_path: Path) -> None:
    (tmp_path / "a.test.js").write_text("const {test} = require('node:test'); test('one', () => {}); test('two', x);")
    (tmp_path / "b.test.js").write_text("const {test} = require('node:test'); test('three', () => {});")
    options = ["--test-reporter=junit", f"--test-reporter-destination={tmp_path / 'r'}"]
    subprocess.run(["node", "--test", *options, tmp_path], capture_output=True, check=False, cwd=tmp_path)
    said = dict(parse((tmp_path / "r").read_bytes()))
    assert said["three"] == "passed"
    assert "failed" in said.values()


def outcomes(exit_code: int = 0, **tests: Outcome) -> Outcomes:
    return Outcomes(exit_code=exit_code, tests=tests, output="boom")


def test_failures_may_only_shrink() -> None:
    before = outcomes(1, a="passed", b="failed", c="passed", d="passed", e="skipped")
    assert worse(before, before) == {}
    assert worse(before, outcomes(0, a="passed", b="passed", c="passed", d="passed", e="passed")) == {}
    got = worse(before, outcomes(1, a="failed", b="failed", c="skipped", e="failed", f="failed"))
    assert got == {
        "a": "a: passed before, fails now",
        "c": "c: passed before, is skipped now",
        "d": "d: passed before, is gone",
        "f": "f: is new and fails",
    }


def test_without_a_report_the_exit_code_is_the_one_test() -> None:
    assert worse(outcomes(0), outcomes(0)) == {}
    assert worse(outcomes(1), outcomes(1)) == {}
    assert worse(outcomes(1), outcomes(0)) == {}
    assert list(worse(outcomes(0), outcomes(7))) == [""]
    assert "is gone" in worse(outcomes(0, a="passed"), outcomes(1))["a"], "a runner that falls over reports nothing"


def test_what_is_refused_is_told_with_the_output_as_data() -> None:
    before, after = outcomes(a="passed", b="failed"), outcomes(1, a="failed", b="failed")
    found = Compared(before, after, tuple(worse(before, after).values()))
    assert "a: passed before, fails now" in found.reason
    assert "| boom" in found.reason
    assert str(found) == "0 of 2 tests pass, 1 failed before already"
    assert Compared(before, before).reason == ""
