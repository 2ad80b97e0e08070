"""The verdict on a feature: what code concludes from contract, tree and baseline. No model decides anything here.

    application starts -> names are bound -> passes twice -> every expectation can fail (red, perturbed)
    -> passes with other texts, for another visitor -> checks of earlier features still pass
    -> the project's own gate passes, and its tests are no worse than before

The first of these that does not hold is the reason, in words the coder can act on.
"""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, Field

from harness.errors import RepoError
from harness.events import Noticed, VerdictReached
from harness.features import NEEDS_DECISION
from harness.features import Proof as ProofCounts
from harness.prompts import fence
from harness.verify.app import AppNotStarted
from harness.verify.author import Known, write_contract
from harness.verify.before import Before
from harness.verify.check import AnyExpectation, Check, Contract, Element, Elements, Expectation, Flows, Locator
from harness.verify.exchanges.interface import Interface
from harness.verify.exchanges.items import Expected
from harness.verify.hall import Hall, candidate_of, open_hall
from harness.verify.medium import fails_with_other_texts, prove_meaning
from harness.verify.project_gate import run_gate
from harness.verify.proof import Proof
from harness.verify.regress import RegressResult
from harness.verify.regression import Earlier, holding_at, note, regress_earlier
from harness.verify.replay import Site
from harness.verify.suite import compare
from harness.verify.trial import OnBound, Trial, Tried
from harness.verify.words import phrase

if TYPE_CHECKING:
    from harness.features import Feature, FeatureList
    from harness.parts import Parts
    from harness.worktree import Worktree

GIST_CHARACTERS = 400
TOLD = 3
"""Broken features whose failures are told in full."""


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
    amended: dict[str, Check] = Field(default_factory=dict)
    """New checks of features that this one was declared to change, also one that a person must decide on."""
    pictures: dict[str, str] = Field(default_factory=dict)
    """`<feature id>/<name>` -> PNG (base64) of pictures taken for the first time."""
    goldens: dict[str, str] = Field(default_factory=dict)
    """`<feature id>/<name>` -> outputs kept for the first time."""
    evidence: str = ""
    regressed: str = ""
    """`regressed n of m`."""
    regressed_all: bool = False
    tests: str = ""
    """How the project's own tests ended; empty: none are named."""
    content: str = ""
    """Names the content that was judged; nothing else may be committed on this verdict."""
    park_reason: str = ""
    """What is said if the feature is parked now; empty: the reason."""
    park_now: bool = False
    """Another attempt cannot help: a person must decide."""
    of_tree: bool = False
    """The project as a whole is at fault, not the feature: it does not start, or its gate does not pass."""
    failed: int | None = None
    """Index of the item of its own contract that did not hold."""
    meaningless: tuple[str, ...] = ()
    """Expectations, in words, that nothing makes fail: the contract must be written again."""

    @property
    def expectation(self) -> AnyExpectation | None:
        """The expectation of its own contract that did not hold; None where an act or something else failed."""
        item = self.check.contract.items[self.failed] if self.check and self.failed is not None else None
        return item if isinstance(item, Expectation | Expected) else None

    @property
    def gist(self) -> str:
        """The reason's beginning, without what page and server said, for memory and tables."""
        return self.reason.partition("\n<<data")[0][:GIST_CHARACTERS]

    @property
    def proof(self) -> ProofCounts:
        """Expectations by kind of proof."""
        return counted(self.check) if self.check else ProofCounts()

    @property
    def proof_words(self) -> str:
        """The same, for a commit's message."""
        proof = self.proof
        person = f", {proof.person} accepted by a person" if proof.person else ""
        return f"{proof.red} expectations red before, {proof.perturbed} moved by a disturbance{person}"


def counted(check: Check) -> ProofCounts:
    """A check's expectations by kind of proof."""
    kinds = [item.kind for item in check.proof]
    return ProofCounts(red=kinds.count("red"), perturbed=kinds.count("perturbed"), person=kinds.count("person"))


@dataclass(frozen=True)
class Amendment:
    """What a feature that passes has to do once another is built that was declared to change it."""

    feature: Feature
    contract: Contract
    spec_lines: str
    """The specification with the text of the feature that changes it."""


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
    interface: Interface = field(default_factory=Interface)
    amendments: Sequence[Amendment] = ()


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
            async with hall.site(tree, "new") as site:
                verdict = await _proved(case, hall, site)
                if verdict.passed:
                    verdict = await _amended(case, hall, site, verdict)
                if verdict.passed:
                    verdict = await _for_others(case, hall, site, snapshot.content, verdict)
                if verdict.passed:
                    verdict = await _harmless(case, hall, site, tree, snapshot.content, verdict)
        except AppNotStarted as exc:
            said = fence(str(exc), "the harness running init.sh")
            verdict = _no(
                case, f"The application does not start on a fresh copy with empty data.\n{said}", of_tree=True
            )
        if verdict.passed:
            verdict = await _gate(case, hall, verdict)
        if verdict.passed and parts.settings.gate.tests:
            verdict = await _own_tests(case, hall, tree, snapshot.content, verdict)
        if verdict.passed and verdict.check:
            proved = {case.feature.id: verdict.check, **verdict.amended}
            note(parts, snapshot.content, proved, [RegressResult(name, True) for name in proved])
    return _told(case, verdict.model_copy(update={"content": snapshot.content}))


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
                async with hall.site(tree, number, anew=True):
                    continue
            except AppNotStarted as exc:
                return str(exc)
    return ""


async def _proved(case: Case, hall: Hall, site: Site) -> Verdict:
    """Bind, replay twice, and show that it means something."""
    async with Before.open(hall.replayer, case.elements.locators(), lambda: _baseline(case, hall)) as before:
        tried = await _tried(case, hall, site, case.contract, case.conversation, case.known, before.look)
        check, result = tried.check, tried.result
        if not result.passed:
            failed = result.failed.index if result.failed else None
            return _no(case, result.reason, check=check, evidence=result.evidence, failed=failed)
        proof = await prove_meaning(hall.replayer, check, case.elements.locators(), await before.red(), site)
        proof = proof.accepting(case.contract.accepted)
    if proof.failed:
        reason = f"It passed twice, then not again.\n{proof.failed.reason}"
        return _no(case, reason, check=check, evidence=result.evidence)
    if proof.unproved:
        return _meaningless(case, check, proof, result.evidence)
    if proof.present_already and (why := await _second_opinion(case, hall, site)):
        return _no(case, why, check=check, evidence=result.evidence)
    final, shared = case.elements.share(check.model_copy(update={"proof": proof.items}))
    taken, outputs = hall.replayer.pictures.taken(), hall.replayer.goldens.taken()
    return Verdict(
        feature_id=case.feature.id,
        passed=True,
        check=final,
        elements=shared,
        pictures={name: base64.b64encode(png).decode() for name, png in taken.items()},
        goldens={name: text.decode(errors="replace") for name, text in outputs.items()},
        evidence=result.evidence,
    )


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
            site: Site | None = await stack.enter_async_context(hall.site(tree, "baseline"))
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
    known = Known(case.elements.descriptions(), case.flows, case.parts.settings.app.kind, case.interface)
    agreed = await write_contract(case.parts.model, case.feature, case.spec_lines, known, f"{conversation}/contract")
    result = (await _tried(case, hall, site, agreed.contract, conversation, {})).result
    if result.passed:
        return ""
    return f"The feature seems to be there already, and an independent check of it fails.\n{result.reason}"


async def _for_others(case: Case, hall: Hall, site: Site, content: str, verdict: Verdict) -> Verdict:
    """It must pass with other texts too, which depend on what is judged and so are known to nobody before."""
    assert verdict.check is not None
    elements = case.elements.with_more(verdict.elements).locators()
    changed = {each.feature.id: each.feature for each in case.amendments}
    for name, check in {case.feature.id: verdict.check, **verdict.amended}.items():
        seed, steps = f"{content} {name}", changed.get(name, case.feature).steps
        failed = await fails_with_other_texts(hall.replayer, check, elements, site, seed, steps)
        if failed:
            no = {"passed": False, "reason": failed.reason, "evidence": failed.evidence}
            item = failed.failed.index if failed.failed and name == case.feature.id else None
            return verdict.model_copy(update={**no, "failed": item})
    return verdict


async def _amended(case: Case, hall: Hall, site: Site, verdict: Verdict) -> Verdict:
    """Features that this one was declared to change pass by checks that take its text in, proved as any other."""
    for amendment in case.amendments:
        name = amendment.feature.id
        hall.replayer.pictures.anew(name)
        hall.replayer.goldens.anew(name)
        own = replace(
            case,
            feature=amendment.feature,
            contract=amendment.contract,
            spec_lines=amendment.spec_lines,
            elements=case.elements.with_more(verdict.elements),
            conversation=f"{case.conversation}/changes-{name}",
            known={},
        )
        found = await _proved(own, hall, site)
        if found.check is None or not found.passed:
            said = f"The feature itself passes, but {name}, which it changes, does not as changed.\n{found.reason}"
            park = {"park_reason": found.park_reason, "park_now": found.park_now, "evidence": found.evidence}
            asked = {name: found.check} if found.check and found.park_now else {}
            no = {"passed": False, "reason": said, "amended": {**verdict.amended, **asked}}
            return verdict.model_copy(update={**no, **park})
        more = {
            "elements": {**verdict.elements, **found.elements},
            "amended": {**verdict.amended, name: found.check},
            "pictures": {**verdict.pictures, **found.pictures},
            "goldens": {**verdict.goldens, **found.goldens},
        }
        verdict = verdict.model_copy(update=more)
    return verdict


async def _harmless(case: Case, hall: Hall, site: Site, tree: Worktree, content: str, verdict: Verdict) -> Verdict:
    """Earlier features must still pass; one that was broken before this work began is not held against it."""
    earlier = Earlier(case.features, case.passed, case.elements.with_more(verdict.elements))
    earlier = earlier.without({case.feature.id, *verdict.amended})
    seconds = 0 if case.everything else None
    done = await regress_earlier(hall, tree, content, earlier, case.base_sha, case.parts, seconds, site=site)
    names = [result.feature_id for result in done.broken]
    try:
        held_before = await holding_at(case.parts, hall, case.base_sha, earlier, names) if names else set()
    except AppNotStarted:
        held_before = set(names)  # what cannot be known forgives nothing
    broken = [result for result in done.broken if result.feature_id in held_before]
    late = [name for name in names if name not in held_before]
    words = done.words + (f", broken before: {', '.join(late)}" if late else "")
    verdict = verdict.model_copy(update={"regressed": words, "regressed_all": done.is_complete and not late})
    return _breaking(verdict, broken) if broken else verdict


def _breaking(verdict: Verdict, broken: Sequence[RegressResult]) -> Verdict:
    """The work is refused; when nothing else is found, a person decides whether it may change what it breaks."""
    told = "\n\n".join(f"It breaks {r.feature_id}, which passed before.\n{r.reason}" for r in broken[:TOLD])
    said = f"The feature itself passes, but {len(broken)} earlier feature(s) do not any more.\n\n{told}"
    names = ", ".join(result.feature_id for result in broken)
    return verdict.model_copy(
        update={
            "passed": False,
            "reason": said,
            "evidence": broken[0].evidence,
            "park_reason": f"{NEEDS_DECISION} it passes, but breaks {names}; if it may, declare `changes`.",
        }
    )


async def _gate(case: Case, hall: Hall, verdict: Verdict) -> Verdict:
    """The project's own lint and tests."""
    failed = await run_gate(hall.room, case.parts.settings.gate)
    if failed is None:
        return verdict
    said = f"`{failed.command}` of the project's gate ended with {failed.exit_code}."
    reason = f"The feature passes, but {said}\n{fence(failed.output, failed.command)}"
    return verdict.model_copy(update={"passed": False, "reason": reason, "of_tree": True})


async def _own_tests(case: Case, hall: Hall, tree: Worktree, content: str, verdict: Verdict) -> Verdict:
    """The project's own tests must not be worse than before."""
    try:
        found = await compare(case.parts, hall, tree, content, case.base_sha)
    except AppNotStarted as exc:
        said = fence(str(exc), "the harness running init.sh")
        return verdict.model_copy(update={"passed": False, "reason": f"The tests cannot be run.\n{said}"})
    return verdict.model_copy(update={"passed": not found.reason, "reason": found.reason, "tests": f"{found}"})


def _no(
    case: Case,
    reason: str,
    *,
    check: Check | None = None,
    evidence: str = "",
    failed: int | None = None,
    of_tree: bool = False,
) -> Verdict:
    known = {"check": check, "evidence": evidence, "failed": failed, "of_tree": of_tree}
    return Verdict.model_validate({"feature_id": case.feature.id, "passed": False, "reason": reason, **known})


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
