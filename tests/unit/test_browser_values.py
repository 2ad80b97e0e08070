"""What of the browser needs no browser: keys, addresses, tool arguments, the script's text."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import ValidationError

from harness.browser import world
from harness.browser.failed import ActFailed
from harness.browser.keys import key_events, parse_chord
from harness.browser.watch import Record
from harness.tools.browser import ActArguments, browser_tools


@pytest.mark.parametrize(
    ("chord", "parsed"),
    [
        ("Enter", ([], "Enter")),
        ("ctrl+shift+k", (["Control", "Shift"], "k")),
        ("Control++", (["Control"], "+")),
        ("esc", ([], "Escape")),
        ("Space", ([], " ")),
        ("\N{SNOWMAN}", ([], "\N{SNOWMAN}")),
    ],
)
def test_chords_are_read_as_people_write_them(chord: str, parsed: tuple[list[str], str]):
    assert parse_chord(chord) == parsed


@pytest.mark.parametrize("chord", ["Hyper+K", "Enterr", "a+b"])
def test_unknown_keys_are_refused(chord: str):
    with pytest.raises(ActFailed, match="there is no key"):
        parse_chord(chord)


def test_a_character_without_a_key_is_left_to_be_inserted():
    assert key_events("\N{SNOWMAN}") == []
    assert [event["type"] for event in key_events("a")] == ["keyDown", "keyUp"]
    assert [event["type"] for event in key_events("a", 2)] == ["rawKeyDown", "keyUp"]


@pytest.mark.parametrize(
    ("url", "reachable"),
    [
        ("http://127.0.0.1:8000/x", True),
        ("http://localhost:8000/x", True),
        ("ws://127.0.0.1:8000/", True),
        ("data:text/plain,x", True),
        ("http://127.0.0.1:8001/x", False),
        ("http://127.0.0.1:8000.example.invalid/", False),
        ("http://user@example.invalid:8000/", False),
        ("file:///etc/passwd", False),
        ("chrome://version", False),
        ("javascript:alert(1)", False),
    ],
)
def test_only_the_application_can_be_reached(url: str, reachable: bool):
    record = Record()
    record.allowed = frozenset({"127.0.0.1:8000"})
    assert record.may_reach(url) is reachable


@pytest.mark.parametrize(
    "arguments",
    [{"act": "click"}, {"act": "fill", "ref": "e1"}, {"act": "press"}, {"act": "drag", "ref": "e1"}, {"act": "fly"}],
)
def test_an_act_that_is_not_whole_is_refused(arguments: dict[str, str]):
    with pytest.raises(ValidationError):
        ActArguments.model_validate(arguments)


def test_every_tool_describes_itself(tmp_path: Path):
    tools = browser_tools(lambda: None, lambda: "", tmp_path)
    assert [tool.name for tool in tools] == ["browser_open", "browser_act", "browser_snapshot", "browser_screenshot"]
    assert all(tool.schema()["function"]["parameters"]["type"] == "object" for tool in tools)


def test_the_script_is_one_closure_of_all_its_parts():
    parts = {path.stem for path in (Path(world.__file__).parent / "injected").glob("*.js")}
    assert parts == set(world.PARTS)
    assert world.source().startswith("(() => {")


def test_importing_the_browser_loads_nothing_heavy():
    code = "import harness.browser.browser, harness.tools.browser, sys; print('pyppeteer' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
