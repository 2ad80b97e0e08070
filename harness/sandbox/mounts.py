"""The positive list of what exists inside the sandbox, as bubblewrap's arguments.

Only what is named here is there: the root is empty otherwise. Apart from `bubblewrap` because this list is what
people extend, and the order of its lines is what matters in it: later mounts cover earlier ones.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

from harness.sandbox.policy import ACCOUNTS, HOME, OUTPUTS, PROJECT, TEMPORARY, Policy

SYSTEM_LINKS = ("bin", "sbin", "lib", "lib32", "lib64", "libx32")
ETC = (
    *("alternatives", "ca-certificates", "ca-certificates.conf", "chromium", "chromium.d", "crypto-policies"),
    *("debian_version", "fonts", "gai.conf", "host.conf", "hosts", "java", "ld.so.cache", "ld.so.conf"),
    *("ld.so.conf.d", "localtime", "machine-id", "magic", "mime.types", "nodejs", "npmrc", "nsswitch.conf"),
    *("os-release", "perl", "php", "pip.conf", "pki", "protocols", "python3", "ruby", "services", "ssl"),
    *("terminfo", "timezone", "xdg"),
)
PROGRAMS = "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"
CLIENT_CONFIG = (".config/pip/pip.conf", ".pip/pip.conf", ".config/uv/uv.toml")
"""Where the person's own package clients are told their registries; shown to `prepare` with network only."""
CERTIFICATES = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "NODE_EXTRA_CA_CERTS", "PIP_CERT")


def program(name: str) -> str:
    """The system's own copy: profiles of the distribution allow namespaces to that one only."""
    return shutil.which(name, path=PROGRAMS) or name


def system(policy: Policy) -> Iterator[str]:
    """Programs, libraries, the harmless part of /etc, processes, devices."""
    yield from ("--ro-bind", "/usr", "/usr", "--ro-bind-try", "/opt", "/opt")
    for name in SYSTEM_LINKS:
        path = Path("/", name)
        if path.is_symlink():
            yield from ("--symlink", str(path.readlink()), str(path))
        elif path.is_dir():
            yield from ("--ro-bind", str(path), str(path))
    for name in ETC:
        yield from ("--ro-bind-try", f"/etc/{name}", f"/etc/{name}")
    # /proc/sys by name: as root inside a container, core_pattern stays writable without it
    yield from ("--proc", "/proc", "--ro-bind", "/proc/sys", "/proc/sys")
    yield from ("--ro-bind-try", "/proc/sysrq-trigger", "/proc/sysrq-trigger")
    yield from ("--dev", "/dev", "--size", str(policy.limits.shared_memory_bytes), "--tmpfs", "/dev/shm")
    yield from ("--dir", "/run", "--dir", "/var", "--symlink", TEMPORARY, "/var/tmp")


def toolchains(paths: Sequence[Path]) -> Iterator[str]:
    """More that can be read, at its own path."""
    for path in paths:
        yield from ("--ro-bind", str(path), str(path))


def project(policy: Policy, *, writable: bool) -> Iterator[str]:
    """The worktree, home, data and outputs; then the protected names over them."""
    for inside, root in policy.roots().items():
        yield from ("--bind" if writable or inside != PROJECT else "--ro-bind", str(root), inside)
    for name in ACCOUNTS:
        yield from ("--ro-bind", str(policy.scratch / name), f"/etc/{name}")
    if policy.outputs_dir:
        yield from ("--ro-bind", str(policy.outputs_dir), OUTPUTS)
    for parent in _parents(policy.protected) if writable else ():  # a mount point cannot be renamed away
        yield from ("--bind", str(policy.worktree / parent), f"{PROJECT}/{parent}")
    for name in policy.protected:
        yield from ("--ro-bind", str(policy.worktree / name), f"{PROJECT}/{name}")
    if policy.git_dir:
        yield from ("--ro-bind", str(policy.git_dir), str(policy.git_dir))
        # addresses of remotes may carry passwords
        yield from ("--ro-bind", str(policy.empty_file), str(policy.git_dir / "config"))


def _parents(names: Sequence[str]) -> list[str]:
    return sorted({str(parent) for name in names for parent in Path(name).parents} - {"."})


def client_config(*, names_are_resolved: bool) -> Iterator[str]:
    """For `prepare` with network: where the person's own package clients find registries.

    Args:
        names_are_resolved: inside, and not by a proxy.
    """
    if names_are_resolved:
        yield from ("--ro-bind-try", str(Path("/etc/resolv.conf").resolve()), "/etc/resolv.conf")
    for name in CLIENT_CONFIG:
        yield from ("--ro-bind-try", str(Path.home() / name), f"{HOME}/{name}")
    for variable in CERTIFICATES:
        if path := os.environ.get(variable):
            yield from ("--ro-bind-try", path, path)
