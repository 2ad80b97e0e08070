"""Flows in a project's history: committed with the check that brought them, read from the last commit, protected."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from apps import proved, todo_app

from harness.errors import FeatureFileError
from harness.features import PassedAt, Proof, mark_passed
from harness.ledger import Ledger
from harness.project import Project
from harness.verify import trail
from harness.verify.check import Check, Contract, Flow, ProofOfMeaning
from harness.verify.hall import OWN_FILES

pytestmark = pytest.mark.needs("git")

WHOLE = todo_app.contract("delete")
MILK = Flow.model_validate(
    {
        "description": "Somebody adds the to-do 'Buy milk'.",
        "targets": {"field": todo_app.TARGETS["field"]},
        "items": [item.model_dump(by_alias=True, exclude_none=True) for item in WHOLE.items[:3]],
    }
)
USED = {item.target for item in WHOLE.items if item.target}
CONTRACT = WHOLE.model_copy(update={"targets": {n: w for n, w in WHOLE.targets.items() if n in USED}})
CHECK = Check(contract=CONTRACT, proof=(ProofOfMeaning(item=3, kind="red"), ProofOfMeaning(item=6, kind="red")))


async def built(tmp_path: Path) -> tuple[Path, Ledger]:
    """A project in which `delete` passes with a flow that its author wrote."""
    project = await proved.make(tmp_path / "project")
    ledger = Ledger(proved.parts_of(project))
    passed = PassedAt(session="s9", time=datetime.now(UTC), baseline=await ledger.head(), check=CHECK.digest())
    features = mark_passed(await ledger.features(), "delete", Proof(red=1), passed)
    judged = proved.Judged((await (await ledger.tree()).snapshot(OWN_FILES)).content)
    trailers = {"Harness-Thread": "t-1", "Harness-Session": "s9", "Harness-Feature": "delete"}
    flows = {"with milk": MILK}
    await ledger.commit("delete", "", trailers, features, check=CHECK, flows=flows, judged=judged)
    return project, ledger


async def test_a_flow_is_committed_with_its_check_and_read_with_it(tmp_path, state_dir):
    project, ledger = await built(tmp_path)
    kept = Contract.model_validate(json.loads((project / "checks/delete.json").read_text())["contract"])
    assert getattr(kept.items[0], "act", "") == "flow"
    assert len(kept.items) == len(WHOLE.items) - 2
    assert (await ledger.checks())["delete"] == CHECK
    assert (await ledger.known()).flows.flows == {"with milk": MILK}
    feature = (await ledger.features()).get("delete")
    assert feature.passed_at
    assert feature.passed_at.check == (await ledger.checks())["delete"].digest()
    assert (await trail.follow(Project.find(project))).problems == ()


async def test_a_flow_that_was_edited_is_noticed_and_one_that_is_gone_is_named(tmp_path, state_dir):
    project, ledger = await built(tmp_path)
    path = project / "checks/flows.json"
    text = path.read_text()
    path.write_text(text.replace("Buy milk", "Sell milk"))
    assert any("checks/flows.json was changed" in p for p in (await trail.follow(Project.find(project))).problems)
    tree = (await ledger.tree()).directory
    (tree / "checks/flows.json").unlink()  # what lies in the tree is not what is read
    assert (await ledger.checks())["delete"] == CHECK
    path.write_text('{"flows": {}}')
    proved.git(project, "commit", "--quiet", "-am", "no flows")
    await (await ledger.tree()).merge(proved.git(project, "branch", "--show-current").strip())
    with pytest.raises(FeatureFileError, match=r"delete.json.*no flow 'with milk'"):
        await ledger.checks()
