"""The papers of the feature in work: its contract, what the coder is told, its last verdict.

They lie in the state directory, one directory a feature, so that a killed run finds what was agreed and decided. The
contract stays for as long as the feature is in work; a feature that is parked or reopened gets a new one.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from harness import outline
from harness.brief import CONVENTIONS, MEND, render_brief, render_evidence
from harness.features import PassedAt, mark_passed
from harness.project import write_atomic
from harness.tools.memory import quote, quote_documents
from harness.verify import audit
from harness.verify.author import Agreed, contract_words, revise_contract, write_contract
from harness.verify.check import AnyExpectation, Check, Contract, Flow, Flows, Locator
from harness.verify.dispute import Opinion, compare
from harness.verify.verdict import Amendment, Case, Verdict, counted

if TYPE_CHECKING:
    from harness.features import Feature
    from harness.ledger import Ledger
    from harness.parts import Parts
    from harness.progress import SessionEntry

LESSONS = ("failure", "decision", "note", "progress")
"""Kinds recalled for a brief; what the specification, the plan and the log say stands in it anyway."""
OWN = ("note", "decision")
"""Kinds that a session on a feature left for the next one on it: these come first."""


class Desk:
    """One feature's papers."""

    def __init__(self, parts: Parts, ledger: Ledger, feature: Feature) -> None:
        self.parts, self.ledger, self.feature = parts, ledger, feature
        directory = parts.desk_dir(feature.id)
        self._contract, self._verdict = directory / "contract.json", directory / "verdict.json"
        self._flows, self._opinion = directory / "flows.json", directory / "opinion.json"
        self._amended = directory / "amended"

    async def contract(self) -> Contract:
        """What was agreed, written first where there is nothing. One call of the author."""
        if self._contract.exists():
            return Contract.model_validate_json(self._contract.read_text(encoding="utf-8"))
        decided = await self._decided()
        return self._keep(Agreed(decided.contract, {}) if decided else await self._write())

    async def second_opinion(self, step: int, failed: AnyExpectation | None) -> Opinion:
        """Have an author who has not seen the contract write it too; its contract counts where it differs at a step.

        Args:
            step: what is disputed.
            failed: the expectation that is; None: all of the step.

        Replay: the contract is kept before the opinion; what is asked again then compares it with itself.
        """
        first, agreed = await self.contract(), await self._write(f"/step-{step}")
        opinion = compare(first, agreed.contract, step, failed)
        if not opinion.confirmed:
            self._keep(agreed)
        write_atomic(self._opinion, opinion.model_dump_json(indent=1))
        return opinion

    def opinion(self) -> Opinion | None:
        """What the second author of this contract said; None: it was not asked."""
        if not self._opinion.exists():
            return None
        return Opinion.model_validate_json(self._opinion.read_text(encoding="utf-8"))

    async def check(self) -> Check:
        """What is bound and proved, for a person to decide on; with the checks of features it changes."""
        contract, verdict = await self.contract(), self.verdict()
        if verdict.check is None or verdict.check.contract != contract:
            return Check(contract=contract)
        return verdict.check.model_copy(update={"amended": verdict.amended or None})

    async def _decided(self) -> Check | None:
        """What a person decided about this feature's check."""
        check = await self.ledger.check(self.feature.id)
        return check if check and check.contract.by == "person" else None

    async def _bound_before(self) -> Check | None:
        """The check of the last verdict, all its bindings in it; before the first, what a person decided."""
        if not self._verdict.exists():
            return await self._decided()
        verdict = self.verdict()
        shared = {name: element.locator for name, element in verdict.elements.items()}
        check = verdict.check
        return check.model_copy(update={"bindings": {**shared, **check.bindings}}) if check else None

    async def _write(self, why: str = "") -> Agreed:
        return await write_contract(
            self.parts.model,
            self.feature,
            await self.ledger.spec_lines(self.feature),
            await self.ledger.known(),
            f"{self.parts.thread_id}/contract/{self.feature.id}{why}",
        )

    async def rewrite(self, verdict: Verdict) -> Contract:
        """Have the author write anew what proved nothing; the application is not touched."""
        on_page = " on the page" if self.parts.settings.app.kind == "web" else ""
        agreed = await revise_contract(
            self.parts.model,
            self.feature,
            await self.ledger.spec_lines(self.feature),
            await self.ledger.known(),
            f"{self.parts.thread_id}/contract/{self.feature.id}/again",
            await self.contract(),
            [f"nothing{on_page} makes this fail: {words}" for words in verdict.meaningless],
        )
        return self._keep(agreed)

    async def amendments(self) -> list[Amendment]:
        """What features that pass and that this one is declared to change have to do from now on; agreed as `contract`.

        One call of the author for each, in a context that has seen neither code nor the earlier contract; none for
        what a person decided.
        """
        features = await self.ledger.features()
        changed = [feature for feature in map(features.get, self.feature.changes) if feature.passes]
        return [await self._amendment(feature) for feature in changed]

    async def _amendment(self, feature: Feature) -> Amendment:
        path = self._amended / f"{feature.id}.json"
        spec_lines = await self.ledger.spec_lines(feature, by=self.feature)
        decided = await self._decided()
        if decided and decided.amended and (check := decided.amended.get(feature.id)):
            return Amendment(feature, check.contract, spec_lines)
        if not path.exists():
            conversation = f"{self.parts.thread_id}/contract/{self.feature.id}/changes-{feature.id}"
            known = await self.ledger.known()
            agreed = await write_contract(self.parts.model, feature, spec_lines, known, conversation)
            self._amended.mkdir(exist_ok=True)
            write_atomic(path, agreed.contract.model_dump_json(by_alias=True, indent=1))
        contract = Contract.model_validate_json(path.read_text(encoding="utf-8"))
        return Amendment(feature, contract, spec_lines)

    def flows(self) -> dict[str, Flow]:
        """What the contract brings that other features can begin with."""
        if not self._flows.exists():
            return {}
        return Flows.model_validate_json(self._flows.read_text(encoding="utf-8")).flows

    async def brief(self, failed: Sequence[SessionEntry] = ()) -> str:
        """The first message of a fresh session.

        Args:
            failed: earlier sessions on this feature.
        """
        entries = [*(await self.ledger.progress()).tail(3), *failed]
        told = {entry.session for entry in entries}
        memory, query = self.parts.memory, f"{self.feature.description} {' '.join(self.feature.steps)}"
        own = await memory.recall(query, kinds=OWN, feature=self.feature.id) if failed else None
        recalled = await memory.recall(query, kinds=LESSONS, told=told)
        return render_brief(
            self.feature,
            await self.ledger.spec_lines(self.feature),
            await self._words(),
            (await self.ledger.features()).totals,
            entries,
            await self.ledger.subjects(5),
            await self.ledger.files(),
            quote(recalled.after(own) if own else recalled),
            conventions=await self._conventions(),
            outline=await self._outline(),
            documents=await quote_documents(memory, query),
            kind=self.parts.settings.app.kind,
            inside=(await self.ledger.tree()).prefix,
        )

    async def _outline(self) -> str:
        """Where in the code to look for what the feature is about."""
        tree = await self.ledger.tree()
        sources = await tree.read_all(outline.ENDINGS, outline.FILE_BYTES, outline.ALL_BYTES)
        wanted = " ".join([self.feature.description, *self.feature.steps, await self._words()])
        return await outline.outline(sources, wanted, [commit.files for commit in await tree.log(outline.COMMITS)])

    async def _conventions(self) -> str:
        tree = await self.ledger.tree()
        for name in CONVENTIONS:
            if said := await tree.read(name):
                return said
        return ""

    async def _words(self) -> str:
        """How the feature will be verified, and those it changes."""
        parts = [contract_words(await self.contract())]
        for amendment in await self.amendments():
            said = f"This feature changes {amendment.feature.id}, which will be verified so from now on:"
            parts.append(f"{said}\n\n{contract_words(amendment.contract)}")
        return "\n\n".join(parts)

    async def evidence(self, repairs_left: int, disputed: int = 0, mend: str = MEND) -> str:
        """The message after a failed verdict; with the contract, when it is not the one of the brief any more.

        Args:
            repairs_left: in this session, after this one.
            disputed: the step the coder disputed; 0: none.
            mend: what the coder is asked to do.
        """
        opinion = self.opinion()
        is_replaced = opinion is not None and not opinion.confirmed
        replaced = await self._words() if is_replaced else ""
        answer = "" if is_replaced or not disputed else await self._answer(disputed, opinion)
        return render_evidence(self.verdict().reason, repairs_left, replaced, answer, mend)

    async def _answer(self, step: int, opinion: Opinion | None) -> str:
        """What came of a dispute after which the contract stays."""
        if step > len(self.feature.steps):
            return f"You disputed step {step}; there are {len(self.feature.steps)}."
        if (await self.contract()).by == "person":
            return f"You disputed step {step}. A person decided what this contract says, so it stays."
        if opinion:
            return f"You disputed step {step}. A second author read the text anew and expects the same, so it stays."
        return f"You disputed step {step}. What failed is not a step of the contract, so it was not read anew."

    async def case(self, session_id: str, round_name: str, base_sha: str, *, everything: bool) -> Case:
        """All that a verdict is asked about; names bound in an earlier attempt are kept.

        Args:
            session_id: whose work it is.
            round_name: tells this verdict's conversations from those of the session's other verdicts.
            base_sha: the tree before the session.
            everything: replay all passed checks, whatever the time.
        """
        contract = await self.contract()
        earlier = await self._bound_before()
        return Case(
            self.parts,
            self.feature,
            contract,
            await self.ledger.tree(),
            base_sha,
            await self.ledger.features(),
            await self.ledger.checks(),
            await self.ledger.elements(),
            conversation=f"{self.parts.thread_id}/{session_id}/bind-{round_name}",
            everything=everything,
            known=_still_named(earlier, contract) if earlier else {},
            spec_lines=await self.ledger.spec_lines(self.feature),
            flows=await self.ledger.flows(),
            interface=(await self.ledger.known()).interface,
            amendments=await self.amendments(),
        )

    def keep_verdict(self, verdict: Verdict, session_id: str) -> None:
        """Lay the newest verdict on the desk, and a line of it into this machine's audit."""
        write_atomic(self._verdict, verdict.model_dump_json(indent=1))
        project = self.parts.project
        line = audit.Verdict(
            feature=self.feature.id,
            outcome="passed" if verdict.passed else "failed",
            thread=self.parts.thread_id,
            session=session_id,
            check=verdict.check.digest() if verdict.check else "",
            wording=audit.wording(self.feature),
            content=verdict.content,
            evidence=audit.evidence_digests(verdict.evidence, project.evidence_dir),
        )
        audit.append(project.audit_file, [line])

    def verdict(self) -> Verdict:
        """The last verdict."""
        return Verdict.model_validate_json(self._verdict.read_text(encoding="utf-8"))

    async def commit_proved(
        self,
        ledger: Ledger,
        trailers: Mapping[str, str],
        base_sha: str,
        summary: str,
        entries: Sequence[SessionEntry],
        *,
        state_only: bool = False,
    ) -> str:
        """One commit of what the verdict on the desk proved: list, check, names, progress, and the code.

        Args:
            ledger: of the thread that it is committed to.
            trailers: what the commit is for; with the session.
            base_sha: the tree before the work.
            summary: of the work, for the message.
            entries: of progress.
            state_only: the code is committed already.
        """
        verdict, features, now = self.verdict(), await ledger.features(), datetime.now(UTC)
        assert verdict.check is not None
        for name, check in {self.feature.id: verdict.check, **verdict.amended}.items():
            at = PassedAt(session=trailers["Harness-Session"], time=now, baseline=base_sha, check=check.digest())
            features = mark_passed(features, name, counted(check), at)
        return await ledger.commit(
            f"{self.feature.id}: {self.feature.description}",
            f"{summary}\n\nProof: {verdict.proof_words}. {verdict.regressed}{_also(verdict)}",
            trailers,
            features,
            entries,
            check=verdict.check,
            amended=verdict.amended,
            elements=verdict.elements,
            pictures=verdict.pictures,
            goldens=verdict.goldens,
            flows=self.flows(),
            judged=verdict,
            state_only=state_only,
        )

    def drop_contract(self) -> None:
        """Forget what was agreed: the feature is taken up anew, by an author who has not seen it."""
        for path in (self._contract, self._flows, self._opinion):
            path.unlink(missing_ok=True)
        shutil.rmtree(self._amended, ignore_errors=True)

    def _keep(self, agreed: Agreed) -> Contract:
        """The flows first: a contract that is here is whole."""
        write_atomic(self._flows, Flows(flows=dict(agreed.flows)).model_dump_json(by_alias=True, indent=1))
        write_atomic(self._contract, agreed.contract.model_dump_json(by_alias=True, indent=1))
        return agreed.contract


def _amends(verdict: Verdict) -> str:
    names = ", ".join(verdict.amended)
    return f"\nIt changes {names}, whose check is written anew here." if names else ""


def _also(verdict: Verdict) -> str:
    return (f"\nTests: {verdict.tests}." if verdict.tests else "") + _amends(verdict)


def _still_named(earlier: Check, contract: Contract) -> dict[str, Locator]:
    """Bindings of names that mean what they meant."""
    meant = earlier.contract.targets
    return {n: found for n, found in earlier.bindings.items() if n in meant and contract.targets.get(n) == meant[n]}
