"""What each role is told, as it is sent: a change of it is a change of what models do, and is to be seen as one.

The snapshots lie in tests/unit/snapshots. After a change that was meant, write them anew and look at the difference:

    .venv/bin/python tests/unit/test_prompt_snapshots.py

A recorded conversation fits no more after that; the demo is to be recorded again.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Callable, Coroutine
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from harness import planning
from harness.agent import CUT_OFF, LEAKED
from harness.brief import render_brief, render_evidence
from harness.existing import Existing
from harness.features import Feature, FeatureList, Totals
from harness.manifests import Start
from harness.model.ask import submit_tool
from harness.pictures import message_of
from harness.planning import Known as Told
from harness.planning import Plan, next_batch, write_specification
from harness.progress import SessionEntry
from harness.prompts import load_prompt
from harness.sandbox.policy import Policy
from harness.session import _FINISH, _NUDGE, _SILENT
from harness.settings import Kind, Settings
from harness.specification import Specification
from harness.survey import Survey
from harness.tools.browser import browser_tools
from harness.tools.files import file_tools
from harness.tools.memory import memory_tools
from harness.tools.shell import shell_tools
from harness.verify.author import Known, contract_words, write_contract
from harness.verify.binder import Binder, Moment
from harness.verify.check import Act, Contract, Expectation
from harness.verify.exchanges.interface import Interface, fixed_by
from harness.verify.exchanges.openapi import Document, parse

SNAPSHOTS = Path(__file__).with_name("snapshots")
COMMAND = ".venv/bin/python tests/unit/test_prompt_snapshots.py"

FEATURE = Feature(
    id="F002",
    description='The button "Clear" empties the list.',
    steps=('Add "Buy milk"', 'Press "Clear"', "Verify that the list is empty"),
    status="open",
    reason="",
)
SPEC = "# Notes\n\n1. Notes can be added.\n2. Clear empties the list."
CONTRACT = Contract(
    feature_id="F002",
    targets={"clear": 'the button "Clear"', "entry": "an entry of the list"},
    items=[
        Act(act="click", step=2, target="clear"),
        Expectation(expect="hidden", step=3, target="entry"),
    ],
)


class Heard(Exception):
    """Carries what a model was asked."""


class Listener:
    """Stands where the model stands, and tells what it was asked."""

    async def ask(self, role: str, conversation: str, messages: list[Any], answer: Any, **_: Any) -> Any:
        raise Heard(role, messages, answer)


def asked(call: Callable[[Any], Coroutine[Any, Any, Any]]) -> str:
    """All that a role is sent at its first call; of prompts that are files only which version."""
    with pytest.raises(Heard) as heard:
        asyncio.run(call(Listener()))
    role, messages, answer = heard.value.args
    return "\n\n".join([f"# {role}", *(said(m.type, m.text) for m in messages), schema(submit_tool(answer))])


def said(kind: str, text: str) -> str:
    prompts = {load_prompt(p.stem): p.name for p in (Path(__file__).parents[2] / "prompts").glob("*.md")}
    if text in prompts:
        return f"## {kind}\n\nprompts/{prompts[text]}, version {hashlib.sha256(text.encode()).hexdigest()[:12]}"
    return f"## {kind}\n\n{text}"


def schema(tool: dict[str, Any]) -> str:
    """Name, description, and a line for each argument and each type of arguments."""
    function = tool["function"]
    parts = function["parameters"]
    lines = {**parts.get("properties", {}), "required": parts.get("required", []), **parts.get("$defs", {})}
    told = [f"{name}: {json.dumps(what, sort_keys=True, ensure_ascii=False)}" for name, what in lines.items()]
    return "\n".join([f"## tool {function['name']}", "", function["description"], "", *told])


def coder() -> str:
    entry = SessionEntry(session="s1", feature="F001", outcome="passed", summary="The list works.", next="Keep it.")
    totals, words = Totals(total=2, passing=1, open=1, parked=0), contract_words(CONTRACT)
    brief = render_brief(
        FEATURE, "2. Clear empties the list.", words, totals, [entry], ["F001: the list"], ["app.js", "init.sh"],
        "<recalled>\nNothing is remembered about that.\n</recalled>", "Use tabs.", "app.js (3 lines)\n  1: add()",
    )  # fmt: skip
    parts = [said("system", load_prompt("coder")), said("human", brief)]
    parts += [said("human", render_evidence("step 3: an entry is still there", left, words)) for left in (2, 1, 0)]
    parts += [said("human", _NUDGE.format(why="The last 3 calls were the same")), said("human", _SILENT)]
    picture = message_of([("browser_screenshot", "call_1", "a.png")])
    before = [said("system", load_prompt(name)) for name in ("scaffold", "adapt")]
    return "\n\n".join(["# coder", *parts, said("human", picture.text), *before])


def agent() -> str:
    kinds: tuple[Kind, ...] = ("web", "service", "program")
    told = [load_prompt("agent", kind) for kind in kinds]
    return "\n\n".join(["# agent", *(said("stdin", text) for text in (*told, CUT_OFF, LEAKED))])


def tools() -> str:
    nothing, here = cast("Any", None), Path()
    names = {"project": "p", "thread_id": "t", "session_id": "s", "feature_id": "f"}
    room = cast("Any", SimpleNamespace(policy=Policy(worktree=here, scratch=here, data_dir=here)))
    every = [*file_tools(here), *shell_tools(room, here), *browser_tools(nothing, str, here)]
    every += [*memory_tools(nothing, **names), _FINISH]
    return "\n\n".join(["# tools of the coder", *(schema(tool.schema()) for tool in every)])


def author() -> str:
    known = Known({"list": "the list of notes"})
    return asked(lambda model: write_contract(model, FEATURE, "2. Clear empties the list.", known, "c"))


EXCHANGES = {
    "service": [
        {"step": 2, "act": "request", "method": "DELETE", "path": "/notes"},
        {"step": 2, "expect": "status", "value": "204", "source": "assumed"},
    ],
    "program": [
        {"step": 2, "act": "run", "command": ["notes", "clear"]},
        {"step": 2, "expect": "exit_code", "number": 0, "source": "assumed"},
    ],
}


def kind_of_project(kind: Any) -> str:
    """All that differs from what is told of a web application."""
    contract = Contract.model_validate({"feature_id": "F002", "items": EXCHANGES[kind]})
    paths = {"paths": {"/notes": {"delete": {"summary": "Empty the list", "responses": {"204": {}}}}}}
    document = parse(json.dumps(paths), "openapi.json") if kind == "service" else Document()
    known = Known(kind=kind, interface=Interface(fixed_by([contract]), document))
    totals = Totals(total=2, passing=1, open=1, parked=0)
    brief = render_brief(FEATURE, "", contract_words(contract), totals, [], [], [], "", kind=kind)
    plan, spec = Plan(), Specification(SPEC)
    return "\n\n".join(
        [
            asked(lambda model: write_contract(model, FEATURE, "2. Clear empties the list.", known, "c")),
            asked(lambda model: next_batch(model, spec, plan, 5, [], "c", planning.Known(kind=kind))),
            asked(lambda model: write_specification(model, "notes", "c", planning.Known(kind=kind))),
            *(said("system", load_prompt(name, kind)) for name in ("scaffold", "adapt", "coder")),
            said("human", brief),
        ]
    )


def service() -> str:
    return kind_of_project("service")


def program() -> str:
    return kind_of_project("program")


def binder() -> str:
    moment = Moment("before item 1", {"clear": "it matched 2 elements"}, ["entry"], "- button Clear [e1]")
    return asked(lambda model: Binder(model, CONTRACT, FEATURE, "c").ask(moment))


def planner() -> str:
    plan = Plan(features=FeatureList(features=(FEATURE.model_copy(update={"covers": ("4",)}),)))
    return asked(lambda model: next_batch(model, Specification(SPEC), plan, 5, ["app.js"], "c"))


def specification() -> str:
    return asked(lambda model: write_specification(model, "a page for notes", "c"))


SURVEY = Survey(
    files=("README.md", "app.js", "init.sh", "package.json"),
    total=4,
    languages={"JavaScript": 1, "Shell": 1},
    readme=("README.md", "# Notes"),
    conventions=("AGENTS.md", "Use tabs."),
    manifests={"package.json": '{"scripts": {"start": "node app.js"}}'},
    outline="app.js (3 lines)\n  1: add()",
    start=Start(because="package.json (scripts.start)", serve=("npm run --silent start",)),
    taken=("README.md", "app.js", "init.sh", "package.json"),
)


PARTS = cast("Any", SimpleNamespace(settings=Settings()))


def existing() -> str:
    """What is said of a project that is there already, and only of one."""
    known, plan, spec = Told(survey=SURVEY.words()), Plan(), Specification(SPEC)
    parts = [asked(lambda model: write_specification(model, "a button that clears the list", "c", known))]
    parts.append(asked(lambda model: next_batch(model, spec, plan, 0, SURVEY.files, "c", known)))
    free = SURVEY.model_copy(update={"taken": ("app.js",)})
    for survey, reason, attempt in ((free, "", 0), (free, "it never listens", 1), (SURVEY, "it never listens", 1)):
        parts.append(said("human", Existing(PARTS, survey).message(reason, attempt)))
    return "\n\n".join(parts)


def inside() -> str:
    """What a coder is told of a project that is a directory of a larger repository."""
    totals = Totals(total=1, passing=0, open=1, parked=0)
    return said("human", render_brief(FEATURE, "", "", totals, [], [], ["app.js"], "nothing", inside="packages/shop"))


ROLES = {
    each.__name__: each
    for each in (coder, agent, tools, author, binder, planner, specification, service, program, existing, inside)
}


@pytest.mark.parametrize("role", ROLES)
def test_what_a_role_is_told_is_what_was_last_agreed(role: str) -> None:
    agreed = (SNAPSHOTS / f"{role}.md").read_text(encoding="utf-8")
    assert ROLES[role]() + "\n" == agreed, f"\nif this change was meant, write it down and look at it: {COMMAND}"


def test_every_prompt_is_in_a_snapshot() -> None:
    agreed = "".join(path.read_text(encoding="utf-8") for path in SNAPSHOTS.glob("*.md"))
    for path in (Path(__file__).parents[2] / "prompts").glob("*.md"):
        assert f"prompts/{path.name}, version " in agreed, path.name


if __name__ == "__main__":
    SNAPSHOTS.mkdir(exist_ok=True)
    for name, render in ROLES.items():
        (SNAPSHOTS / f"{name}.md").write_text(render() + "\n", encoding="utf-8")
