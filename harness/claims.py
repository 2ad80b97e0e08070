"""A feature that somebody says is built: proved in full on the checkout as it lies, by whoever built it.

As a session's work is proved (`verify.verdict`), with two differences: the tree is the person's own, uncommitted
changes included, and the list is that of the last commit. What was agreed lies on a desk apart from those of the
thread, so that a session that is in work there is not disturbed; it is kept while the feature's text stays the same, so
that whoever builds it can read before what the proof will be.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Self

from harness.commits import make_trailers
from harness.desk import Desk
from harness.errors import SetupError
from harness.gate import Claim
from harness.ledger import Ledger
from harness.model import MissingModel
from harness.progress import SessionEntry
from harness.project import write_atomic
from harness.verify import audit
from harness.verify.author import contract_words
from harness.verify.protected import last_made
from harness.verify.verdict import Verdict, verify_feature
from harness.worktree import Worktree

if TYPE_CHECKING:
    from harness.features import Feature
    from harness.parts import Parts

SESSION = "gate"
"""In the place of a session's id, where there was no session."""
BY_ANOTHER = "Built outside of the harness, and proved as it stands."
NO_MODEL = (
    "It does not pass in the list, and nobody can prove it: no model is configured that writes its contract and finds "
    "things on the page. Set OPENAI_API_KEY and OPENAI_MODEL, or let `harness run` prove it."
)


@dataclass(frozen=True)
class Bench:
    """What a claim is proved with."""

    parts: Parts
    """Under a name of its own."""
    desk: Desk
    head: str
    """The last commit of the checkout."""

    @classmethod
    async def at(cls, parts: Parts, feature: Feature) -> Self:
        """Read the last commit of the person's checkout; drop a contract that was written for another text."""
        own = replace(parts, thread_id=f"{parts.thread_id}-{SESSION}")
        head = await parts.repo.head()
        tree = await parts.repo.checkout_at(head, parts.project.worktrees_dir / own.thread_id)
        desk = Desk(own, Ledger(own, tree), feature)
        stamp, wording = own.desk_dir(feature.id) / "wording", audit.wording(feature)
        if not stamp.exists() or stamp.read_text(encoding="utf-8") != wording:
            desk.drop_contract()
            write_atomic(stamp, wording)
        return cls(own, desk, head)


async def agree(parts: Parts, feature: Feature) -> str:
    """What the proof of a feature will do and see, in words; written by the author where there is no contract yet.

    Raises: SetupError: there is none, and no model is configured. ModelError: no author answered.
    """
    bench = await Bench.at(parts, feature)
    if feature.passes and (check := await bench.desk.ledger.check(feature.id)):
        return contract_words(check.contract)
    return contract_words(await bench.desk.contract())


async def prove_claim(parts: Parts, feature: Feature, *, keep: bool = False) -> Claim:
    """Prove a feature on the checkout as it lies.

    Args:
        keep: commit the proof, if the code is committed.

    Raises: BrowserError, ShellError, ModelError: there is no verdict.
    """
    claim = Claim(feature.id, "unproved", feature.description, NO_MODEL, "features.json", steps=feature.steps)
    if isinstance(parts.model, MissingModel):
        return claim
    bench = await Bench.at(parts, feature)
    verdict = await _verdict(bench, feature, "first")
    if verdict.meaningless and (await bench.desk.contract()).by == "author":
        await bench.desk.rewrite(verdict)
        verdict = await _verdict(bench, feature, "rewritten")
    if verdict.passed:
        if keep:
            await _keep(parts, bench, feature, verdict)
        return replace(claim, state="proved", reason="", evidence=verdict.evidence)
    return replace(claim, state="failed", reason=verdict.reason, evidence=verdict.evidence)


async def _verdict(bench: Bench, feature: Feature, name: str) -> Verdict:
    """As of a session's work; red is what failed at the last commit of the harness."""
    repo = bench.parts.repo
    case = await bench.desk.case(f"{SESSION}-{feature.id}", name, await _base(bench), everything=True)
    tree = Worktree(repo.git, repo.git.root, repo.prefix, None)
    verdict = await verify_feature(replace(case, tree=tree))
    bench.desk.keep_verdict(verdict, f"{SESSION}-{feature.id}")
    return verdict


async def _base(bench: Bench) -> str:
    """The tree before the work: what the harness committed last."""
    base = await last_made(bench.parts.repo)
    return bench.head if base == "HEAD" else base


async def _keep(parts: Parts, bench: Bench, feature: Feature, verdict: Verdict) -> None:
    """Write the proof into the list, as the commit of a session does; the code stays as the person committed it.

    Raises: SetupError: the code that was judged is not what is committed.
    """
    ledger, base = Ledger(parts), await _base(bench)
    await ledger.take_in_user_commits()
    number = (await ledger.progress()).last_number + 1
    trailers = make_trailers(parts.thread_id, f"s{number:03}-{feature.id}", feature.id)
    if not await ledger.may_commit(trailers, verdict.content):
        raise SetupError(
            f"{feature.id} is proved, and the proof was not kept: the code that was judged is not what is committed.",
            "Commit your work, then give the same command again.",
        )
    entry = SessionEntry(
        session=trailers["Harness-Session"],
        feature=feature.id,
        outcome="passed",
        summary=BY_ANOTHER,
        ended_at=datetime.now(UTC),
    )
    await bench.desk.commit_proved(ledger, trailers, base, BY_ANOTHER, [entry], state_only=True)
