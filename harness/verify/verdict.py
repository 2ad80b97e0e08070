"""The verdict on a feature: what code concludes from contract, tree and baseline. No model decides anything here.

    application starts -> names are bound -> passes twice -> every expectation can fail (red, perturbed)
    -> checks of earlier features still pass -> the project's own gate passes

The first of these that does not hold is the reason, in words the coder can act on.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field

from harness.errors import RepoError
from harness.events import Noticed, VerdictReached
from harness.features import Proof as ProofCounts
from harness.prompts import fence
from harness.verify.app import AppNotStarted
from harness.verify.author import Known, write_contract
from harness.verify.before import Before
from harness.verify.check import Check, Contract, Element, Elements, Flows, Locator
from harness.verify.hall import Hall, candidate_of, open_hall
from harness.verify.proof import Proof, prove
from harness.verify.regress import RegressResult, order, regress
from harness.verify.replay import Site
from harness.verify.trial import OnBound, Trial, Tried
from harness.verify.words import phrase

if TYPE_CHECKING:
    from harness.features import Feature, FeatureList
    from harness.parts import Parts
    from harness.worktree import Worktree

GIST_CHARACTERS = 400


class Verdict(BaseModel):
    """What was concluded, as kept on the feature's desk until the commit."""

    model_config = ConfigDict(frozen=True)

    feature_id: str
    passed: bool
    reason: str = ""
    """Why not, in words for the coder."""
    check: Check | None = None
    elements: dict[str, Element] = Field(default_factory=dict)
    """Names bound for the first time in the project."""
    evidence: str = ""
    regressed: str = ""
    """`regressed n of m`."""
    regressed_all: bool = False
    content: str = ""
    """Names the content that was judged; nothing else may be committed on this verdict."""
    park_reason: str = ""
    """What is said if the feature is parked now; empty: the reason."""
    park_now: bool = False
    """Another attempt cannot help: a person must decide."""
    meaningless: tuple[str, ...] = ()
    """Expectations, in words, that nothing makes fail: the contract must be written again."""

    @property
    def gist(self) -> str:
        """The reason's beginning, without what page and server said, for memory and tables."""
        return self.reason.partition("\n<<data")[0][:GIST_CHARACTERS]

    @property
    def proof(self) -> ProofCounts:
        """Expectations by kind of proof."""
        kinds = [item.kind for item in self.check.proof] if self.check else []
        return ProofCounts(red=kinds.count("red"), perturbed=kinds.count("perturbed"), person=kinds.count("person"))

    @property
    def proof_words(self) -> str:
        """The same, for a commit's message."""
        proof = self.proof
        person = f", {proof.person} accepted by a person" if proof.person else ""
        return f"{proof.red} expectations red before, {proof.perturbed} moved by a disturbance{person}"


@dataclass(frozen=True)
class Case:
    """What a verdict is asked about."""

    parts: Parts
    feature: Feature
    contract: Contract
    tree: Worktree
    base_sha: str
    features: FeatureList
    passed: Mapping[str, Check]
    """Checks of features that pass; the feature's own is left out."""
    elements: Elements
    conversation: str
    """Names the binder's conversations."""
    everything: bool = False
    """Replay all passed checks, whatever the time."""
    known: Mapping[str, Locator] = field(default_factory=dict)
    """Names bound in an earlier attempt."""
    spec_lines: str = ""
    flows: Flows = field(default_factory=Flows)


async def verify_feature(case: Case) -> Verdict:
    """Reach a verdict.

    Raises: BrowserError, ShellError, SetupError, ModelError: a fault of ours; there is no verdict.
    Replay: computes the same from the same tree; names already bound are kept by the caller.
    """
    parts = case.parts
    try:
        tree, snapshot = await candidate_of(parts, case.tree)
    except RepoError as exc:
        return _told(case, _no(case, f"The work cannot be committed as it is: {exc}"))
    hall_name = f"verify-{parts.thread_id}"
    async with open_hall(parts.project, parts.settings, parts.events, tree.path, tree.prefix, hall_name) as hall:
        try:
            async with hall.site(tree.directory, "new") as site:
                verdict = await _proved(case, hall, site)
        except AppNotStarted as exc:
            said = fence(str(exc), "the harness running init.sh")
            verdict = _no(case, f"The application does not start on a fresh copy with empty data.\n{said}")
        if verdict.passed:
            verdict = await _harmless(case, hall, tree, verdict)
        if verdict.passed:
            verdict = await _gate(case, hall, verdict)
    return _told(case, verdict.model_copy(update={"content": snapshot.content}))


async def regress_tree(
    parts: Parts, tree: Worktree, features: FeatureList, checks: Mapping[str, Check], elements: Elements, *, limit: bool
) -> tuple[dict[str, str], bool]:
    """Replay the checks of features that pass on a tree.

    Args:
        parts: settings, events, places.
        tree: what to look at, as a commit of it would be.
        features: for the words of failures.
        checks: to replay.
        elements: the project's names.
        limit: stop when the time allowed is over.

    Returns: broken features with the reason, and whether all checks were played.
    """
    tree, _ = await candidate_of(parts, tree)
    name = f"regress-{parts.thread_id}"
    async with open_hall(parts.project, parts.settings, parts.events, tree.path, tree.prefix, name) as hall:
        try:
            results = await _regress(hall, tree, features, checks, elements, None if limit else 0)
        except AppNotStarted as exc:
            reason = f"The application does not start: {exc}"
            return dict.fromkeys(checks, reason), True
    return {r.feature_id: r.reason for r in results if not r.passed}, len(results) == len(checks)


async def prove_start(parts: Parts, tree: Worktree) -> str:
    """Run `init.sh` twice on empty data and see the application answer; returns why not, or ""."""
    try:
        tree, _ = await candidate_of(parts, tree)
    except RepoError as exc:
        return f"The work cannot be committed as it is: {exc}"
    name = f"start-{parts.thread_id}"
    async with open_hall(parts.project, parts.settings, parts.events, tree.path, tree.prefix, name) as hall:
        for number in ("once", "twice"):
            try:
                async with hall.site(tree.directory, number, anew=True):
                    continue
            except AppNotStarted as exc:
                return str(exc)
    return ""


async def _proved(case: Case, hall: Hall, site: Site) -> Verdict:
    """Bind, replay twice, show that it means something."""
    async with Before.open(hall.replayer, case.elements.locators(), lambda: _baseline(case, hall)) as before:
        tried = await _tried(case, hall, site, case.contract, case.conversation, case.known, before.look)
        check, result = tried.check, tried.result
        if not result.passed:
            return _no(case, result.reason, check=check, evidence=result.evidence)
        proof = await prove(hall.replayer, check, case.elements.locators(), await before.red(), site)
    if proof.failed:
        reason = f"It passed twice, then not again.\n{proof.failed.reason}"
        return _no(case, reason, check=check, evidence=result.evidence)
    if proof.unproved:
        return _meaningless(case, check, proof, result.evidence)
    if proof.present_already and (why := await _second_opinion(case, hall, site)):
        return _no(case, why, check=check, evidence=result.evidence)
    proved = check.model_copy(update={"proof": proof.items})
    shared = {
        name: Element(description=case.contract.targets[name], locator=locator)
        for name, locator in check.bindings.items()
        if name not in case.elements.elements
    }
    kept = {name: locator for name, locator in check.bindings.items() if name not in shared}
    final = proved.model_copy(update={"bindings": kept})
    return Verdict(feature_id=case.feature.id, passed=True, check=final, elements=shared, evidence=result.evidence)


async def _tried(
    case: Case,
    hall: Hall,
    site: Site,
    contract: Contract,
    conversation: str,
    known: Mapping[str, Locator],
    on_bound: OnBound | None = None,
) -> Tried:
    trial = Trial(case.parts.model, hall.replayer, site, case.feature, case.elements.locators(), on_bound)
    return await trial.run(contract, conversation, known)


@asynccontextmanager
async def _baseline(case: Case, hall: Hall) -> AsyncIterator[Site | None]:
    """The application before the feature; None: it does not start."""
    parts = case.parts
    tree = await parts.repo.checkout_at(case.base_sha, parts.project.worktrees_dir / f"{parts.thread_id}.baseline")
    async with AsyncExitStack() as stack:
        try:
            site: Site | None = await stack.enter_async_context(hall.site(tree.directory, "baseline"))
        except AppNotStarted:
            parts.events.emit(Noticed(text="The baseline does not start, so no expectation can be red."))
            site = None
        yield site


def _meaningless(case: Case, check: Check, proof: Proof, evidence: str) -> Verdict:
    """Expectations that nothing makes fail prove nothing: back to the author, then to a person."""
    contract = case.contract
    unproved = tuple(phrase(contract.items[index], contract.targets) for index in proof.unproved)
    reason = f"The contract expects what nothing can make fail: {'; '.join(unproved)}."
    return Verdict(
        feature_id=case.feature.id,
        passed=False,
        reason=reason,
        check=check.model_copy(update={"proof": proof.items}),
        evidence=evidence,
        park_reason=f"needs a person: {reason}",
        park_now=True,
        meaningless=unproved,
    )


async def _second_opinion(case: Case, hall: Hall, site: Site) -> str:
    """What was there already needs a second author's check to pass; returns why it does not, or ""."""
    conversation = f"{case.conversation}/second"
    known = Known(case.elements.descriptions(), case.flows)
    agreed = await write_contract(case.parts.model, case.feature, case.spec_lines, known, f"{conversation}/contract")
    result = (await _tried(case, hall, site, agreed.contract, conversation, {})).result
    if result.passed:
        return ""
    return f"The feature seems to be there already, and an independent check of it fails.\n{result.reason}"


async def _harmless(case: Case, hall: Hall, tree: Worktree, verdict: Verdict) -> Verdict:
    """Earlier features must still pass."""
    others = {name: check for name, check in case.passed.items() if name != case.feature.id}
    if not others:
        return verdict.model_copy(update={"regressed_all": True})
    affected = await _affected(case, others)
    first = {name: others[name] for name in order(others, affected=affected)}
    elements = case.elements.with_more(verdict.elements)
    seconds = 0 if case.everything else None
    results = await _regress(hall, tree, case.features, first, elements, seconds)
    words = f"regressed {len(results)} of {len(others)}"
    flaky = [r.feature_id for r in results if r.flaky]
    flaky_words = f", flaky: {', '.join(flaky)}" if flaky else ""
    update: dict[str, Any] = {"regressed": words + flaky_words, "regressed_all": len(results) == len(others)}
    broken = [r for r in results if not r.passed]
    if not broken:
        return verdict.model_copy(update=update)
    told = "\n\n".join(f"It breaks {r.feature_id}, which passed before.\n{r.reason}" for r in broken[:3])
    said = f"The feature itself passes, but {len(broken)} earlier feature(s) do not any more.\n\n{told}"
    return verdict.model_copy(update={**update, "passed": False, "reason": said, "evidence": broken[0].evidence})


async def _regress(
    hall: Hall,
    tree: Worktree,
    features: FeatureList,
    checks: Mapping[str, Check],
    elements: Elements,
    seconds: float | None,
) -> Sequence[RegressResult]:
    steps = {f.id: f.steps for f in features.features}
    return await regress(
        hall.replayer,
        checks,
        elements.locators(),
        lambda worker: hall.site(tree.directory, f"worker-{worker}"),
        steps=steps,
        seconds=seconds,
    )


async def _affected(case: Case, others: Mapping[str, Check]) -> set[str]:
    """Features whose commits touched a file that this one changed."""
    changed = set(await case.tree.changed_files(case.base_sha))
    log = await case.tree.log(1000)
    return {
        feature
        for commit in log
        if (feature := commit.trailers.get("Harness-Feature", "")) in others and changed.intersection(commit.files)
    }


async def _gate(case: Case, hall: Hall, verdict: Verdict) -> Verdict:
    """The project's own lint and tests."""
    gate = case.parts.settings.gate
    for command in gate.commands:
        result = await hall.room.run(command, timeout_seconds=gate.seconds)
        if result.exit_code:
            output = fence(result.output[-4000:], command)
            reason = (
                f"The feature passes, but `{command}` of the project's gate ended with {result.exit_code}.\n{output}"
            )
            return verdict.model_copy(update={"passed": False, "reason": reason})
    return verdict


def _no(case: Case, reason: str, *, check: Check | None = None, evidence: str = "") -> Verdict:
    return Verdict(feature_id=case.feature.id, passed=False, reason=reason, check=check, evidence=evidence)


def _told(case: Case, verdict: Verdict) -> Verdict:
    proof = verdict.proof.model_dump() if verdict.check else {}
    event = VerdictReached(
        feature_id=case.feature.id,
        passed=verdict.passed,
        reason=verdict.reason,
        proof=proof,
        evidence=verdict.evidence,
    )
    case.parts.events.emit(event)
    return verdict
