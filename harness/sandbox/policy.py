"""What code of the project may see, write and use.

The policy is fixed when a session starts, from outside the work tree; nothing the model or the repository writes can
widen it. It says *what*; `bubblewrap` says how it is enforced, `processes` holds what runs under it. Inside, the
worktree, the home, the data and kept outputs always lie at the same paths, so that virtual environments and caches
move between worktrees. With mode `off` nothing is mounted and all paths are the host's own.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from harness.settings import SandboxMode

PROJECT = "/project"
HOME = "/home/agent"
DATA = "/data"
OUTPUTS = "/outputs"
TEMPORARY = "/tmp"

PROTECTED = (".git", "features.json", "checks", "progress.json", "spec.md", "harness.toml")
"""Read-only for code of the project, also while they do not exist; relative to the project."""
WRITTEN_BY_HARNESS = frozenset({"features.json", "progress.json", "spec.md"})
"""Protected files that the harness renames into place: their stand-in while absent must be a file."""

PASSED_ON = ("LANG", "LC_ALL", "TZ")
"""All that is taken over from the environment of the harness: no key, token or agent socket."""
PASSED_ON_WITH_NETWORK = (
    *("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_TRUSTED_HOST", "PIP_CERT", "UV_DEFAULT_INDEX", "UV_INDEX_URL"),
    *("NPM_CONFIG_REGISTRY", "npm_config_registry", "GOPROXY", "GOSUMDB"),
    *("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy"),
    *("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "NODE_EXTRA_CA_CERTS"),
)
"""Where the person's own clients find their registries; only for `prepare`, when it may use the network."""


ACCOUNTS = {
    "passwd": f"root:x:0:0::/:/bin/sh\nagent:x:1000:1000::{HOME}:/bin/bash\nnobody:x:65534:65534::/:/bin/false\n",
    "group": "root:x:0:\nagent:x:1000:\nnogroup:x:65534:\n",
}
"""Files of /etc that name who code of the project runs as, whoever the person is; initdb and others ask for it."""


@dataclass(frozen=True)
class Limits:
    """Bounds that no setting moves; time, memory and kept output are settings."""

    processes: int = 512
    """Per command; the kernel ignores it for root."""
    open_files: int = 4096
    file_bytes: int = 1 << 30
    """Size of one file written."""
    process_bytes: int = 4 << 30
    """Data of one process; the tree has `memory_mb`."""
    stored_bytes: int = 50_000_000
    """Output after which a command is ended."""
    shared_memory_bytes: int = 1 << 30


def toolchains() -> tuple[Path, ...]:
    """The Python that runs us and the one it was made from, where they lie outside `/usr`."""
    found = {Path(prefix).resolve() for prefix in (sys.base_prefix, sys.prefix)}
    return tuple(sorted(path for path in found if not path.is_relative_to("/usr")))


@dataclass(frozen=True)
class Policy:
    """The boundary of one session."""

    worktree: Path
    """Mounted writable at /project."""
    scratch: Path
    """Home and temporary files of the project's code: /home/agent and /tmp."""
    data_dir: Path
    """Mounted at /data; `HARNESS_DATA_DIR`, unless a process is given a directory below it."""
    mode: SandboxMode = "project"
    outputs_dir: Path | None = None
    """Whole outputs kept by the harness, read-only at /outputs."""
    git_dir: Path | None = None
    """The repository a linked worktree belongs to, read-only at its own path; None: git does not work inside."""
    subdir: str = ""
    """Where in the worktree the project lies, when it is not its root."""
    protected: tuple[str, ...] = PROTECTED
    """Relative to the worktree; see `protected_in` for a project in a subdirectory."""
    read_only: tuple[Path, ...] = field(default_factory=toolchains)
    """More host paths that can be read, at their own paths."""
    limits: Limits = Limits()

    @property
    def is_sandboxed(self) -> bool:
        """False only where the person switched the sandbox off."""
        return self.mode != "off"

    def roots(self) -> dict[str, Path]:
        """Paths inside and the host directories they show, writable ones only."""
        return {
            PROJECT: self.worktree,
            HOME: self.scratch / "home",
            TEMPORARY: self.scratch / "tmp",
            DATA: self.data_dir,
        }

    def inside(self, path: Path) -> str:
        """The name a host path has for code of the project."""
        if not self.is_sandboxed:
            return str(path)
        shown = {**self.roots(), **({OUTPUTS: self.outputs_dir} if self.outputs_dir else {})}
        for name, root in shown.items():
            if path.is_relative_to(root):
                return str(Path(name, path.relative_to(root)))
        return str(path)

    @property
    def empty_file(self) -> Path:
        """Mounted over what must not be read; beside the home, where code of the project cannot write."""
        return self.scratch / "empty"

    @property
    def working_dir(self) -> Path:
        """Where commands start, on the host."""
        return self.worktree / self.subdir

    def search_path(self) -> str:
        """PATH of the project's code; the harness's own virtual environment is not on it, lest it be relied on."""
        own = Path(sys.prefix).resolve()
        tools = [str(root / "bin") for root in self.read_only if root != own and (root / "bin").is_dir()]
        home = self.inside(self.roots()[HOME] / ".local" / "bin")
        return ":".join([home, *tools, "/usr/local/bin", "/usr/bin", "/bin"])

    def environment(self, extra: Mapping[str, str] | None = None, *, network: bool = False) -> dict[str, str]:
        """All variables a process of the project gets; what is not named here it does not get."""
        names = PASSED_ON + (PASSED_ON_WITH_NETWORK if network else ())
        passed = {name: os.environ[name] for name in names if name in os.environ}
        return {"LANG": "C.UTF-8", **passed, **self._fixed(), **(extra or {})}

    def _fixed(self) -> dict[str, str]:
        return {
            "PATH": self.search_path(),
            "HOME": self.inside(self.roots()[HOME]),
            "TMPDIR": self.inside(self.roots()[TEMPORARY]),
            "HARNESS_DATA_DIR": self.inside(self.data_dir),
            "TERM": "dumb",
            "CI": "1",
            "PAGER": "cat",
            "PYTHONUNBUFFERED": "1",
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_OPTIONAL_LOCKS": "0",
            "GIT_CONFIG_GLOBAL": "/dev/null",
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_COUNT": "1",  # files of another owner are shown as nobody's, which git distrusts
            "GIT_CONFIG_KEY_0": "safe.directory",
            "GIT_CONFIG_VALUE_0": "*",
        }


def protected_in(subdir: str) -> tuple[str, ...]:
    """The protected names of a project that lies in a subdirectory of its repository."""
    if not subdir:
        return PROTECTED
    return (".git", *(str(Path(subdir, name)) for name in PROTECTED))
