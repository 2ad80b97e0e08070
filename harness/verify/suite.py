"""The project's own tests as part of the gate: their failures may only shrink.

What failed before the work began stops nothing; what passed and now fails, is skipped or is gone does, and so does a
new test that fails. What fails and then passes on the same tree is flaky: it is counted, told and stops nothing.
Outcomes are kept by the content of the tree, so that those of one feature's commit are the next one's before.
The exit code counts as one more test, and as the only one where no report is written.
"""

from __future__ import annotations

import hashlib
import json
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from harness.errors import RepoError
from harness.events import Noticed
from harness.memory.record import clean_name
from harness.project import write_atomic
from harness.prompts import fence
from harness.sandbox.policy import TEMPORARY
from harness.verify import suite_report
from harness.verify.app import AppNotStarted, own_home
from harness.verify.hall import OWN_FILES, candidate_of, open_hall
from harness.verify.suite_report import Outcome

if TYPE_CHECKING:
    from harness.parts import Parts
    from harness.project import Project
    from harness.sandbox.policy import Policy
    from harness.verify.hall import Hall
    from harness.worktree import Worktree

REPORT, REPORT_SECONDS = "harness-report", 30.0
OUTPUT_CHARACTERS = 4000
TOLD, KEPT = 8, 50
"""Tests named in one message; trees whose outcomes are kept."""
_TEST = re.compile(r"(^|/)(tests?|__tests__|spec)/|(^|/)test_|[._-](test|spec)\.|_test\.")


class Outcomes(BaseModel):
    """How the tests of one tree ended."""

    model_config = ConfigDict(frozen=True)

    exit_code: int
    tests: dict[str, Outcome] = Field(default_factory=dict)
    """By name; empty: there was no report."""
    output: str = ""
    """Its end."""

    @property
    def failed(self) -> list[str]:
        """Tests that fail."""
        return [name for name, outcome in self.tests.items() if outcome == "failed"]

    def passes(self, name: str) -> bool:
        """Whether a test was run and passed."""
        return self.tests.get(name) == "passed"

    def __str__(self) -> str:
        if not self.tests:
            return "the tests pass" if self.exit_code == 0 else f"the tests end with exit code {self.exit_code}"
        return f"{sum(map(self.passes, self.tests))} of {len(self.tests)} tests pass"


@dataclass(frozen=True)
class Compared:
    """The tests of a tree beside those of the tree before."""

    before: Outcomes
    after: Outcomes
    worse: tuple[str, ...] = ()
    """What each test that stops the work was before and is now, in words."""
    flaky: tuple[str, ...] = ()

    def __str__(self) -> str:
        still = [name for name in self.after.failed if name in self.before.failed]
        already = f", {len(still)} failed before already" if still else ""
        return f"{self.after}{already}{f', {len(self.flaky)} flaky' if self.flaky else ''}"

    @property
    def reason(self) -> str:
        """Why the work is refused, for the coder; empty: it is not."""
        if not self.worse:
            return ""
        said = "\n".join(self.worse[:TOLD]) + (f"\nand {len(self.worse) - TOLD} more" if self.worse[TOLD:] else "")
        told = f"tests of the project got worse, twice in a row. What failed before is not held against it.\n{said}"
        return f"The feature passes, but {told}\n{fence(self.after.output, 'the tests')}"


async def compare(parts: Parts, hall: Hall, tree: Worktree, content: str, base_sha: str) -> Compared:
    """Run the tests on a tree, and on the one before where that was not done yet.

    Args:
        tree: what is judged, prepared in the hall.
        content: names its content.
        base_sha: the commit before.

    Replay: outcomes are kept by content, so nothing is run twice for nothing.
    """
    before = await _before(parts, hall, base_sha)
    after = await run_suite(hall, await hall.prepared(tree, "tests"))
    suspects = worse(before, after)
    flaky: tuple[str, ...] = ()
    if suspects:
        again = await run_suite(hall, await hall.prepared(tree, "tests"))
        flaky = tuple(name for name in suspects if name not in worse(before, again))
        suspects = {name: said for name, said in suspects.items() if name not in flaky}
        steady = {name: outcome for name, outcome in again.tests.items() if name in flaky}
        code = again.exit_code if flaky else after.exit_code
        after = after.model_copy(update={"tests": {**after.tests, **steady}, "exit_code": code})
        if not after.tests and flaky:
            after = again
    keep(parts.project, content, parts.settings.gate.tests, after)
    found = Compared(before, after, tuple(suspects.values()), flaky)
    await _tell(parts, tree, base_sha, found)
    return found


async def first_run(parts: Parts, tree: Worktree) -> Outcomes:
    """Run the tests on what is there before anything is built.

    Raises: AppNotStarted: it cannot be prepared. RepoError: git cannot take the tree.
    """
    candidate, snapshot = await candidate_of(parts, tree)
    if kept := load(parts.project, snapshot.content, parts.settings.gate.tests):
        return kept
    name = f"tests-{parts.thread_id}"
    place = (candidate.path, candidate.prefix)
    async with open_hall(parts.project, parts.settings, parts.events, *place, name) as hall:
        found = await run_suite(hall, await hall.prepared(candidate, "tests"))
    keep(parts.project, snapshot.content, parts.settings.gate.tests, found)
    return found


def worse(before: Outcomes, after: Outcomes) -> dict[str, str]:
    """Tests that are worse than they were, and how, by name; "": all of them, by their exit code.

    A test that nothing is known of is new, also where there was no report before.
    """
    found = {}
    for name in before.tests:
        if before.passes(name) and not after.passes(name):
            now = {"failed": "fails now", "skipped": "is skipped now"}.get(after.tests.get(name, ""), "is gone")
            found[name] = f"{name}: passed before, {now}"
    found |= {name: f"{name}: is new and fails" for name in after.failed if name not in before.tests}
    if not found and after.exit_code and not before.exit_code:
        found[""] = f"They passed before and end with exit code {after.exit_code} now."
    return found


async def run_suite(hall: Hall, policy: Policy) -> Outcomes:
    """Run the tests once, in the sandbox, where nothing lies that code of another tree, or of this one, left.

    Args:
        policy: of a prepared tree.
    """
    gate = hall.settings.gate
    with own_home(policy, "home") as own:
        report = own.inside(own.roots()[TEMPORARY] / REPORT)
        env = {"HARNESS_REPORT": report}
        result = await hall.room.run(gate.tests, timeout_seconds=gate.seconds, env=env, policy=own)
        tests = await _told(hall, own, report)
    return Outcomes(exit_code=result.exit_code, tests=tests, output=result.output[-OUTPUT_CHARACTERS:])


async def _told(hall: Hall, policy: Policy, report: str) -> dict[str, Outcome]:
    """What the report says, read inside the sandbox: it may be a link, a bomb or endless. Empty: there is none."""
    program, answer = Path(suite_report.__file__).read_text(encoding="utf-8"), hall.scratch / "outcomes.json"
    command = [sys.executable, "-I", "-c", program, report]
    read = await hall.room.run(command, timeout_seconds=REPORT_SECONDS, output_file=answer, policy=policy)
    if read.exit_code:
        return {}
    try:
        found = json.loads(answer.read_text(encoding="utf-8"))
        return {clean_name(name): outcome for name, outcome in found.items()}
    except (ValueError, AttributeError):  # cut at its largest size
        return {}


def keep(project: Project, content: str, command: str, found: Outcomes) -> None:
    """Remember how the tests of a tree ended; the newest KEPT trees."""
    path = _path(project, content, command)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(path, found.model_dump_json())
    for old in sorted(path.parent.glob("*.json"), key=lambda one: one.stat().st_mtime)[:-KEPT]:
        old.unlink(missing_ok=True)


def load(project: Project, content: str, command: str) -> Outcomes | None:
    """What was kept of a tree; None: nothing that can be read."""
    try:
        return Outcomes.model_validate_json(_path(project, content, command).read_text(encoding="utf-8"))
    except (OSError, ValidationError, UnicodeDecodeError):
        return None


async def _before(parts: Parts, hall: Hall, base_sha: str) -> Outcomes:
    """Of a baseline that cannot be prepared nothing is known to pass."""
    content = (await parts.repo.contents([base_sha], OWN_FILES))[base_sha]
    if kept := load(parts.project, content, parts.settings.gate.tests):
        return kept
    tree = await parts.repo.checkout_at(base_sha, parts.project.worktrees_dir / f"{parts.thread_id}.baseline")
    try:
        found = await run_suite(hall, await hall.prepared(tree, "tests-before"))
    except AppNotStarted as exc:
        return Outcomes(exit_code=1, output=str(exc))
    keep(parts.project, content, parts.settings.gate.tests, found)
    return found


async def _tell(parts: Parts, tree: Worktree, base_sha: str, found: Compared) -> None:
    def say(text: str) -> None:
        parts.events.emit(Noticed(text=text, level="warning"))

    if found.flaky:
        say(f"Flaky, failed and passed on the same tree: {listed(found.flaky) or 'the tests as a whole'}.")
    if not found.worse:
        try:
            changed = [name for name in await tree.changed_files(base_sha) if _TEST.search(name)]
            known = [name for name in changed if await parts.repo.read(name, base_sha) is not None]
        except RepoError:
            return
        if known:
            say(f"It changes tests that were there before; look at them: {listed(known)}.")


def listed(names: Sequence[str]) -> str:
    """Names on a line, the first few of many."""
    more = f" and {len(names) - TOLD} more" if len(names) > TOLD else ""
    return ", ".join(name for name in names[:TOLD] if name) + more


def _path(project: Project, content: str, command: str) -> Path:
    name = hashlib.sha256(f"{content} {command}".encode()).hexdigest()[:32]
    return project.state_dir / "tests" / f"{name}.json"
