"""Attacks on the sandbox, each with a broken twin: the same attack with one line of the recipe left out succeeds.

An attack is a bash script that prints BREACH when it worked. Scripts get as arguments: a directory outside, the pid
of a process outside, a port of the machine.
"""

from __future__ import annotations

import asyncio
import os
import pty
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from harness.errors import SetupError
from harness.sandbox import loopback
from harness.sandbox.bubblewrap import describe, probe, wrap
from harness.sandbox.furnish import furnish, put_away
from harness.sandbox.journal import Journal
from harness.sandbox.policy import Policy, protected_in
from harness.settings import SandboxSettings

pytestmark = pytest.mark.needs("bwrap")

Recipe = list[str]


@dataclass
class House:
    """A policy, what lies outside it, and the session's loopback."""

    policy: Policy
    outside: Path
    holder: subprocess.Popen[bytes]
    victim: subprocess.Popen[bytes]
    port: int

    def recipe(self, script: str, **options: bool) -> Recipe:
        return self.join(
            ["bash", "-c", script, "attack", str(self.outside), str(self.victim.pid), str(self.port)], **options
        )

    def join(self, argv: Recipe, network: str = "session", **options: bool) -> Recipe:
        return wrap(self.policy, argv, holder_pid=self.holder.pid, network=network, **options)  # type: ignore[arg-type]

    def run(self, recipe: Recipe, env: dict[str, str] | None = None) -> str:
        env = env or self.policy.environment()
        done = subprocess.run(
            recipe, env=env, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=30, check=False
        )
        return done.stdout + done.stderr


@pytest.fixture
def house(tmp_path: Path, project_dir: Path) -> Iterator[House]:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "secret").write_text("canary")
    (project_dir / "features.json").write_text("[]")
    policy = Policy(worktree=project_dir, scratch=tmp_path / "scratch", data_dir=tmp_path / "data")
    stand_ins = furnish(policy, Journal(tmp_path / "journal"))
    holder = subprocess.Popen(loopback.command(), stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    victim = subprocess.Popen(["sleep", "60"])
    with holder, victim, socket.socket() as listener, socket.socket(socket.AF_UNIX) as local:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        local.bind(str(tmp_path / "outside" / "socket"))
        local.listen()
        assert holder.stdout
        assert holder.stdout.readline() == b"up\n"
        yield House(policy, tmp_path / "outside", holder, victim, listener.getsockname()[1])
        holder.kill()
        victim.kill()
    put_away(stand_ins)


def without(*words: str) -> Callable[[Recipe, House], Recipe]:
    """Leave out a run of words; {W} stands for the worktree."""

    def twin(recipe: Recipe, house: House) -> Recipe:
        sought = [word.replace("{W}", str(house.policy.worktree)) for word in words]
        at = next(i for i in range(len(recipe)) if recipe[i : i + len(sought)] == sought)
        return recipe[:at] + recipe[at + len(sought) :]

    return twin


def adding(*words: str) -> Callable[[Recipe, House], Recipe]:
    """Say more just before the root is closed; {O} stands for the directory outside, {P} for the one around it."""

    def twin(recipe: Recipe, house: House) -> Recipe:
        at = recipe.index("--remount-ro")
        places = {"{O}": str(house.outside), "{P}": str(house.outside.parent)}
        return recipe[:at] + [places.get(word, word) for word in words] + recipe[at:]

    return twin


def both(
    first: Callable[[Recipe, House], Recipe], second: Callable[[Recipe, House], Recipe]
) -> Callable[[Recipe, House], Recipe]:
    return lambda recipe, house: second(first(recipe, house), house)


CONNECT = "import socket,sys;s=socket.socket(*{0});s.settimeout(2);s.connect({1});print('BREACH')"
ROOT_ONLY = pytest.mark.root_only  # the kernel refuses it to an ordinary user anyway
OPEN_OUTSIDE = adding("--bind", "{O}", "{O}")

ALONE = "[ $(ls -d /proc/[0-9]* | wc -l) -lt 10 ] || exit; "
"""Before what would end everything on the machine, should the sandbox be broken."""

SYSRQ = pytest.param(
    "( : >>/proc/sysrq-trigger ) && echo BREACH",
    without("--ro-bind-try", "/proc/sysrq-trigger", "/proc/sysrq-trigger"),
    id="SH-8 sysrq",
    marks=ROOT_ONLY,
)
"""Some kernels are built without it."""

ATTACKS = [
    *([SYSRQ] if Path("/proc/sysrq-trigger").exists() else []),
    pytest.param('echo x >"$1/new" && echo BREACH', OPEN_OUTSIDE, id="FS-1 write outside"),
    pytest.param('cat "$1/secret" && echo BREACH', OPEN_OUTSIDE, id="FS-1 read outside"),
    pytest.param('ln -s "$1" l; echo x >l/new && echo BREACH', OPEN_OUTSIDE, id="FS-2 write through a link"),
    pytest.param('ls $(touch "$1/x" && echo BREACH)', OPEN_OUTSIDE, id="SH-1 substitution"),
    pytest.param('cd / && rm -rf "$1"/* && [ -d "$1" ] && echo BREACH', OPEN_OUTSIDE, id="SH-2 delete outside"),
    pytest.param(
        f"""python3 -c "{CONNECT.format("(1,)", "sys.argv[1]+'/socket'")}" "$1" """,
        OPEN_OUTSIDE,
        id="SH-9 socket of others",
    ),
    pytest.param(
        "mv .git .git2 && mkdir .git && echo BREACH",
        without("--ro-bind", "{W}/.git", "/project/.git"),
        id="FS-5 move .git",
    ),
    pytest.param(
        "echo x >>.git/config && echo BREACH", without("--ro-bind", "{W}/.git", "/project/.git"), id="GI-1 git config"
    ),
    pytest.param(
        "echo x >.git/hooks/post-commit && echo BREACH",
        without("--ro-bind", "{W}/.git", "/project/.git"),
        id="GI-2 git hook",
    ),
    pytest.param(
        "echo '[1]' >features.json && echo BREACH",
        without("--ro-bind", "{W}/features.json", "/project/features.json"),
        id="feature list",
    ),
    pytest.param(
        "rm -f features.json && echo BREACH",
        without("--ro-bind", "{W}/features.json", "/project/features.json"),
        id="remove the feature list",
    ),
    pytest.param(
        "mkdir -p checks; echo x >checks/f && echo BREACH",
        without("--ro-bind", "{W}/checks", "/project/checks"),
        id="FS-6 absent directory",
    ),
    pytest.param(
        "rmdir harness.toml && echo 'x=1' >harness.toml && echo BREACH",
        without("--ro-bind", "{W}/harness.toml", "/project/harness.toml"),
        id="FS-6 absent file",
    ),
    pytest.param("touch /etc/x && echo BREACH", without("--remount-ro", "/"), id="write to the root"),
    pytest.param(
        "( : <>/proc/sys/kernel/core_pattern ) && echo BREACH",
        without("--ro-bind", "/proc/sys", "/proc/sys"),
        id="SH-8 core pattern",
        marks=ROOT_ONLY,
    ),
    pytest.param(
        "( : >>/proc/sys/fs/binfmt_misc/register ) && echo BREACH",
        both(without("--ro-bind", "/proc/sys", "/proc/sys"), adding("--bind", "{O}", "/proc/sys/fs/binfmt_misc")),
        id="SH-8 binfmt_misc",
        marks=ROOT_ONLY,
    ),
    pytest.param(
        "( : >>/sys/fs/cgroup/release_agent ) && echo BREACH",
        adding("--bind", "{O}", "/sys/fs/cgroup"),
        id="SH-8 release_agent",
    ),
    pytest.param(
        'W="$1/../project"; [ -d "$W" ] || W=.; ln "$1/secret" "$W/l" && echo x >"$W/l" && echo BREACH',
        adding("--bind", "{P}", "{P}"),
        id="FS-3 write through a hard link",
    ),
    pytest.param(
        "cat /etc/shadow && echo BREACH",
        adding("--ro-bind", "/etc/shadow", "/etc/shadow"),
        id="shadow",
        marks=ROOT_ONLY,
    ),
    pytest.param("unshare -U true && echo BREACH", without("--disable-userns"), id="SH-5 nested namespace"),
    pytest.param(
        "unshare -m mount -t tmpfs none /tmp && echo BREACH",
        both(without("--cap-drop", "ALL"), adding("--cap-add", "ALL")),
        id="SH-5 mount",
    ),
    pytest.param('kill -9 "$2" && echo BREACH', without("--unshare-pid"), id="SH-6 kill a process outside"),
    pytest.param(
        f"""python3 -c "{CONNECT.format("()", "('127.0.0.1',int(sys.argv[1]))")}" "$3" """,
        lambda recipe, house: recipe[recipe.index(next(w for w in recipe if w.endswith("bwrap"))) :],
        id="port of the machine",
    ),
]


@pytest.mark.parametrize(("script", "twin"), ATTACKS)
def test_an_attack_fails_and_its_broken_twin_succeeds(
    house: House, script: str, twin: Callable[[Recipe, House], Recipe]
) -> None:
    recipe = house.recipe(script)
    assert "BREACH" not in house.run(recipe)
    assert (house.outside / "secret").read_text() == "canary"
    assert house.victim.poll() is None
    breached = house.run(twin(recipe, house))
    assert "BREACH" in breached, breached


@pytest.mark.parametrize(
    "script",
    [
        "for f in /proc/sysrq-trigger /proc/sys/fs/binfmt_misc/register /sys/fs/cgroup/release_agent; do"
        " ( : >>$f ) 2>/dev/null && echo BREACH; done",
        "exec 3<>/dev/tcp/192.0.2.1/22 && echo BREACH",
        "nsenter -t 1 -m true && echo BREACH",
        "ls /var/run/docker.sock $SSH_AUTH_SOCK /run/* && echo BREACH",
        ALONE + "kill -9 -1 && echo BREACH",
        "ln /usr/bin/env hard && echo BREACH",
        "chmod u+w features.json && echo BREACH",
        "mount -o remount,rw / && echo BREACH",
        "umount /proc/sys && echo BREACH",
        "ls /root/.ssh /home/*/.ssh && echo BREACH",
    ],
)
def test_more_attacks_fail(house: House, script: str) -> None:
    """SH-5, SH-6, SH-8, SH-9, SH-10, FS-3; what takes a control out for each is above."""
    assert "BREACH" not in house.run(house.recipe(script))
    assert house.victim.poll() is None


def test_every_file_outside_stays_as_it_was_when_all_is_deleted(house: House) -> None:
    """SH-2: a newline in the command; the twin is the deletion outside, above."""
    house.run(house.recipe('true\nrm -rf ~/ /project /data "$1" /etc/passwd'))
    assert (house.outside / "secret").read_text() == "canary"
    assert (house.policy.worktree / "features.json").read_text() == "[]"
    assert (house.policy.worktree / ".git" / "HEAD").exists()
    assert not (house.policy.worktree / "README.md").exists(), "the worktree is writable"


def test_no_secret_of_the_environment_gets_in(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "canary-key")
    monkeypatch.setenv("LD_PRELOAD_CANARY", "canary-key")
    look = house.recipe("env; cat /proc/*/environ | tr '\\0' '\\n'")
    assert "canary-key" not in house.run(look)
    assert "canary-key" in house.run(look, env=dict(os.environ)), "the twin sees it"


def test_there_is_no_terminal_to_type_into(house: House) -> None:
    """SH-7."""
    recipe = house.recipe("( : </dev/tty ) 2>/dev/null && echo BREACH")
    assert "BREACH" not in run_on_terminal(recipe)
    assert "BREACH" in run_on_terminal(without("--new-session")(recipe, house)), "the twin has one"


def run_on_terminal(recipe: Recipe) -> str:
    ours, theirs = pty.openpty()
    try:
        done = subprocess.run(
            ["setsid", "--ctty", "--wait", *recipe], stdin=theirs, capture_output=True, text=True, check=False
        )
        return done.stdout
    finally:
        os.close(ours)
        os.close(theirs)


def test_the_parent_of_a_protected_file_cannot_be_moved_away(house: House) -> None:
    (house.policy.worktree / "sub").mkdir()
    (house.policy.worktree / "sub" / "features.json").write_text("[]")
    house.policy = replace(house.policy, subdir="sub", protected=protected_in("sub"))
    furnish(house.policy, Journal(house.outside / "journal"))
    attack = house.recipe("cd /project && mv sub moved && mkdir sub && echo x >sub/features.json && echo BREACH")
    assert "BREACH" not in house.run(attack)
    sub = f"{house.policy.worktree}/sub"
    assert "BREACH" in house.run(without("--bind", sub, "/project/sub")(attack, house))


def test_a_protected_path_that_is_a_link_stops_the_session(house: House) -> None:
    (house.policy.worktree / "features.json").unlink()
    (house.policy.worktree / "features.json").symlink_to(house.outside / "secret")
    with pytest.raises(SetupError, match=r"features\.json is a symbolic link"):
        furnish(house.policy, Journal(house.outside / "journal"))


def test_code_finds_the_project_at_the_same_place_in_every_worktree(house: House) -> None:
    seen = house.run(
        house.recipe("pwd; echo $HOME $HARNESS_DATA_DIR $TMPDIR; touch ~/a /data/b /tmp/c made && echo done")
    )
    assert seen.splitlines() == ["/project", "/home/agent /data /tmp", "done"]
    assert (house.policy.worktree / "made").exists()
    assert (house.policy.data_dir / "b").exists()
    assert house.policy.inside(house.policy.worktree / "src") == "/project/src"
    assert house.policy.inside(house.policy.data_dir / "b") == "/data/b"


def test_programs_of_the_machine_and_our_python_work(house: House) -> None:
    script = (
        f"{sys.executable} -c 'import pydantic, ssl, sqlite3' && python3 -c 'import ssl' && git --version && echo works"
    )
    assert house.run(house.recipe(script)).endswith("works\n")


def test_git_can_be_read_in_a_linked_worktree_and_not_written(house: House, tmp_path: Path) -> None:
    main = house.policy.worktree
    git(main, "remote", "add", "origin", "https://user:canary@example.invalid/x.git")
    git(main, "worktree", "add", "--quiet", "-b", "linked", str(tmp_path / "linked"))
    house.policy = replace(house.policy, worktree=tmp_path / "linked", git_dir=main / ".git")
    furnish(house.policy, Journal(tmp_path / "journal"))
    seen = house.run(house.recipe("echo y >>README.md; git status --short; git log --format=%s; git diff --stat"))
    assert " M README.md" in seen
    assert "start" in seen
    assert "1 insertion" in seen
    refused = house.run(
        house.recipe("git add . && echo BREACH; git commit -am x && echo BREACH; git config a.b c && echo BREACH")
    )
    assert "BREACH" not in refused
    assert "canary" not in house.run(house.recipe("git remote -v; cat $(git rev-parse --git-common-dir)/config"))


def git(directory: Path, *command: str) -> None:
    subprocess.run(["git", *command], cwd=directory, check=True)


def test_the_probe_finds_that_the_sandbox_holds() -> None:
    found = probe()
    assert found.is_enforced, f"{found.reason} {found.remedy}"
    assert bool(found.warning) == (os.geteuid() == 0)


def test_the_probe_names_the_package_that_is_missing() -> None:
    """On a machine without bubblewrap, played by one sandbox inside another."""
    hide = ["bwrap", "--dev-bind", "/", "/", "--ro-bind", os.devnull, "/usr/bin/bwrap", "--"]
    ask = "from harness.sandbox.bubblewrap import probe; p = probe(); print(p.is_enforced, p.remedy)"
    done = subprocess.run([*hide, sys.executable, "-c", ask], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("False `apt install bubblewrap`"), done.stdout


def test_the_probe_says_how_to_allow_namespaces() -> None:
    """On a machine that refuses user namespaces, played by a sandbox that disables them."""
    refuse = ["bwrap", "--dev-bind", "/", "/", "--unshare-user", "--disable-userns", "--"]
    ask = "from harness.sandbox.bubblewrap import probe; p = probe(); print(p.is_enforced, p.reason, p.remedy)"
    done = subprocess.run([*refuse, sys.executable, "-c", ask], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("False The sandbox cannot be entered"), done.stdout
    assert "user namespaces" in done.stdout


def test_one_line_tells_what_is_enforced() -> None:
    assert describe(SandboxSettings()) == (
        "sandbox: bubblewrap, project | writes: /project, /home/agent, /tmp, /data | network: session loopback"
        " | secrets: hidden | limits: 120 s a command, 6144 MB, 200000 bytes kept"
    )
    assert "UNSAFE" in describe(SandboxSettings(mode="off"))


async def test_a_command_that_lacks_the_loopback_is_not_run(house: House) -> None:
    with pytest.raises(ValueError, match="loopback"):
        wrap(house.policy, ["true"])
    holder = await loopback.hold()
    await loopback.release(holder)
    assert "BREACH" not in await asyncio.to_thread(
        house.run, wrap(house.policy, ["echo", "BREACH"], holder_pid=holder.pid)
    )
