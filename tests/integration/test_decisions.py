"""What a person decides about a check that waits for them, kept in git and taken up by the next build."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest
from apps import proved, todo_app
from warm import WARM

from harness import decisions
from harness.desk import Desk
from harness.errors import SetupError
from harness.features import park
from harness.ledger import Ledger
from harness.project import Project
from harness.verify.check import Check, ProofOfMeaning
from harness.verify.verdict import Verdict

pytestmark = pytest.mark.needs("git")

CONTRACT = todo_app.contract("delete")
OTHER = todo_app.contract("add").model_copy(update={"by": "author"})
EXPECTED = [index for index, _ in OTHER.expectations()]


def proofs(*items: int) -> tuple[ProofOfMeaning, ...]:
    return tuple(ProofOfMeaning(item=index, kind="red") for index in items)


async def waiting(tmp_path: Path, reason: str) -> Ledger:
    """`delete` changes `add`; it was parked because nothing made the last expectation of `add` fail."""
    ledger = Ledger(proved.parts_of(await proved.make(tmp_path / "project")))
    features = await ledger.features()
    delete = features.get("delete").model_copy(update={"changes": ("add",)})
    features = features.model_copy(
        update={"features": tuple(delete if f.id == "delete" else f for f in features.features)}
    )
    own = Check(contract=CONTRACT, proof=proofs(*(index for index, _ in CONTRACT.expectations())))
    other = Check(contract=OTHER, proof=proofs(*EXPECTED[:-1]))
    desk = Desk(ledger._parts, ledger, delete)
    desk._contract.parent.mkdir(parents=True, exist_ok=True)
    desk._contract.write_text(CONTRACT.model_dump_json(by_alias=True))
    verdict = Verdict(feature_id="delete", passed=False, check=own, amended={"add": other}, park_now=True)
    desk._verdict.write_text(verdict.model_dump_json(by_alias=True))
    check = await desk.check()
    parked = park(features, "delete", reason)
    await ledger.commit_state("delete", "parked", reason, parked, (), check=check, occasion="asked")
    return ledger


@pytest.mark.parametrize(("reason", "on_word"), [("needs a person: nothing", EXPECTED[-1:]), ("disputed: step 1", [])])
async def test_accepting_a_feature_accepts_what_it_changes(tmp_path, state_dir, reason: str, on_word: list[int]):
    ledger = await waiting(tmp_path, reason)
    digest = (await ledger.checks())["add"].digest()
    said = await decisions.accept(ledger._parts, ledger, "delete")
    assert "and add as it changes them" in said
    assert ("1 expectation on your word" in said) is bool(on_word)
    assert (await ledger.checks())["add"].digest() == digest, "until it is built, what passes stays as it is"

    desk = Desk(ledger._parts, ledger, (await ledger.features()).get("delete"))
    (amendment,) = await desk.amendments()  # there is no model that could be asked
    assert (amendment.contract.by, list(amendment.contract.accepted)) == ("person", on_word)
    assert amendment.contract.items == OTHER.items
    assert (await desk.contract()).accepted == ()
    with pytest.raises(AttributeError):  # the twin: with nothing decided the author is asked, and there is none
        await Desk(ledger._parts, ledger, await _undecided(ledger)).amendments()


async def _undecided(ledger: Ledger):
    check = await ledger.check("delete")
    assert check
    features = await ledger.features()
    check = check.model_copy(update={"amended": None})
    await ledger.commit_state("delete", "amended", "none", features, (), check=check, occasion="twin")
    return features.get("delete")


async def test_what_is_changed_is_shown_with_its_proofs_and_is_no_part_of_what_is_sealed(tmp_path, state_dir):
    from harness.verify.review import as_facts, in_words

    ledger = await waiting(tmp_path, "needs a person: nothing")
    feature, check = (await ledger.features()).get("delete"), await ledger.check("delete")
    assert check
    shown = in_words(check, feature, todo_app.ELEMENTS).partition("It changes add")
    assert "failed before the feature was built" in shown[2]
    assert as_facts(check, feature, todo_app.ELEMENTS)["changes"]
    assert check.digest() == check.model_copy(update={"amended": None}).digest()
    with pytest.raises(SetupError, match="passes"):
        await decisions.accept(ledger._parts, ledger, "add")


async def test_a_feature_that_is_skipped_waits_for_its_person_and_one_that_passes_can_be_done_again(
    tmp_path, state_dir
):
    from harness.coding import FOR_A_PERSON
    from harness.features import next_feature

    ledger = Ledger(proved.parts_of(await proved.make(tmp_path / "project")))
    said = await decisions.skip(ledger._parts, ledger, "delete", "nobody\nwants it")
    assert "harness reopen delete" in said
    features = await ledger.features()
    assert features.get("delete").status == "parked"
    assert features.get("delete").reason == "skipped by a person: nobody wants it"
    assert features.get("delete").reason.startswith(FOR_A_PERSON), "no second chance without the person"
    assert next_feature(features) is None
    for name, why in (("delete", "skipped already"), ("add", "add passes")):
        with pytest.raises(SetupError, match=why):
            await decisions.skip(ledger._parts, ledger, name, "")

    await decisions.redo(ledger._parts, ledger, "delete", "")
    with pytest.raises(SetupError, match="is open"):
        await decisions.redo(ledger._parts, ledger, "delete", "")
    await decisions.redo(ledger._parts, ledger, "add", "it is wrong")
    features = await ledger.features()
    assert not features.get("add").passes
    assert "add" not in await ledger.checks()
    chosen = next_feature(features)
    assert chosen
    assert (chosen.id, chosen.reason) == ("add", "reopened by a person: it is wrong")


@pytest.mark.needs("chromium", "bwrap")
def test_no_model_is_needed_to_decide_and_the_one_who_is_asked_for_one_is_told(tmp_path, state_dir):
    project = asyncio.run(proved.make(tmp_path / "project"))

    def harness(*words: str) -> subprocess.CompletedProcess[str]:
        argv = WARM.command(*words, "--dir", project)
        return subprocess.run(argv, input="it is so", capture_output=True, text=True, check=False)

    done = harness("skip", "delete", "--why", "later")
    assert (done.returncode, "is skipped until" in done.stdout) == (0, True), done.stderr
    assert f"`harness reopen delete --dir {project}`" in done.stdout
    assert done.stderr == "parked delete: skipped by a person: later\n", "nothing is run, so no sandbox is told of"
    assert harness("reopen", "delete").stderr == "delete reopened by a person\n"
    assert harness("skip", "delete", "--why", "later").returncode == 0
    refused = harness("check", "amend", "delete", "--file", "-")
    assert refused.returncode == 3
    assert "OPENAI_" in refused.stderr, "an author would have to be asked"
    assert proved.git(project, "log", "-1", "--format=%s").strip() == "delete: parked"


async def test_what_came_of_a_dispute_is_told(tmp_path, state_dir):
    from harness.verify.dispute import Opinion

    ledger = await waiting(tmp_path, "disputed: step 1")
    desk = Desk(ledger._parts, ledger, (await ledger.features()).get("delete"))
    desk._amended.mkdir()
    (desk._amended / "add.json").write_text(OTHER.model_dump_json(by_alias=True))
    assert "You disputed" not in await desk.evidence(1)
    assert "there are 3" in await desk.evidence(1, disputed=9)
    assert "not read anew" in await desk.evidence(1, disputed=2)
    opinion = Opinion(step=2, confirmed=True, first="this", second="this")
    desk._opinion.write_text(opinion.model_dump_json())
    assert "expects the same" in await desk.evidence(1, disputed=2)
    desk._opinion.write_text(opinion.model_copy(update={"confirmed": False}).model_dump_json())
    assert "A second author read the text anew. It is verified like this now" in await desk.evidence(1, disputed=2)


def test_how_far_a_thread_came_is_not_told_as_if_nothing_had_been_decided_since(tmp_path, state_dir):
    from harness.threads import ThreadRecord, load_threads, save_thread

    directory = asyncio.run(proved.make(tmp_path / "project"))
    project = Project.find(directory)
    for status, told in (("FeaturesOpen", "A person decided since: add is open"), ("CostLimit", "$3 are spent")):
        save_thread(project, ThreadRecord(thread_id="t-1", stage="build", exit_status=status, reason="$3 are spent"))
        argv = [sys.executable, "-m", "harness", "reopen" if status == "FeaturesOpen" else "skip", "add"]
        subprocess.run([*argv, "--dir", str(directory)], capture_output=True, check=True)
        (thread,) = load_threads(project)
        assert thread.reason.startswith(told)
