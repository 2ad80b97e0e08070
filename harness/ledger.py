"""What a thread keeps in git: the list, progress, checks and names of elements, read and written on its branch.

Everything is read from the branch's last commit, never from the files in the worktree, which code of the project may
have touched. Everything is written in one commit, which is found again by its trailers after a crash.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from harness.commits import make_trailers
from harness.errors import FeatureFileError, SetupError
from harness.events import Noticed
from harness.features import Feature, FeatureList, amending, diff_lists
from harness.progress import Progress, SessionEntry
from harness.project import Project, write_atomic
from harness.specification import Specification
from harness.verify import audit
from harness.verify.author import Known
from harness.verify.check import Check, Element, Elements, Flow, Flows
from harness.verify.exchanges import openapi
from harness.verify.exchanges.interface import Interface, fixed_by
from harness.verify.exchanges.openapi import Document
from harness.verify.files import ELEMENTS, FLOWS, parse, read_check, read_checks, read_elements, to_json
from harness.verify.hall import OWN_FILES

if TYPE_CHECKING:
    from harness.parts import Parts
    from harness.worktree import Worktree

FEATURES, PROGRESS, SPEC, SETTINGS = "features.json", "progress.json", "spec.md", "harness.toml"
_TAKE_BACK = (
    "Only additions, and `changes` of features that do not pass, are taken in. "
    "Take that change back with `git revert`, then run again."
)


class Judged(Protocol):
    """What a verdict was reached on."""

    @property
    def content(self) -> str:
        """Names the tree."""

    @property
    def evidence(self) -> str:
        """Directory of the evidence; may be empty."""


class Ledger:
    """The tracked state of one thread.

    Args:
        tree: another checkout, whose last commit is read; None: the thread's own.
    """

    def __init__(self, parts: Parts, tree: Worktree | None = None) -> None:
        self._parts = parts
        self._tree = tree

    @property
    def name(self) -> str:
        """The project's name in memory."""
        return self._parts.project.state_dir.name

    async def tree(self) -> Worktree:
        """The thread's worktree, opened and repaired when first asked for."""
        if self._tree is None:
            self._tree = await self._parts.repo.open_worktree(self._parts.worktree_path, self._parts.branch)
            for repair in self._tree.repairs:
                self._parts.events.emit(Noticed(text=repair, level="warning"))
        return self._tree

    async def head(self) -> str:
        """The branch's last commit."""
        return await (await self.tree()).head()

    async def features(self) -> FeatureList:
        """The list.

        Raises: FeatureFileError: it is missing or broken in the last commit.
        """
        text = await self._read(FEATURES)
        if text is None:
            raise FeatureFileError(
                f"{FEATURES} is not in the last commit of {self._parts.branch}.", "Run `harness init` first."
            )
        return FeatureList.parse(text, FEATURES)

    async def progress(self) -> Progress:
        """What sessions did; empty before the first."""
        text = await self._read(PROGRESS)
        return Progress.parse(text, PROGRESS) if text else Progress(thread=self._parts.thread_id)

    async def elements(self) -> Elements:
        """Names bound so far."""
        text = await self._read(ELEMENTS)
        return parse(Elements, Path(ELEMENTS), text) if text else Elements()

    async def flows(self) -> Flows:
        """What checks begin with."""
        text = await self._read(FLOWS)
        return parse(Flows, Path(FLOWS), text) if text else Flows()

    async def known(self) -> Known:
        """What the author of contracts can use again, and of a project without pages what is fixed of its interface."""
        app = self._parts.settings.app
        names, flows = (await self.elements()).descriptions(), await self.flows()
        if app.kind == "web":
            return Known(names, flows)
        fixed = fixed_by(check.contract for check in (await self.checks()).values())
        return Known(names, flows, app.kind, Interface(fixed, await self._document(app.openapi)))

    async def _document(self, name: str) -> Document:
        """The project's OpenAPI document; an empty one where there is none.

        Raises: FeatureFileError: it is broken, or the one that is named is not there.
        """
        for each in [name] if name else openapi.NAMES:
            if text := await self._read(each):
                return openapi.parse(text, each)
        if name:
            raise FeatureFileError(
                f"There is no {name}, which `openapi` below [app] names.", "Commit it, or name another."
            )
        return Document()

    async def checks(self) -> dict[str, Check]:
        """The checks of features that pass, with the acts of their flows.

        Raises: FeatureFileError: one is missing or broken; it is named.
        """
        found = {}
        for feature in (await self.features()).features:
            if feature.passes:
                if (check := await self.check(feature.id)) is None:
                    name = f"checks/{feature.id}.json"
                    raise FeatureFileError(f"{feature.id} passes, and {name} is missing.", "Restore it from git.")
                found[feature.id] = check
        return found

    async def check(self, feature_id: str) -> Check | None:
        """What is kept for a feature, passed or not, with the acts of its flows; None: nothing.

        Raises: FeatureFileError: it is broken, or names a flow that is not there.
        """
        name = f"checks/{feature_id}.json"
        text = await self._read(name)
        return None if text is None else read_check(Path(name), await self.flows(), text)

    async def spec_lines(self, feature: Feature, by: Feature | None = None) -> str:
        """The numbered lines of the specification that a feature covers; all of a short one without numbers.

        Args:
            feature: whose.
            by: a feature that is about to change it; those that did so already are told in any case.
        """
        text = await self._read(SPEC)
        lines = Specification(text).quote(feature.covers) if text else ""
        later = (*amending(await self.features(), feature.id), *((by,) if by else ()))
        return "\n\n".join(part for part in (lines, *map(_amendment, later)) if part)

    async def spec(self) -> str:
        """The specification; empty where there is none."""
        return await self._read(SPEC) or ""

    async def used_ids(self) -> frozenset[str]:
        """Ids that features had that may not be in the list any more."""
        chain = audit.chain(await self._read(audit.AUDIT) or "", Path(audit.AUDIT))
        return frozenset(line.feature for line in chain)

    async def subjects(self, count: int) -> list[str]:
        """Subjects of the last commits, newest first."""
        return [commit.subject for commit in await (await self.tree()).log(count)]

    async def files(self) -> list[str]:
        """Tracked paths."""
        return await (await self.tree()).files()

    async def same_tree(self, sha: str, other: str) -> bool:
        """Whether two commits hold the same code; the harness's own files do not count."""
        if not other:
            return False
        return await (await self.tree()).same_code(sha, other, (FEATURES, PROGRESS, SPEC, "checks"))

    async def commit(
        self,
        subject: str,
        body: str,
        trailers: Mapping[str, str],
        features: FeatureList,
        entries: Sequence[SessionEntry] = (),
        *,
        check: Check | None = None,
        amended: Mapping[str, Check] | None = None,
        elements: Mapping[str, Element] | None = None,
        pictures: Mapping[str, str] | None = None,
        goldens: Mapping[str, str] | None = None,
        flows: Mapping[str, Flow] | None = None,
        judged: Judged | None = None,
        spec: str | None = None,
        dropped: Sequence[str] = (),
        state_only: bool = False,
    ) -> str:
        """Commit the worktree with new state and move the user's branch along.

        Args:
            check: the feature's, when it passed.
            amended: of features it was declared to change.
            elements: names bound for the first time.
            pictures: `<feature id>/<name>` -> PNG (base64) of what checks compare with from now on.
            goldens: `<feature id>/<name>` -> output that checks compare with from now on.
            flows: what its contract was the first to begin with.
            judged: what the verdict was reached on, for the audit.
            spec: another text of the specification.
            dropped: ids of features whose check is not kept.
            state_only: leave the code in the worktree out.

        Replay: a commit with these trailers is returned as it is, and the tree cleaned of what was prepared again.
        """
        tree = await self.tree()
        made = await tree.find_commit(trailers)
        if made:
            await tree.reset(await tree.head())
        else:
            checks = [*([check] if check else []), *(amended or {}).values()]
            outputs = {f"checks/golden/{n}.txt": text.encode(errors="replace") for n, text in (goldens or {}).items()}
            shots = {f"checks/pictures/{n}.png": base64.b64decode(png) for n, png in (pictures or {}).items()}
            compared = {**outputs, **shots}
            names, seal = await self._write(features, entries, checks, elements or {}, flows or {}, compared, judged)
            if spec is not None:
                await self.put(SPEC, spec)
                names.append(SPEC)
            for feature_id in dropped:
                names += await self._drop_check(feature_id)
            sealed = {**trailers, audit.TRAILER: seal} if seal else trailers
            made = await tree.commit(subject, body, sealed, paths=[] if state_only else None, always=names)
        await self.follow()
        return made

    async def may_commit(self, trailers: Mapping[str, str], content: str) -> bool:
        """Whether the tree still is what a verdict was reached on, or that commit is made already."""
        tree = await self.tree()
        return bool(await tree.find_commit(trailers)) or (await tree.snapshot(OWN_FILES)).content == content

    async def put(self, name: str, text: str | bytes) -> None:
        """Write one file of ours into the tree, and remove what a killed writer left beside it."""
        path = (await self.tree()).directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        for leftover in path.parent.glob(f".{path.name}.*.tmp"):
            leftover.unlink()
        write_atomic(path, text)

    async def commit_state(
        self,
        feature_id: str,
        event: str,
        reason: str,
        features: FeatureList,
        entries: Sequence[SessionEntry],
        *,
        check: Check | None = None,
        elements: Mapping[str, Element] | None = None,
        occasion: str = "",
    ) -> str:
        """A commit of the list: parked, reopened, amended; of the code nothing.

        Args:
            check: to keep for a feature that does not pass.
            elements: names its check bound for the first time.
            occasion: tells this event from others; empty: the sessions so far do.
        """
        named = occasion or f"{event}-{len((await self.progress()).sessions)}"
        trailers = make_trailers(self._parts.thread_id, entries[-1].session if entries else named, feature_id, event)
        subject = f"{feature_id}: {event}"
        return await self.commit(
            subject, reason, trailers, features, entries, check=check, elements=elements, state_only=True
        )

    async def follow(self) -> None:
        """Move the user's checked-out branch to the thread's last commit, where that overwrites nothing of theirs."""
        branch = await self._parts.repo.branch()
        if branch is None or branch == self._parts.branch:
            return
        moved = await self._parts.repo.fast_forward(branch, await self.head())
        if not moved.moved and await self._take_in_others(branch):
            moved = await self._parts.repo.fast_forward(branch, await self.head())
        if not moved.moved and moved.reason:
            text = f"Your branch {branch} stays where it is: {moved.reason}"
            self._parts.events.emit(Noticed(text=f"{text} Take the work in with `git merge {self._parts.branch}`."))

    async def _take_in_others(self, branch: str) -> bool:
        """Merge a branch on which meanwhile only other directories of the repository were changed."""
        tree = await self.tree()
        if not tree.prefix or not await tree.is_left_alone_since_fork(branch):
            return False
        return (await tree.merge(branch)).merged

    async def take_in_user_commits(self) -> tuple[str, ...]:
        """Merge what the user committed; returns ids of features they added.

        The list is judged by what they changed since the branches parted, before anything is merged: a list that is
        refused leaves nothing behind, and is accepted as soon as that change is taken back.

        Raises: FeatureFileError: the list is broken, or changed otherwise than by additions. SetupError: a conflict.
        """
        tree, branch = await self.tree(), await self._parts.repo.branch()
        added = await self.added_by_user()
        if branch is None or branch == self._parts.branch:
            return ()
        before = await tree.head()
        result = await tree.merge(branch)
        if not result.merged:
            raise SetupError(
                f"Your branch {branch} and {self._parts.branch} conflict: {result.reason}",
                f"Nothing was merged. Run `git merge {self._parts.branch}` on {branch}, mend the conflict, run again.",
            )
        return added if result.sha != before else ()

    async def require_settings(self) -> None:
        """Refuse to go on where the branch has settings, say a gate, and the checkout that they are read from has none.

        Raises: SetupError: with the command that brings them there.
        """
        if (self._parts.project.directory / SETTINGS).exists() or await (await self.tree()).read(SETTINGS) is None:
            return
        raise SetupError(
            f"{SETTINGS} is on {self._parts.branch} and not in your checkout, so what it says, such as the tests that "
            "must not get worse, would not count.",
            f"Take it in with `git merge {self._parts.branch}`, or commit its removal; then run again.",
        )

    async def added_by_user(self) -> tuple[str, ...]:
        """Ids of features that are new on the user's branch.

        Raises: FeatureFileError: as `take_in_user_commits`.
        """
        await self._refuse_uncommitted()
        tree, branch = await self.tree(), await self._parts.repo.branch()
        if branch is None or branch == self._parts.branch:
            return ()
        if await tree.is_ours_since_fork(branch, FEATURES):
            return ()
        old, new = [await tree.read(FEATURES, at) for at in (await tree.fork_point(branch), branch)]
        if new == old or old is None:
            return ()
        if new is None:
            raise FeatureFileError(f"{FEATURES} was deleted on {branch}.", _TAKE_BACK)
        change = diff_lists(FeatureList.parse(old, FEATURES), FeatureList.parse(new, f"{branch}:{FEATURES}"))
        if change.is_acceptable:
            return change.added
        raise FeatureFileError(f"{FEATURES} was changed on {branch} by somebody else: {change}.", _TAKE_BACK)

    async def _refuse_uncommitted(self) -> None:
        """Notice a list that was changed in the checkout and not committed, before it is passed over in silence."""
        if FEATURES not in await self._parts.repo.dirty():
            return
        path = self._parts.project.features_file
        if not path.exists():
            raise FeatureFileError(f"{path} is gone.", f"Bring it back with `git restore {FEATURES}`, then run again.")
        change = diff_lists(await self.features(), FeatureList.load(path))
        if change.added or change.declared or not change.is_acceptable:
            raise FeatureFileError(
                f"{path} has changes that are not committed: {change}.",
                "Commit them (additions and `changes` are taken in), or undo them with "
                f"`git restore {FEATURES}`; then run again.",
            )

    async def _write(
        self,
        features: FeatureList,
        entries: Sequence[SessionEntry],
        checks: Sequence[Check],
        elements: Mapping[str, Element],
        flows: Mapping[str, Flow],
        compared: Mapping[str, bytes],
        judged: Judged | None,
    ) -> tuple[list[str], str]:
        """Write the state into the tree; returns the names, and the hash of the audit's last line if it grew."""
        totals, progress = features.totals, await self.progress()
        for entry in entries:
            progress = progress.append(entry)
        written: dict[str, str | bytes] = {
            FEATURES: features.to_json(),
            PROGRESS: progress.with_list(totals.total, totals.passing, totals.parked).to_json(),
        }
        known = (await self.flows()).with_more(flows)
        for check in checks:
            written[f"checks/{check.contract.feature_id}.json"] = to_json(known.fold_check(check))
        if flows:
            written[FLOWS] = to_json(known)
        if elements:
            written[ELEMENTS] = to_json((await self.elements()).with_more(elements))
        written |= compared
        seal = await self._audit(features, written, judged)
        for name, text in written.items():
            await self.put(name, text)
        return list(written), seal

    async def _audit(self, features: FeatureList, written: dict[str, str | bytes], judged: Judged | None) -> str:
        """Add to the audit what this commit says anew; returns the hash of its last line, or ""."""
        before = await self._read(FEATURES)
        verdicts = audit.changes(FeatureList.parse(before, FEATURES) if before else None, features)
        files = {name: audit.file_digest(text) for name, text in written.items() if name.startswith("checks/")}
        if files and not verdicts:
            verdicts = [audit.Verdict(feature=Path(next(iter(files))).stem, outcome="amended")]
        if not verdicts:
            return ""
        done = self._parts.audit.head if self._parts.audit else ""
        common: dict[str, Any] = {"thread": self._parts.thread_id, "files": files, "done": done}
        if judged:
            evidence = audit.evidence_digests(judged.evidence, self._parts.project.evidence_dir)
            common |= {"content": judged.content, "evidence": evidence}
        lines = [verdict.model_copy(update=common) for verdict in verdicts]
        written[audit.AUDIT], seal = audit.extend(await self._read(audit.AUDIT) or "", lines)
        return seal

    async def _drop_check(self, feature_id: str) -> list[str]:
        """Take a check out of the tree, with what it compares with; the names that the last commit has of it."""
        tree, check = await self.tree(), f"checks/{feature_id}.json"
        compared = tuple(f"checks/{kind}/{feature_id}/" for kind in ("golden", "pictures"))
        names = [name for name in await tree.files() if name == check or name.startswith(compared)]
        for name in names:
            (tree.directory / name).unlink(missing_ok=True)
        return names

    async def _read(self, name: str) -> str | None:
        return await (await self.tree()).read(name)


def _amendment(feature: Feature) -> str:
    """The text of a feature as another reads it that it changes."""
    steps = "\n".join(f"{number}. {step}" for number, step in enumerate(feature.steps, 1))
    return f"Changed by feature {feature.id}, which counts where they contradict:\n{feature.description}\n{steps}"


def require_readable(project: Project) -> FeatureList | None:
    """Read all the files in the user's checkout that the harness keeps there, before anything else is done.

    Returns: the list; None while there is none.
    Raises: FeatureFileError: one is broken; it is named.
    """
    if project.progress_file.exists():
        Progress.load(project.progress_file)
    read_checks(project.checks_dir)
    read_elements(project.checks_dir)
    return FeatureList.load(project.features_file) if project.features_file.exists() else None
