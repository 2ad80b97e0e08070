"""A coder whose model takes pictures sees its page; in a larger project its brief has a map."""

from __future__ import annotations

import base64
import io
import re
from pathlib import Path
from typing import Any

import notes_script
import pytest
from bad_input_support import Person, git
from PIL import Image
from scripted import Request, ScriptedModel, call, calls

from harness.project import Project

pytestmark = [pytest.mark.needs("chromium", "bwrap", "git"), pytest.mark.timeout(400)]

RED = "<!doctype html><title>Notes</title><body style='background:#c00'>"
WORK = [
    calls([("write_file", {"path": "index.html", "content": RED}),
           ("run_command", {"command": "./init.sh serve", "background": True}), ("browser_open", {})]),
    call("browser_screenshot"),
    call("read_file", path="/outputs/screenshot-1.png"),
    call("finish", summary="It is red."),
]  # fmt: skip


def answer(request: Request) -> Any:
    is_session = request.conversation.endswith("-F001") and request.conversation.count("/") == 1
    return WORK[min(request.turn, 3)] if is_session else notes_script.answer(request)


def test_a_coder_that_takes_pictures_sees_its_page_and_is_shown_where_the_code_is(project: Path) -> None:
    functions = "".join(f"export function part{n}(value) {{\n  return value + {n};\n}}\n" for n in range(600))
    (project / "parts.js").write_text(f"{functions}export function noteBox() {{}}\n")
    settings = project / "harness.toml"
    limits = "\n[limits]\nrepairs = 0\nsessions = 1\n"
    settings.write_text(settings.read_text().replace("[model]\n", "[model]\nimages = true\n") + limits)
    git(project, "add", "--all")
    git(project, "commit", "--quiet", "-m", "more")
    with ScriptedModel(answer) as model:
        Person(base_url=model.base_url).run("run", project, "--feature", "F001", "--thread", "demo")
        turns = [request for request in model.requests if request.conversation.endswith("-F001")]
    brief = turns[0].messages[1]["content"]
    assert "# Map of the code" in brief
    assert "| parts.js (1801 lines)" in brief
    assert "|   1801: function noteBox()" in brief
    shown = [part for m in turns[-1].messages if isinstance(m["content"], list) for part in m["content"]]
    urls = [part["image_url"]["url"] for part in shown if part["type"] == "image_url"]
    assert len(urls) == 2
    with Image.open(io.BytesIO(base64.b64decode(urls[0].partition(",")[2]))) as picture:
        assert picture.convert("RGB").getpixel((10, 10)) == (204, 0, 0)
    assert urls[0] == urls[1], "the file is what was seen"
    kept = Project.find(project).trajectories_dir / "demo"
    assert len(list((kept / "pictures").iterdir())) == 1
    told = "".join(path.read_text(encoding="utf-8") for path in kept.glob("*.jsonl"))
    assert '"picture":"' in told
    assert not re.search("[A-Za-z0-9+/]{200}", told)
