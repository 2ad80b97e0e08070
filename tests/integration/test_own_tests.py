"""A project's own tests, run in the sandbox on two trees: real git, real bubblewrap."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from harness.events import Events, Noticed
from harness.project import Project
from harness.repo import Repo
from harness.sandbox.policy import Policy
from harness.settings import AppSettings, GateSettings, Settings
from harness.verify import suite
from harness.verify.hall import OWN_FILES, Hall, candidate_of, open_hall
from harness.verify.suite import Compared, Outcomes, compare, first_run
from harness.verify.suite_report import parse

pytestmark = pytest.mark.needs("bwrap", "chromium", "git")

RUNNER = """
import os, pathlib, sys
cases = ""
for line in pathlib.Path("tests/list").read_text().splitlines():
    name, said = line.split()
    if said == "shaky":
        said, mark = ("passed" if pathlib.Path("ran").exists() else "failed"), pathlib.Path("ran").touch()
    inner = {"passed": "", "failed": "<failure/>", "skipped": "<skipped/>"}[said]
    cases += f"<testcase classname='a' name='{name}'>{inner}</testcase>"
print("ran in", os.getcwd())
pathlib.Path(os.environ["HARNESS_REPORT"]).write_text(f"<testsuite name='pytest'>{cases}</testsuite>")
sys.exit("<failure" in cases)
"""


class House:
    """A project whose tests read from a list how they end."""

    def __init__(self, directory: Path, command: str) -> None:
        self.told: list[Noticed] = []
        events = Events()
        events.listen(lambda e: self.told.append(e) if e.kind == "notice" else None)
        project = Project.find(directory)
        project.prepare_state()
        settings = Settings(app=AppSettings(prepare=""), gate=GateSettings(tests=command, seconds=20))
        parts = {"project": project, "settings": settings, "events": events, "repo": Repo.open(directory)}
        self.parts = cast("Any", SimpleNamespace(**parts, thread_id="t"))

    async def begin(self, **ends: str) -> str:
        """Commit how the tests end before the work; returns the commit."""
        self.tree = await self.parts.repo.open_worktree(self.parts.project.worktrees_dir / "t", "harness/t")
        self.write(**ends)
        return str(await self.tree.commit("before", "", {"Harness-Thread": "t"}))

    def write(self, **ends: str) -> None:
        listed = self.tree.directory / "tests" / "list"
        listed.parent.mkdir(exist_ok=True)
        listed.write_text("".join(f"{name} {said}\n" for name, said in ends.items()))
        (self.tree.directory / "run.py").write_text(RUNNER)

    @asynccontextmanager
    async def hall(self) -> AsyncIterator[tuple[Hall, Any, str]]:
        """A hall around what would be committed now."""
        parts = self.parts
        tree, snapshot = await candidate_of(parts, self.tree)
        async with open_hall(parts.project, parts.settings, parts.events, tree.path, tree.prefix, "t") as hall:
            yield hall, tree, snapshot.content

    async def compare(self, base: str) -> Compared:
        async with self.hall() as (hall, tree, content):
            return await compare(self.parts, hall, tree, content, base)


@pytest.fixture
def house(project_dir: Path) -> House:
    return House(project_dir, "python3 run.py")


async def test_what_failed_before_stops_nothing_and_what_passed_must_go_on(house: House) -> None:
    base = await house.begin(a="passed", b="failed", c="passed")
    house.write(a="passed", b="failed", c="failed")
    found = await house.compare(base)
    assert found.worse == ("a > c: passed before, fails now",)
    assert "ran in /project" in found.reason
    house.write(a="passed", b="passed", c="passed")
    found = await house.compare(base)
    assert found.reason == ""
    assert str(found) == "3 of 3 tests pass"
    assert any("changes tests that were there before; look at them: tests/list" in n.text for n in house.told)


@pytest.mark.parametrize(
    "before",
    ["import sys; sys.exit(5)", "import time; time.sleep(60)", ""],
    ids=["no test was found", "they did not end", "they passed without a report"],
)
async def test_where_no_test_was_known_one_that_fails_is_new(house: House, before: str) -> None:
    house.parts.settings = house.parts.settings.model_copy(
        update={"gate": GateSettings(tests="python3 run.py", seconds=3)}
    )
    await house.begin()
    (house.tree.directory / "run.py").write_text(before)
    base = await house.tree.commit("no report", "", {"Harness-Thread": "t", "Harness-Feature": "F1"})
    house.write(a="passed", b="failed")
    found = await house.compare(base)
    assert found.before.tests == {}
    assert found.worse == ("a > b: is new and fails",)
    house.write(a="passed", b="passed")
    assert (await house.compare(base)).reason == ""


async def test_an_exit_code_that_was_0_counts_although_all_tests_pass(project_dir: Path) -> None:
    house = House(project_dir, "python3 run.py && test ! -e unformatted && { test ! -e shaky || ! rm shaky; }")
    base = await house.begin(a="passed")
    (house.tree.directory / "unformatted").touch()
    found = await house.compare(base)
    assert found.worse == ("They passed before and end with exit code 1 now.",)
    (house.tree.directory / "unformatted").unlink()
    (house.tree.directory / "shaky").touch()
    found = await house.compare(base)
    assert (found.reason, found.flaky, found.after.exit_code) == ("", ("",), 0)


async def test_an_exit_code_that_was_not_0_before_stops_nothing(project_dir: Path) -> None:
    house = House(project_dir, "python3 run.py; exit 1")
    base = await house.begin(a="passed")
    house.write(a="passed", b="passed")
    assert (await house.compare(base)).reason == ""


async def test_what_fails_and_then_passes_on_the_same_tree_is_flaky_and_told(house: House) -> None:
    base = await house.begin(a="passed", b="passed")
    house.write(a="passed", b="shaky")
    found = await house.compare(base)
    assert (found.reason, found.flaky) == ("", ("a > b",))
    assert str(found) == "2 of 2 tests pass, 1 flaky"
    assert any(n.text.startswith("Flaky") and "a > b" in n.text for n in house.told)


PLANTED = """
import os, sys
if sys.argv[0] == "run.py" and "harness-before" in open("tests/list").read():
    os._exit(1)
"""


@contextmanager
def shared_home(policy: Policy, name: str) -> Iterator[Policy]:
    """The broken twin: the home and the /tmp of whatever ran in the hall."""
    yield policy


@pytest.mark.parametrize("is_apart", [True, False])
async def test_what_the_candidate_leaves_in_its_home_does_not_reach_the_tests_of_before(
    house: House, monkeypatch: pytest.MonkeyPatch, is_apart: bool
) -> None:
    if not is_apart:
        monkeypatch.setattr(suite, "own_home", shared_home)
    base = await house.begin(**{"a": "passed", "harness-before": "passed"})
    (house.tree.directory / "planted.py").write_text(PLANTED)
    house.write(a="failed")
    async with house.hall() as (hall, tree, content):
        plant = "d=$(python3 -m site --user-site) && mkdir -p $d && cp planted.py $d/usercustomize.py && touch /tmp/x"
        assert (await hall.room.run(plant)).exit_code == 0
        found = await compare(house.parts, hall, tree, content, base)
        left = [path.name for path in (hall.scratch / "sites").iterdir()]
    expected = {"a": "passed", "a > harness-before": "passed"} if is_apart else {}
    assert found.before.tests == expected
    assert ("a: passed before, fails now" in found.worse) == is_apart
    assert not [name for name in left if name.endswith(".home")], left


async def test_outcomes_are_kept_by_content_so_that_a_commit_is_the_next_ones_before(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran: list[Path] = []
    real = suite.run_suite

    async def counted(hall: Hall, policy: Any) -> Outcomes:
        ran.append(policy.worktree)
        return await real(hall, policy)

    monkeypatch.setattr(suite, "run_suite", counted)
    base = await house.begin(a="passed")
    assert str(await first_run(house.parts, house.tree)) == "1 of 1 tests pass"
    house.write(a="passed", b="passed")
    await house.compare(base)
    assert [place.name for place in ran] == ["t.candidate", "t.candidate"]
    sha = await house.tree.commit("next", "", {"Harness-Feature": "F1"})
    assert suite.load(
        house.parts.project, (await house.parts.repo.contents([sha], OWN_FILES))[sha], "python3 run.py"
    ) == Outcomes(exit_code=0, tests={"a": "passed", "a > b": "passed"}, output="ran in /project\n")


@pytest.mark.parametrize(
    ("command", "why"),
    [
        ("ln -s /etc/passwd $HARNESS_REPORT", "a link to what is no report"),
        ("ln -s {secret} $HARNESS_REPORT", "a link out of the sandbox, where nothing lies"),
        ("mkfifo $HARNESS_REPORT", "what never ends"),
        ("python3 bomb.py > $HARNESS_REPORT", "a bomb"),
        ("true", "nothing"),
    ],
)
async def test_a_report_is_read_where_code_of_the_project_could_read_it(
    project_dir: Path, tmp_path: Path, command: str, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(suite, "REPORT_SECONDS", 3.0)
    secret = tmp_path / "secret.xml"
    secret.write_text("<testsuite><testcase name='stolen'/></testsuite>")
    house = House(project_dir, command.format(secret=secret))
    await house.begin()
    bomb = "e0 'x' " + " ".join(f"e{n} '" + f"&e{n - 1};" * 10 + "'" for n in range(1, 12))
    pairs = bomb.split()
    entities = "".join(f"<!ENTITY {n} {v}>" for n, v in zip(pairs[::2], pairs[1::2], strict=True))
    text = f"<!DOCTYPE a [{entities}]><testsuite><testcase name='&e11;'/></testsuite>"
    (house.tree.directory / "bomb.py").write_text(f"print({text!r})")
    async with house.hall() as (hall, tree, _):
        found = await suite.run_suite(hall, await hall.prepared(tree, "tests"))
    assert found.tests == {}, why
    assert dict(parse(secret.read_bytes())) == {"stolen": "passed"}, "read on the host it would be one"


@pytest.mark.parametrize("is_apart", [True, False])
async def test_a_directory_in_the_place_of_the_report_stops_no_later_run(
    project_dir: Path, monkeypatch: pytest.MonkeyPatch, is_apart: bool
) -> None:
    house = House(project_dir, "mkdir -p $HARNESS_REPORT/more && chmod 0 $HARNESS_REPORT")
    if not is_apart:
        monkeypatch.setattr(suite, "own_home", shared_home)
    await house.begin()
    async with house.hall() as (hall, tree, _):
        policy = await hall.prepared(tree, "tests")
        ends = [(await suite.run_suite(hall, policy)).exit_code for _ in range(2)]
        left = (policy.scratch / "tmp" / suite.REPORT).exists()
    assert (ends, left) == ([0, 0] if is_apart else [0, 1], not is_apart), "what one run left is there for the next"
