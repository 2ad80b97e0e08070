"""What a person decides: a check is right as it stands, or should say this; a feature is skipped, or done again.

A decision is a state commit on the thread's branch. A contract that a person decided about is theirs: no author writes
it again and no coder can dispute it, but what it expects must still be seen in the browser.
"""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from harness.desk import Desk
from harness.errors import FeatureFileError, SetupError
from harness.events import StateChanged
from harness.features import SKIPPED, park, reopen, reopened_because
from harness.state_file import file_errors, parse_json
from harness.verify.author import Agreed, Known, agree, draft_for, draft_problems, write_contract
from harness.verify.check import Check

if TYPE_CHECKING:
    from harness.features import Feature, FeatureList
    from harness.ledger import Ledger
    from harness.parts import Parts

Change = Literal["amended", "parked", "reopened"]
_NOT_THE_AUTHORS = {"version", "feature_id", "by", "accepted"}


async def accept(parts: Parts, ledger: Ledger, feature_id: str) -> str:
    """Take a feature's contract as it stands, and those of features it changes.

    Expectations that nothing made fail are then proved by the person.

    Returns: what was decided, in words.
    Raises: UnknownFeature: there is no such feature. SetupError: it passes, or there is no contract to accept.
    """
    feature, check = (await ledger.features()).get(feature_id), await ledger.check(feature_id)
    if feature.passes:
        raise SetupError(
            f"{feature_id} passes; there is nothing to accept.",
            f"`harness check show {feature_id} --dir {_where(parts)}` prints its check.",
        )
    if check is None:
        raise SetupError(
            f"No contract of {feature_id} is kept.",
            "It is kept when a person must decide. "
            f"`harness check amend {feature_id} --file FILE --dir {_where(parts)}` gives one.",
        )
    on_word = feature.reason.startswith("needs a person:")
    amended = {name: _accepted(each, on_word=on_word) for name, each in (check.amended or {}).items()}
    taken = _accepted(check, on_word=on_word).model_copy(update={"amended": amended or None})
    reason = f"accepted by a person; before: {feature.reason or 'open'}"
    await _decide(parts, ledger, feature, taken, reason)
    others = f", and {', '.join(amended)} as it changes them" if amended else ""
    count = sum(len(each.contract.accepted) for each in (taken, *amended.values()))
    said = f"; {count} expectation{'s' if count > 1 else ''} on your word" if count else ""
    return f"{feature_id} is open again with its contract as it stands{others}{said}."


async def amend(parts: Parts, ledger: Ledger, feature_id: str, text: str, name: str) -> str:
    """Give a feature another contract.

    Args:
        text: a contract as JSON, or a person's words, from which the author writes one.
        name: where the text comes from, for errors.

    Returns: what was decided, in words.
    Raises: FeatureFileError: it is no contract for this feature, and why. UnknownFeature. ModelError: no author.
    """
    feature = (await ledger.features()).get(feature_id)
    spec_lines, known = await ledger.spec_lines(feature), await ledger.known()
    if text.lstrip().startswith("{"):
        agreed = read_contract(text, name, feature, spec_lines, known)
    else:
        said = f"{spec_lines}\n\nA person decided about this feature:\n{text.strip()}"
        conversation = f"{parts.thread_id}/contract/{feature_id}/amend"
        agreed = await write_contract(parts.model, feature, said, known, conversation)
    contract = agreed.contract.model_copy(update={"by": "person"})
    await _decide(parts, ledger, feature, Check(contract=contract), f"amended by a person ({name})")
    builds = f"`harness run {_where(parts)} --feature {feature_id}`"
    return f"{feature_id} is open with the contract you gave; {builds} builds it."


async def skip(parts: Parts, ledger: Ledger, feature_id: str, why: str) -> str:
    """Set a feature aside until somebody reopens it.

    Returns: what was decided, and which features wait for it too.
    Raises: UnknownFeature: there is no such feature. SetupError: it passes, or was skipped before.
    """
    features = await ledger.features()
    feature = features.get(feature_id)
    if feature.passes or feature.reason.startswith(SKIPPED):
        state = "passes" if feature.passes else "is skipped already"
        raise SetupError(
            f"{feature_id} {state}.", f"`harness reopen {feature_id} --dir {_where(parts)}` has it built anew."
        )
    reason = f"{SKIPPED}{_because(why)}"
    await _commit(parts, ledger, park(features, feature_id, reason), feature_id, "parked", reason)
    waiting = [f.id for f in features.features if feature_id in f.depends_on and not f.passes]
    also = f" What depends on it waits too: {', '.join(waiting)}." if waiting else ""
    return f"{feature_id} is skipped until `harness reopen {feature_id} --dir {_where(parts)}`.{also}"


async def redo(parts: Parts, ledger: Ledger, feature_id: str, why: str) -> str:
    """Have a feature done again, before the others, by a contract that is written anew.

    Raises: UnknownFeature: there is no such feature. SetupError: it is open.
    """
    features = await ledger.features()
    feature = features.get(feature_id)
    if not feature.passes and feature.status == "open":
        raise SetupError(f"{feature_id} is open.", f"`harness run {_where(parts)} --feature {feature_id}` builds it.")
    reason = reopened_because(why)
    await _commit(parts, ledger, reopen(features, feature_id, reason), feature_id, "reopened", reason)
    return f"{feature_id} is open and comes next; `harness run {_where(parts)}` builds it."


async def keep_draft(ledger: Ledger, feature: Feature, check: Check) -> None:
    """Keep a check that a person asked for and has not accepted; a build takes no notice of it until they do."""
    features, occasion = await ledger.features(), f"amended-{(await ledger.head())[:12]}"
    reason = "A draft that passed twice on the application; nothing was seen to make it fail."
    own, shared = (await ledger.elements()).share(check)
    await ledger.commit_state(
        feature.id, "amended", reason, features, (), check=own, elements=shared, occasion=occasion
    )


def read_contract(text: str, name: str, feature: Feature, spec_lines: str, known: Known) -> Agreed:
    """A contract a person wrote: what an author submits, or a whole check.

    Raises: FeatureFileError: it is neither, or breaks a rule for contracts; each problem is named.
    """
    with file_errors(Path(name), "contract"):
        data = parse_json(text)
        data = data.get("contract", data) if isinstance(data, dict) else data
        if isinstance(data, dict):
            data = {key: value for key, value in data.items() if key not in _NOT_THE_AUTHORS}
        draft = draft_for(data, known.kind).model_validate(data)
    if problems := draft_problems(draft, feature, spec_lines, known):
        listed = "\n".join(f"- {problem}" for problem in problems)
        raise FeatureFileError(f"{name} is no contract for {feature.id}:\n{listed}", "Mend these; nothing was changed.")
    return agree(draft, feature, spec_lines, known)


async def _decide(parts: Parts, ledger: Ledger, feature: Feature, check: Check, reason: str) -> None:
    """Commit a person's check and open its feature."""
    features = reopen(await ledger.features(), feature.id, reason)
    await _commit(parts, ledger, features, feature.id, "amended", reason, check)


async def _commit(
    parts: Parts,
    ledger: Ledger,
    features: FeatureList,
    feature_id: str,
    change: Change,
    reason: str,
    check: Check | None = None,
) -> None:
    """One decision; what was agreed about the feature until now is forgotten."""
    occasion = f"{change}-{(await ledger.head())[:12]}"
    await ledger.commit_state(feature_id, change, reason, features, (), check=check, occasion=occasion)
    Desk(parts, ledger, features.get(feature_id)).drop_contract()
    parts.events.emit(StateChanged(feature_id=feature_id, change=change, reason=reason, by="person"))


def _where(parts: Parts) -> str:
    return shlex.quote(str(parts.project.directory))


def _because(why: str) -> str:
    return f": {' '.join(why.split())}" if why.strip() else ""


def _accepted(check: Check, *, on_word: bool) -> Check:
    """The check with the contract as a person's; what nothing made fail on their word, or still to be proved."""
    proved = {proof.item for proof in check.proof}
    unproved = tuple(index for index, _ in check.contract.expected() if index not in proved) if on_word else ()
    contract = check.contract.model_copy(update={"by": "person", "accepted": unproved})
    return check.model_copy(update={"contract": contract, "proof": ()})
