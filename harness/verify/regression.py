"""Whether what passed before still does: which checks are replayed now, how that went, and who broke what.

What already held on this very content is not played again, so that a regression that ran out of time is gone on with
by the next. A feature that is broken before the work in question began is not blamed on that work.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from harness.verify.app import AppNotStarted
from harness.verify.breaks import find_breaks
from harness.verify.check import Check, Elements
from harness.verify.hall import OWN_FILES, Hall, candidate_of, open_hall
from harness.verify.history import History, Played
from harness.verify.regress import RegressResult, order, regress

if TYPE_CHECKING:
    from harness.commits import Commit
    from harness.features import FeatureList
    from harness.parts import Parts
    from harness.verify.replay import Replayer, Site
    from harness.worktree import Worktree

LOG = 1000
"""Commits looked back on."""
BLAMED = 10
"""Broken features whose breaker is searched; where everything broke, these tell the commit."""
TITLE = 80
"""Characters of a commit's subject quoted in a reason."""


@dataclass(frozen=True)
class Earlier:
    """Features that passed, and all that their checks stand on."""

    features: FeatureList
    checks: Mapping[str, Check]
    elements: Elements

    def without(self, names: Collection[str]) -> Earlier:
        """These, some left out."""
        return replace(self, checks={name: check for name, check in self.checks.items() if name not in names})

    @property
    def digests(self) -> dict[str, str]:
        """Feature -> digest of its check."""
        return {name: check.digest() for name, check in self.checks.items()}


@dataclass(frozen=True)
class Regression:
    """What became of the features that passed."""

    results: tuple[RegressResult, ...]
    """Of those played now."""
    held: int
    """How many held on this very content before."""
    total: int

    @property
    def is_complete(self) -> bool:
        """Whether every one of them was played on this content."""
        return self.held + len(self.results) == self.total

    @property
    def broken(self) -> list[RegressResult]:
        """Those that do not hold any more."""
        return [result for result in self.results if not result.passed]

    @property
    def words(self) -> str:
        """For a commit's message: `regressed 12 of 40, flaky: F007`."""
        flaky = [result.feature_id for result in self.results if result.flaky]
        more = f", flaky: {', '.join(flaky)}" if flaky else ""
        return f"regressed {self.held + len(self.results)} of {self.total}{more}" if self.total else ""


async def regress_earlier(
    hall: Hall,
    tree: Worktree,
    content: str,
    earlier: Earlier,
    since: str,
    parts: Parts,
    seconds: float | None,
    *,
    site: Site | None = None,
) -> Regression:
    """Replay what is not known to hold on a content, the likeliest to be broken first.

    Args:
        hall: where.
        tree: a checkout of the content; the features' commits are in its history.
        content: names it.
        earlier: what passed.
        since: the commit since which something changed; empty: unknown, nothing comes first for that.
        parts: whose state directory holds the history.
        seconds: None: as the settings say; 0: all of them.
        site: an instance of the tree that is open already and not in use.

    Raises: BrowserError, ShellError: a fault of ours. FeatureFileError: the history is broken.
    """
    history = History.load(parts.project.state_dir)
    held = history.held(earlier.digests, content)
    left = {name for name in earlier.checks if name not in held}
    first = order(
        [name for name in earlier.checks if name in left],
        affected=await _affected(tree, since, left),
        recently_failing=history.recently_failing(),
        last_run=history.last_run(),
    )
    results = await regress(
        hall.replayer,
        {name: earlier.checks[name] for name in first},
        earlier.elements.locators(),
        lambda worker: nullcontext(site) if site and not worker else hall.site(tree, f"worker-{worker}"),
        steps={feature.id: feature.steps for feature in earlier.features.features},
        seconds=seconds,
    )
    note(parts, content, earlier.checks, results)
    return Regression(tuple(results), len(held), len(earlier.checks))


def note(parts: Parts, content: str, checks: Mapping[str, Check], results: Sequence[RegressResult]) -> None:
    """Write down what was replayed."""
    plays = [Played(r.feature_id, checks[r.feature_id].digest(), r.passed, r.flaky) for r in results]
    if plays:
        state_dir = parts.project.state_dir
        History.load(state_dir).with_plays(plays, content).save(state_dir)


async def _affected(tree: Worktree, since: str, names: Collection[str]) -> set[str]:
    """Features whose commits touched a file that differs since a commit."""
    if not since or not names:
        return set()
    owners = await owners_of(tree, await changed_code(tree, since))
    return set().union(*owners.values()) & set(names)


async def changed_code(tree: Worktree, since: str) -> set[str]:
    """Files that differ since a commit, but for the harness's own."""
    return {name for name in await tree.changed_files(since) if name.split("/")[0] not in OWN_FILES}


async def owners_of(tree: Worktree, files: Collection[str]) -> dict[str, set[str]]:
    """File -> the features whose commits touched it."""
    found: dict[str, set[str]] = {name: set() for name in files}
    for commit in await tree.log(LOG):
        if feature := commit.trailers.get("Harness-Feature", ""):
            for name in found.keys() & set(commit.files):
                found[name].add(feature)
    return found


async def regress_tree(
    parts: Parts, tree: Worktree, earlier: Earlier, since: str, *, limit: bool
) -> tuple[dict[str, str], bool]:
    """Replay the checks of features that pass on the last commit of a thread.

    Args:
        parts: settings, events, places.
        tree: the thread's worktree.
        earlier: what passed.
        since: the last commit at which all held; empty: unknown.
        limit: stop when the time allowed is over.

    Returns: broken features with the reason, which names the commit that broke each, and whether all that passed are
        known to hold or not on this content.
    """
    candidate, snapshot = await candidate_of(parts, tree)
    name = f"regress-{parts.thread_id}"
    async with open_hall(parts.project, parts.settings, parts.events, candidate.path, candidate.prefix, name) as hall:
        seconds = None if limit else 0
        done = await regress_earlier(hall, candidate, snapshot.content, earlier, since, parts, seconds)
        reasons = {result.feature_id: result.reason for result in done.broken}
        breaks = await who_broke(parts, hall, tree, earlier, list(reasons)[:BLAMED])
    told = {name: f"{_blame(breaks[name])}\n" if name in breaks else "" for name in reasons}
    return {name: told[name] + reason for name, reason in reasons.items()}, done.is_complete


async def who_broke(
    parts: Parts, hall: Hall, tree: Worktree, earlier: Earlier, names: Collection[str]
) -> dict[str, Commit]:
    """The commits that broke features, each between the feature's own and the last."""
    if not names:
        return {}
    line = [c for c in reversed(await tree.log(LOG, first_parent=True)) if _touches_code(c)]
    passed = {_passed_in(commit): index for index, commit in enumerate(line)}
    start = min((passed[name] for name in names if name in passed), default=len(line))
    proved = {name: passed[name] - start for name in names if name in passed}

    async def holds_at(commit: Commit, some: Collection[str]) -> set[str]:
        try:
            return await holding_at(parts, hall, commit.sha, earlier, some)
        except AppNotStarted:
            return set()

    return await find_breaks(line[start:], proved, holds_at)


async def holding_at(parts: Parts, hall: Hall, sha: str, earlier: Earlier, names: Collection[str]) -> set[str]:
    """Which of some features hold at a commit; what fails there is played a second time.

    Raises: AppNotStarted: the application does not start there.
    """
    place = parts.project.worktrees_dir / f"{parts.thread_id}.baseline"
    tree = await parts.repo.checkout_at(sha, place)
    replayer = replace(hall.replayer, evidence_dir=None)  # evidence is of what is there now
    checks = {name: earlier.checks[name] for name in names}
    async with hall.site(tree, "earlier") as site:
        return {name for name, check in checks.items() if await _holds(replayer, check, earlier, site)}


async def _holds(replayer: Replayer, check: Check, earlier: Earlier, site: Site) -> bool:
    for _ in range(2):
        locators = earlier.elements.locators()
        if (await replayer.replay(check, locators, site, purpose="regress", pictures=False)).passed:
            return True
    return False


def _touches_code(commit: Commit) -> bool:
    return any(name.split("/")[0] not in OWN_FILES for name in commit.files) or bool(_passed_in(commit))


def _passed_in(commit: Commit) -> str:
    """The feature a commit proved; empty for any other commit."""
    return "" if "Harness-Event" in commit.trailers else commit.trailers.get("Harness-Feature", "")


def _blame(commit: Commit) -> str:
    who = _passed_in(commit) or "a commit that is not of a feature"
    subject = " ".join(commit.subject.split())[:TITLE]
    return f'{who} broke it, in commit {commit.sha[:10]} "{subject}".'
