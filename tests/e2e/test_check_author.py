"""`harness check author`: a check for a running application, kept as a draft only when it passes twice."""

from __future__ import annotations

import functools
import http.server
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import notes_script
import pytest
from bad_input_support import Person, git
from scripted import Request, ScriptedModel, call

pytestmark = [pytest.mark.needs("chromium", "bwrap", "git"), pytest.mark.timeout(300)]


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def running(directory: Path, script: str) -> Iterator[str]:
    """The notes application, started by somebody else."""
    directory.mkdir()
    (directory / "index.html").write_text(notes_script.PAGE)
    (directory / "app.js").write_text(script)
    with http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), functools.partial(_Quiet, directory=str(directory))
    ) as server:
        worker = threading.Thread(target=server.serve_forever)
        worker.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            worker.join()


def answer(request: Request) -> object:
    """The author and the binder of the notes; conversations are named after the thread."""
    if request.conversation.endswith("/bind"):
        asked = request.last.split("The page now:")[0].rpartition("Needed now:")[2]
        return call("submit", found={n: found for n, found in notes_script.LOCATORS.items() if f"| {n}" in asked})
    assert request.conversation.endswith("/check/F001")
    return call("submit", notes_script.CONTRACTS["F001"])


def test_a_draft_is_kept_for_a_person_when_it_passes_twice_and_only_then(project: Path, tmp_path: Path) -> None:
    head = git(project, "rev-parse", "HEAD")
    with ScriptedModel(answer) as model:
        person = Person(base_url=model.base_url)
        with running(tmp_path / "forgetful", notes_script.FORGETFUL) as url:
            refused = person.run("check", "author", "F001", "--url", url, "--dir", project)
        assert refused.code == 1, refused
        assert "It is not kept. Step 4" in refused.out
        assert git(project, "rev-parse", "HEAD") == head
        asked = len(model.requests)
        with running(tmp_path / "good", notes_script.ADD) as url:
            kept = person.run("check", "author", "F001", "--url", url, "--dir", project)
        assert kept.code == 0, kept
        bound = len(model.requests) - asked - 1
        assert f"Model calls: 1 of the author, {bound} of the binder." in kept.out, kept
    draft = json.loads((project / "checks/F001.json").read_text())
    assert draft["contract"].get("by", "author") == "author"
    shared = json.loads((project / "checks/elements.json").read_text())["elements"]
    assert shared.keys() == notes_script.CONTRACTS["F001"]["targets"].keys()  # the next draft need not bind them
    assert "Harness-Event: amended" in git(project, "log", "-1", "--format=%B")
    accepted = Person().run("check", "accept", "F001", "--dir", project)
    assert accepted.code == 0, accepted
    assert json.loads((project / "checks/F001.json").read_text())["contract"]["by"] == "person"
