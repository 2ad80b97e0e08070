"""What a person can put right before a run: each case is one clear message, an exit code, and nothing touched."""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

import notes_script
import pytest
from apps.old_chromium import old_chromium
from bad_input_support import Person, commit, contents, git, set_for_user, unchanged
from scripted import ScriptedModel

pytestmark = [pytest.mark.needs("chromium", "bwrap", "git"), pytest.mark.timeout(300)]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--spec", "no/such/spec.md"], "There is no file 'no/such/spec.md'"),
        (["--spec", ""], "empty"),
        (["--spec", "-"], "Standard input is empty"),
        ([], "--spec"),
    ],
    ids=["missing file", "empty text", "empty input", "no option"],
)
def test_a_specification_that_is_not_there_is_a_usage_error(
    person: Person, tmp_path: Path, words: list[str], said: str
) -> None:
    person.run("init", tmp_path / "new", *words).is_clear(2, said)
    assert not (tmp_path / "new").exists()


def test_an_empty_specification_file_is_a_usage_error_that_names_it(person: Person, tmp_path: Path) -> None:
    (tmp_path / "spec.md").write_text(" \n")
    person.run("init", tmp_path / "new", "--spec", tmp_path / "spec.md").is_clear(2, r"spec\.md.* is empty")
    assert not (tmp_path / "new").exists()


def test_a_specification_that_is_not_text_is_a_usage_error(person: Person, tmp_path: Path) -> None:
    (tmp_path / "spec.md").write_bytes(b"\xff\xfe\x00\x01")
    person.run("init", tmp_path / "new", "--spec", tmp_path / "spec.md").is_clear(2, "not UTF-8")


@pytest.mark.parametrize("command", ["run", "resume", "status", "verify", "threads", "log"])
def test_a_directory_that_is_not_there_is_named(person: Person, tmp_path: Path, command: str) -> None:
    words = ["resume", "demo"] if command == "resume" else [command]
    person.run(*words, tmp_path / "nowhere").is_clear(3, "nowhere is not a directory")
    assert not (tmp_path / "nowhere").exists()


def test_a_directory_without_a_list_is_told_to_initialise(person: Person, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    person.run("run", tmp_path / "empty").is_clear(3, "no features.json", "harness init")
    person.run("status", tmp_path / "empty").is_clear(3, "no features.json", "harness init")


def test_a_list_outside_of_git_cannot_be_built(person: Person, project: Path) -> None:
    shutil.rmtree(project / ".git")
    unchanged(project, lambda: person.run("run", project)).is_clear(3, "not in a git repository", "git init")


def test_a_file_in_the_place_of_the_directory_is_named(person: Person, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    person.run("init", tmp_path / "file", "--spec", "A page that says hello").is_clear(3, "file")
    person.run("init", tmp_path / "file" / "below", "--spec", "A page that says hello").is_clear(3, "below")
    assert (tmp_path / "file").read_text() == "mine"


def test_an_initialised_project_is_not_overwritten(person: Person, project: Path) -> None:
    ran = unchanged(project, lambda: person.run("init", project, "--spec", "Something else entirely, please"))
    ran.is_clear(3, "initialised already", "harness run")


def test_files_that_are_not_in_git_stay_as_they_are(tmp_path: Path) -> None:
    """`init` beside a person's own untracked, uncommitted and ignored files."""
    project = tmp_path / "project"
    project.mkdir()
    git(project, "init", "--quiet")
    (project / ".gitignore").write_text("secret.txt\n")
    (project / "tracked.txt").write_text("old\n")
    commit(project, "start")
    (project / "tracked.txt").write_text("changed, not committed\n")
    (project / "secret.txt").write_text("ignored\n")
    (project / "draft.txt").write_text("untracked\n")
    before = contents(project)
    with ScriptedModel(notes_script.answer) as model:
        ran = Person(base_url=model.base_url).run("init", project, "--spec", notes_script.SPEC, "--yes")
    ran.is_clear(0)
    after = contents(project)
    mine = (".gitignore", "tracked.txt", "secret.txt", "draft.txt")
    assert {name: after[name] for name in mine} == {name: before[name] for name in mine}
    assert "features.json" in git(project, "ls-tree", "--name-only", "HEAD")
    assert "draft.txt" not in git(project, "log", "--name-only", "--format=", "--all")


def test_a_file_in_the_way_of_the_baseline_is_not_overwritten(tmp_path: Path) -> None:
    project = tmp_path / "project"
    project.mkdir()
    (project / "spec.md").write_text("my own text, in no repository")
    with ScriptedModel(notes_script.answer) as model:
        ran = Person(base_url=model.base_url).run("init", project, "--spec", notes_script.SPEC, "--yes")
    ran.is_clear(0, r"stays where it is.*spec\.md", "git merge")
    assert (project / "spec.md").read_text() == "my own text, in no repository"


def test_a_detached_head_is_told_how_to_get_a_branch(person: Person, project: Path) -> None:
    git(project, "checkout", "--quiet", "--detach")
    unchanged(project, lambda: person.run("run", project)).is_clear(3, "HEAD is detached", "git switch -c")


def test_without_an_identity_git_is_not_asked_to_commit(person: Person, project: Path, tmp_path: Path) -> None:
    (tmp_path / "nobody").write_text("[user]\nuseConfigOnly = true\n")
    nobody = {"GIT_CONFIG_GLOBAL": str(tmp_path / "nobody"), "GIT_CONFIG_NOSYSTEM": "1"}
    unchanged(project, lambda: person.run("run", project, **nobody)).is_clear(3, "who you are", "git config --global")


def test_without_chromium_the_command_that_brings_it_is_told(person: Person, project: Path, tmp_path: Path) -> None:
    path = path_without("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", into=tmp_path / "bin")
    ran = unchanged(project, lambda: person.run("run", project, PATH=path))
    ran.is_clear(3, "No Chromium was found", r"init\.sh setup")
    unchanged(project, lambda: person.run("verify", project, PATH=path))


@pytest.mark.parametrize("product", ["HeadlessChrome/87.0.4280.88", "Netscape/4.0"])
def test_a_chromium_of_an_unknown_version_is_refused(
    person: Person, project: Path, tmp_path: Path, product: str
) -> None:
    browser = old_chromium(tmp_path / "old-chromium", product)
    set_for_user(f'[verify]\nchromium = "{browser}"\n')
    doctor = unchanged(project, lambda: person.run("doctor", project))
    assert doctor.code == 3
    assert f"{product!r}" in doctor.out, doctor
    assert "Chromium 120 or newer is needed" in doctor.out, doctor


def test_without_bubblewrap_the_command_that_brings_it_is_told(person: Person, project: Path, tmp_path: Path) -> None:
    ran = unchanged(project, lambda: person.run("run", project, wrapped_in=without_bubblewrap(tmp_path / "real")))
    ran.is_clear(3, "bubblewrap", "apt install bubblewrap", "--sandbox off")


def test_a_wrong_chromium_in_the_settings_is_named(person: Person, project: Path) -> None:
    set_for_user('[verify]\nchromium = "/no/such/browser"\n')
    unchanged(project, lambda: person.run("run", project)).is_clear(3, "/no/such/browser", r"verify\.chromium")


def test_without_a_key_a_foreign_endpoint_is_not_called(person: Person, project: Path) -> None:
    ran = person.run("run", project, OPENAI_BASE_URL="https://models.example.invalid/v1", OPENAI_API_KEY="")
    ran.is_clear(3, "OPENAI_API_KEY is not set")


def test_an_address_that_a_repository_sets_is_not_called_and_that_is_told(person: Person, project: Path) -> None:
    (project / "harness.toml").write_text('[model]\nbase_url = "http://127.0.0.1:9/thief"\n')
    ran = person.run("run", project, OPENAI_BASE_URL="", OPENAI_API_KEY="")
    ran.is_clear(3, r"https://api\.openai\.com/v1 needs it")
    assert "model.base_url" in ran.out + ran.err


def test_without_a_model_name_the_variable_is_named(person: Person, project: Path) -> None:
    person.run("run", project, OPENAI_MODEL="").is_clear(3, "OPENAI_MODEL")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[model\n", "harness.toml"),
        ("[limits]\nsession_turn = 3\n", "session_turn"),
        ("[limits]\nsessions = 'x'", "limits.sessions"),
    ],
    ids=["not TOML", "unknown setting", "wrong type"],
)
def test_a_broken_harness_toml_is_named(person: Person, project: Path, text: str, said: str) -> None:
    (project / "harness.toml").write_text(text)
    unchanged(project, lambda: person.run("run", project)).is_clear(4, said, r"harness\.toml")


def test_state_that_cannot_be_written_is_named(person: Person, project: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    ran = unchanged(project, lambda: person.run("run", project, HARNESS_STATE_DIR=str(tmp_path / "file" / "state")))
    ran.is_clear(3, "cannot be used for state", "HARNESS_STATE_DIR")


def test_state_inside_the_project_is_refused(person: Person, project: Path) -> None:
    ran = unchanged(project, lambda: person.run("run", project, HARNESS_STATE_DIR=str(project / "state")))
    ran.is_clear(3, "inside the project", "HARNESS_STATE_DIR")


def test_a_project_that_cannot_be_written_is_named(person: Person, project: Path) -> None:
    with read_only(project):
        ran = unchanged(project, lambda: person.run("run", project))
    ran.is_clear(3, "cannot be written", str(project))


@pytest.mark.parametrize(
    "words", [["run", "--feature", "F099"], ["verify", "--feature", "F099"]], ids=["run", "verify"]
)
def test_an_unknown_feature_is_a_usage_error(person: Person, project: Path, words: list[str]) -> None:
    ran = unchanged(project, lambda: person.run(words[0], project, *words[1:]))
    ran.is_clear(2, "no feature 'F099'", "harness status")


def test_an_unknown_thread_is_told_which_there_are(person: Person, project: Path) -> None:
    unchanged(project, lambda: person.run("resume", "other", project)).is_clear(
        3, "no thread 'other'", "Threads here: none"
    )


def test_a_thread_that_cannot_be_a_name_is_refused(person: Person, project: Path) -> None:
    unchanged(project, lambda: person.run("run", project, "--thread", "../up")).is_clear(3, "cannot be a thread id")


def path_without(*programs: str, into: Path) -> str:
    """A PATH with links to every program but these."""
    into.mkdir()
    for directory in os.environ["PATH"].split(os.pathsep):
        for program in Path(directory).iterdir() if Path(directory).is_dir() else ():
            if program.name not in programs and not (into / program.name).exists():
                with contextlib.suppress(OSError):
                    (into / program.name).symlink_to(program)
    return str(into)


def without_bubblewrap(elsewhere: Path) -> list[str]:
    """Words before a command that make it see this machine, but for /usr/bin/bwrap."""
    elsewhere.mkdir()
    words = ["bwrap", "--dev-bind", "/", "/", "--bind", "/usr/bin", str(elsewhere), "--tmpfs", "/usr/bin"]
    for program in sorted(Path("/usr/bin").iterdir()):
        if program.name != "bwrap":
            words += ["--symlink", str(elsewhere / program.name), str(program)]
    return [*words, "--"]


@contextlib.contextmanager
def read_only(directory: Path) -> Iterator[None]:
    """Make a directory unwritable, for root too where the kernel allows a read-only bind mount."""
    if os.geteuid():
        directory.chmod(stat.S_IRUSR | stat.S_IXUSR)
        (directory / ".git").chmod(stat.S_IRUSR | stat.S_IXUSR)
        try:
            yield
        finally:
            directory.chmod(0o755)
            (directory / ".git").chmod(0o755)
        return
    if subprocess.run(["mount", "--bind", directory, directory], capture_output=True, check=False).returncode:
        pytest.skip("this container may not mount")
    try:
        subprocess.run(["mount", "-o", "remount,bind,ro", directory], check=True, capture_output=True)
        yield
    finally:
        subprocess.run(["umount", "--lazy", directory], check=True)


def test_nothing_is_built_where_nothing_may_be_written(person: Person, project: Path) -> None:
    ran = unchanged(project, lambda: person.run("run", project, "--sandbox", "plan"))
    ran.is_clear(3, "Nothing can be built in mode `plan`", "harness verify --sandbox plan")
    set_for_user('[sandbox]\nmode = "plan"\n')
    unchanged(project, lambda: person.run("run", project)).is_clear(3, "mode `plan`", "config.toml")


def test_a_network_without_hosts_is_refused(person: Person, project: Path) -> None:
    """NW-1."""
    ran = unchanged(project, lambda: person.run("run", project, "--sandbox", "project+net"))
    ran.is_clear(3, "no host is named", "--allow-host")
    wrong = ["run", project, "--sandbox", "project+net", "--allow-host", "a b"]
    unchanged(project, lambda: person.run(*wrong)).is_clear(4, r"sandbox\.hosts")
