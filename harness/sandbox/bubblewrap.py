"""How a policy is enforced: the bubblewrap command line, and a probe that runs it.

A positive list: the root is empty, and only what is named here exists inside. So the person's homes, other checkouts,
sockets of other programs and the harness's state are not hidden but absent. `wrap` is pure; whoever runs its result
must have made the mount points first (`processes.Room` does).

Source: measured as root and as an ordinary user, bubblewrap 0.8, kernel 6.18. Traps it answers: as root, capabilities
and /proc/sys must be taken away by name; a protected directory must itself be a mount point, else it is moved away;
a network namespace made by bubblewrap itself cannot be joined, hence the holder in `loopback`.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

from harness.sandbox import loopback, mounts
from harness.sandbox.furnish import furnish
from harness.sandbox.journal import Journal
from harness.sandbox.mounts import program
from harness.sandbox.policy import DATA, HOME, PROJECT, TEMPORARY, Policy
from harness.settings import SandboxSettings

Network = Literal["none", "session", "registries", "host"]

PROBE = r"""
tell() { echo "$1"; }
( : <>/proc/sys/kernel/core_pattern ) 2>/dev/null && tell "/proc/sys can be written"
unshare -U true 2>/dev/null && tell "user namespaces can be nested"
mount -t tmpfs none /mnt 2>/dev/null && tell "file systems can be mounted"
[ -e "$1" ] && tell "files outside are visible"
{ mv .git moved || : >features.json || touch checks/x; } 2>/dev/null && tell "protected files can be changed"
while read -r name _; do case $name in Inter-*|face*|lo:*) ;; *) tell "there is a network";; esac; done </proc/net/dev
echo held
"""
"""Attacks that must fail, run at the start; `$1` is a file that exists outside."""
PROBE_SECONDS = 30.0
PREPARE_REACHES = {"registries": "your registries", "on": "everything"}

ROOT_WARNING = "running as root: process limit not enforced, root-owned files stay readable"
UNSAFE = "or pass --sandbox off (unsafe: commands can do all that you can)"
NAMESPACES = (
    "Allow user namespaces: `sysctl -w kernel.unprivileged_userns_clone=1` (Debian), "
    "`sysctl -w kernel.apparmor_restrict_unprivileged_userns=0` (Ubuntu), or start the container with "
    "`--security-opt seccomp=unconfined --security-opt apparmor=unconfined --security-opt systempaths=unconfined`; "
)


@dataclass(frozen=True)
class Enforcement:
    """What the probe found."""

    is_enforced: bool
    reason: str = ""
    """Why not, in words."""
    remedy: str = ""
    """What the person can do."""
    warning: str = ""
    """One line to show although all is well."""


def wrap(
    policy: Policy,
    argv: Sequence[str],
    *,
    holder_pid: int | None = None,
    network: Network = "session",
    allow_userns: bool = False,
    cwd: str | None = None,
    read_only: Sequence[Path] = (),
    project_writable: bool = True,
    status_fd: int | None = None,
) -> list[str]:
    """The command line that runs `argv` under the policy.

    Args:
        policy: what may be seen and written.
        argv: the command, as seen from inside.
        holder_pid: the process that holds the loopback to join; needed for networks "session" and "registries".
        network: "none": a loopback of its own; "session": the session's; "registries": one with a proxy, and "host":
            the machine's, both for `prepare`.
        allow_userns: Chromium builds its own sandbox from user namespaces; they cannot undo the mounts.
        cwd: path inside; None: the project.
        read_only: more host paths, at their own paths.
        project_writable: False for the browser, which shows pages but edits nothing; in mode `plan` it never is.
        status_fd: where bubblewrap tells that it started and how the command ended.
    """
    if not policy.is_sandboxed:
        return list(argv)
    joins = network in {"session", "registries"}
    if joins and holder_pid is None:
        raise ValueError(f"network {network!r} needs the process that holds the loopback")
    args = [*_join(holder_pid if joins else None), program("bwrap")]
    args += mounts.system(policy)
    args += mounts.project(policy, writable=project_writable and policy.mode != "plan")
    args += mounts.toolchains([*policy.read_only, *read_only])  # after /tmp: they may lie below it on the host
    args += _network(network)
    args += _isolation(allow_userns)
    args += [] if status_fd is None else ["--json-status-fd", str(status_fd)]
    return [*args, "--chdir", cwd or policy.inside(policy.working_dir), "--", *argv]


def _join(holder_pid: int | None) -> list[str]:
    if holder_pid is None:
        return []
    return [program("nsenter"), "-t", str(holder_pid), "-U", "-n", "--preserve-credentials", "--"]


def _network(network: Network) -> Iterator[str]:
    if network == "none":
        yield "--unshare-net"
    elif network in {"registries", "host"}:
        yield from mounts.client_config(names_are_resolved=network == "host")


def _isolation(allow_userns: bool) -> Iterator[str]:
    yield from ("--remount-ro", "/")
    yield from ("--unshare-user", "--unshare-pid", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try")
    if not allow_userns:
        yield "--disable-userns"
    yield from ("--uid", "1000", "--gid", "1000", "--cap-drop", "ALL", "--hostname", "sandbox")
    yield from ("--die-with-parent", "--new-session")


def probe() -> Enforcement:
    """Run the sandbox once, attacks included, and say whether it holds. Blocks for about 50 ms."""
    if missing := _missing():
        return missing
    with tempfile.TemporaryDirectory(prefix="probe-") as name:
        found = _run_probe(Path(name).resolve())
    if found.stdout.split("\n") == ["held", ""]:
        return Enforcement(True, warning=ROOT_WARNING if os.geteuid() == 0 else "")
    if found.stdout.endswith("held\n"):
        held_not = ", ".join(found.stdout.splitlines()[:-1])
        return Enforcement(False, f"The sandbox does not hold: {held_not}.", "Update bubblewrap and the kernel.")
    return _refusal(found.stderr.strip() or f"exit code {found.returncode}")


def _missing() -> Enforcement | None:
    if platform.system() != "Linux":
        return Enforcement(False, "The sandbox needs Linux.", f"Use a Linux container or machine, {UNSAFE}.")
    packages = {"bwrap": "bubblewrap", "unshare": "util-linux", "nsenter": "util-linux", "prlimit": "util-linux"}
    if absent := [name for name in packages if shutil.which(program(name)) is None]:
        wanted = " ".join(sorted({packages[name] for name in absent}))
        return Enforcement(False, f"Not installed: {', '.join(absent)}.", f"`apt install {wanted}`, {UNSAFE}.")
    return None


def _run_probe(room: Path) -> subprocess.CompletedProcess[str]:
    (room / "worktree").mkdir()
    policy = Policy(worktree=room / "worktree", scratch=room / "scratch", data_dir=room / "data")
    furnish(policy, Journal(room / "outside"))
    holder = subprocess.Popen(loopback.command(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    with holder:
        assert holder.stdout is not None
        if holder.stdout.readline().strip() != b"up":
            return _as_text(holder)
        argv = wrap(policy, ["bash", "-c", PROBE, "probe", str(room / "outside")], holder_pid=holder.pid)
        run = partial(subprocess.run, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        try:
            return run(argv, env=policy.environment(), timeout=PROBE_SECONDS)
        except subprocess.TimeoutExpired:
            return subprocess.CompletedProcess(argv, 1, "", f"no answer in {PROBE_SECONDS:g} s")
        finally:
            holder.kill()


def _as_text(holder: subprocess.Popen[bytes]) -> subprocess.CompletedProcess[str]:
    _, errors = holder.communicate()
    return subprocess.CompletedProcess(holder.args, holder.returncode or 1, "", errors.decode(errors="replace"))


def _refusal(message: str) -> Enforcement:
    if "nknown option" in message:
        return Enforcement(False, f"bubblewrap is too old: {message}", f"Install bubblewrap 0.8 or newer, {UNSAFE}.")
    return Enforcement(False, f"The sandbox cannot be entered: {message}", NAMESPACES + UNSAFE + ".")


def describe(settings: SandboxSettings) -> str:
    """The one line a run starts with."""
    limits = f"{settings.command_seconds:g} s a command, {settings.memory_mb} MB, {settings.output_bytes} bytes kept"
    if settings.mode == "off":
        return f"sandbox: OFF, UNSAFE | writes: all you can | network: yes | secrets: readable | limits: {limits}"
    writes = ", ".join([*([] if settings.mode == "plan" else [PROJECT]), HOME, TEMPORARY, DATA])
    network = ["session loopback", *(settings.hosts if settings.mode == "project+net" else [])]
    network += [] if settings.prepare_network == "off" else [f"prepare: {PREPARE_REACHES[settings.prepare_network]}"]
    return (
        f"sandbox: bubblewrap, {settings.mode} | writes: {writes} | network: {', '.join(network)}"
        f" | secrets: hidden | limits: {limits}"
    )
