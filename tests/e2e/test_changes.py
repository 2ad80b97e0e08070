"""Features that change what earlier ones do, by declaration only, and those that were there before the work began."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import notes_script
import pytest
from bad_input_support import Person, Ran, commit, git
from scripted import Request, ScriptedModel, call, calls

pytestmark = [pytest.mark.needs("chromium", "bwrap", "git"), pytest.mark.timeout(900)]

MORE = [
    {"id": "F003", "description": "Notes are numbered.", "changes": ["F001"],
     "steps": ["Type 'Rent' and press Enter.", "Verify that the note reads '1. Rent'."]},
    {"id": "F004", "description": "Notes are shown in capital letters.",
     "steps": ["Type 'Taxes' and press Enter.", "Verify that the note reads '1. TAXES'."]},
    {"id": "F005", "description": "The page says what it is.",
     "steps": ["Open the page.", "Verify that its title is 'Notes'."]},
]  # fmt: skip
NUMBERED = ("span.textContent = text", "span.textContent = `${i + 1}. ${text}`")
IN_CAPITALS = ("${text}`", "${text.toUpperCase()}`")


def adds(text: str, *seen: dict[str, Any]) -> dict[str, Any]:
    """A contract: a note is added, and then this is seen at the second step."""
    items = [
        {"step": 1, "act": "navigate", "value": "/"},
        {"step": 1, "act": "fill", "target": "note box", "value": text},
        {"step": 1, "act": "press", "target": "note box", "value": "Enter"},
        *({"step": 2, **each} for each in seen),
    ]
    return {"targets": {"note box": "the text box", f'note "{text}"': f"the note that says {text}"}, "items": items}


def reads(text: str, shown: str, source: str = "quoted") -> dict[str, Any]:
    return {"expect": "text", "target": f'note "{text}"', "value": shown, "source": source}


def keeps(shown: str, source: str = "assumed") -> dict[str, Any]:
    """The contract of the first feature, which has four steps."""
    contract = notes_script.CONTRACTS["F001"]
    text = {**reads("Buy oat milk", shown, source), "step": 3}
    return {**contract, "items": [*contract["items"][:6], text, *contract["items"][6:]]}


def opens(*seen: dict[str, Any]) -> dict[str, Any]:
    items = [{"step": 1, "act": "navigate", "value": "/"}, *({"step": 2, **each} for each in seen)]
    return {"targets": {"heading": "the heading"} if any("target" in each for each in seen) else {}, "items": items}


CONTRACTS = {
    "F001": keeps("Buy oat milk", "quoted"),
    "F003": adds("Rent", reads("Rent", "1. Rent")),
    "F003/changes-F001": keeps("1. Buy oat milk"),
    "F004": adds("Taxes", reads("Taxes", "1. TAXES")),
    "F004/changes-F001": keeps("1. BUY OAT MILK"),
    "F004/changes-F003": adds("Rent", reads("Rent", "1. RENT", "assumed")),
    "F005": opens({"expect": "title", "value": "Notes"}),
}
SECOND = opens({"expect": "text", "target": "heading", "value": "My notes", "source": "assumed"})
LOCATORS = {**notes_script.LOCATORS, "heading": {"role": "heading"}}


def answer(request: Request) -> dict[str, Any]:
    parts = request.conversation.split("/")
    if parts[-2:] == ["second", "contract"]:
        return call("submit", SECOND)
    if parts[1] == "contract":
        return call("submit", CONTRACTS["/".join(parts[2:])])
    if len(parts) > 2:
        asked = request.last.split("The page now:")[0].rpartition("Needed now:")[2]
        return call("submit", {"found": {name: found for name, found in LOCATORS.items() if f"| {name}" in asked}})
    return work(parts[1].partition("-")[2], request)


def work(feature: str, request: Request) -> dict[str, Any]:
    """What the coder does: writes at its first turn, and at the first of a repair; then it says that it is done."""
    told = [m for m in request.messages if m["role"] == "user"]
    edits = {"F003": NUMBERED, "F004": IN_CAPITALS, "F005": ("<h1>Notes", "<h1>My notes")}
    is_new = request.messages[-1]["role"] == "user"
    if feature == "F001" and is_new:
        files = {"index.html": notes_script.PAGE, "app.js": notes_script.ADD}
        return calls([("write_file", {"path": name, "content": text}) for name, text in files.items()])
    if is_new and (feature in ("F003", "F004") or (feature == "F005" and len(told) > 1)):
        search, replace = edits[feature]
        path = "index.html" if feature == "F005" else "app.js"
        return call("edit_file", path=path, edits=[{"search": search, "replace": replace}])
    return call("finish", summary="Done.", changes=["F001"] if feature == "F004" else [])


@pytest.fixture(scope="module")
def requests() -> list[Request]:
    return []


def build(project: Path, feature: str, requests: list[Request]) -> Ran:
    with ScriptedModel(answer) as model:
        ran = Person(base_url=model.base_url).run("run", project, "--feature", feature)
        requests += model.requests
        return ran


def listed(project: Path) -> dict[str, Any]:
    return {f["id"]: f for f in json.loads((project / "features.json").read_text())["features"]}


def expected(project: Path, feature: str) -> list[str]:
    """The texts a feature's check expects."""
    check = json.loads((project / "checks" / f"{feature}.json").read_text())
    return [item["value"] for item in check["contract"]["items"] if item.get("expect") == "text"]


def declare(project: Path, feature: str, changes: list[str]) -> None:
    data = json.loads((project / "features.json").read_text())
    next(f for f in data["features"] if f["id"] == feature)["changes"] = changes
    (project / "features.json").write_text(json.dumps(data))
    commit(project, "a decision")


def test_features_change_features_by_declaration_only(project: Path, requests: list[Request]) -> None:
    data = json.loads((project / "features.json").read_text())
    data["features"] += MORE
    (project / "features.json").write_text(json.dumps(data))
    commit(project, "more is wanted")

    assert build(project, "F001", requests).code == 1, "others are open"
    assert expected(project, "F001") == ["Buy oat milk"]

    ran = build(project, "F003", requests)
    assert listed(project)["F003"]["passes"], ran
    assert listed(project)["F001"]["passed_at"]["session"].endswith("-F003")
    assert expected(project, "F001") == ["1. Buy oat milk"], "re-authored in the same commit"
    assert "checks/F001.json" in git(project, "show", "--name-only", "--format=", "HEAD").split()
    (asked,) = [r for r in requests if r.conversation.endswith("/changes-F001")]
    assert "Changed by feature F003" in asked.last
    assert "1. Rent" in asked.last

    ran = build(project, "F004", requests)
    parked = listed(project)["F004"]
    assert parked["status"] == "parked", ran
    assert parked["reason"].startswith(
        "needs decision: it cannot be built without changing F001; it passes, but breaks"
    )
    assert "F001, F003" in parked["reason"]
    assert expected(project, "F001") == ["1. Buy oat milk"], "asking changes nothing"

    declare(project, "F004", ["F001", "F003"])
    ran = build(project, "F004", requests)
    assert listed(project)["F004"]["passes"], ran
    assert (expected(project, "F001"), expected(project, "F003")) == (["1. BUY OAT MILK"], ["1. RENT"])
    assert Person().run("verify", project).code == 0

    ran = build(project, "F005", requests)
    assert listed(project)["F005"]["passes"], ran
    (evidence,) = [m for m in told(requests, "F005") if "an independent check of it fails" in m]
    assert "My notes" in evidence
    assert "<h1>My notes</h1>" in (project / "index.html").read_text()


def told(requests: list[Request], feature: str) -> list[str]:
    """What the coder of a feature was told, each message once."""
    mine = [r for r in requests if r.conversation.endswith(f"-{feature}")]
    return list(dict.fromkeys(str(m["content"]) for r in mine for m in r.messages if m["role"] == "user"))
