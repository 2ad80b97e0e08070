"""`harness replay`: what was recorded of a build builds it again without a model, or says where it does not fit."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import notes_script
import pytest
from scripted import ScriptedModel, status
from warm import WARM

from harness.errors import SetupError
from harness.replaying import thread_of

pytestmark = [pytest.mark.needs("chromium", "bwrap"), pytest.mark.timeout(600)]


def harness(*words: str, base_url: str) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "OPENAI_MODEL": "scripted", "OPENAI_BASE_URL": base_url, "OPENAI_FALLBACK_API_KEY": "k"}
    argv = WARM.command(*words)
    return subprocess.run(argv, env=env, capture_output=True, text=True, check=False, timeout=500)


def test_a_recorded_build_is_built_again_without_a_model_and_what_differs_is_named(tmp_path: Path) -> None:
    spec, recording = tmp_path / "spec.md", tmp_path / "said.jsonl"
    spec.write_text(notes_script.SPEC, encoding="utf-8")
    first, second, third = (str(tmp_path / name) for name in ("first", "second", "third"))
    with ScriptedModel(notes_script.answer) as model:
        record = ["--record", str(recording)]
        for words in (
            ["init", first, "--spec", str(spec), "--yes", "--thread", "by-hand", *record],
            ["run", first, "--feature", "F001", *record],
        ):
            done = harness(*words, base_url=model.base_url)
            assert done.returncode in (0, 1), done.stdout + done.stderr

    with ScriptedModel(lambda request: status(500)) as nobody:
        config = Path(os.environ["XDG_CONFIG_HOME"], "harness")
        config.mkdir(parents=True, exist_ok=True)
        fallback = f'[model.fallback]\nname = "paid"\nbase_url = "{nobody.base_url}"\n'
        agent = '[coder]\ncommand = ["my-agent", "--paid"]\n'
        (config / "config.toml").write_text(f'[model]\nroles = {{ coder = "another" }}\n{fallback}{agent}')
        done = harness("replay", str(recording), second, base_url=nobody.base_url)
        assert (done.returncode, "--spec SPEC" in done.stderr) == (3, True)
        done = harness("replay", str(recording), second, "--spec", str(spec), base_url=nobody.base_url)
        assert "verdict F001: passed" in done.stdout, done.stdout + done.stderr
        assert "my-agent" not in done.stdout + done.stderr, "a recording has no use for the person's own agent"
        assert "Not as it was recorded: session 'by-hand/contract/F002'" in done.stdout, "that was not recorded"
        assert done.returncode == 5

        lines = [json.loads(line) for line in recording.read_text().splitlines()]
        for line in lines:
            if (line["conversation"], line["turn"]) == ("by-hand/s001-F001", 1):
                line["request"][-1]["content"] = "something else"
        recording.write_text("".join(json.dumps(line) + "\n" for line in lines))
        done = harness("replay", str(recording), third, "--spec", str(spec), base_url=nobody.base_url)
        assert done.returncode == 5
        assert "Not as it was recorded: session 'by-hand/s001-F001', turn 1: expected" in done.stdout
        assert "something else" in done.stdout
        assert nobody.requests == [], "neither the endpoint nor the fallback was asked"


@pytest.mark.parametrize("names", [(), ("one/plan/0", "two/plan/0")])
def test_a_recording_of_no_build_or_of_two_is_refused(names: tuple[str, ...]) -> None:
    with pytest.raises(SetupError, match="one build"):
        thread_of([(name, 0) for name in names], Path("said.jsonl"))
