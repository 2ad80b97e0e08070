"""A program or a library in the place of a running application: it is prepared once, and run whenever a check says so.

Nothing of one play is there in the next: home, temporary files, data and the working directory are made anew, and the
project's own tree can only be read.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from harness.sandbox.policy import HOME
from harness.verify.app import AppNotStarted, Instance, ended
from harness.verify.prepared import restore
from harness.worktree import remove_tree

if TYPE_CHECKING:
    from harness.sandbox.policy import Policy
    from harness.sandbox.processes import CommandResult, Room
    from harness.settings import AppSettings

RUN_SECONDS = 30.0
"""How long one command of a check may take."""
PROGRAMS = ("bin", "", ".venv/bin", "node_modules/.bin")
"""Where in the project programs are looked for, before those of the system."""


class Program(Instance):
    """What `run` acts run; made by `serve`."""

    base_url = ""

    def __init__(self, room: Room, policy: Policy, app: AppSettings, ports: Sequence[int], seed: Path) -> None:
        scratch = policy.data_dir.with_name(f"{policy.data_dir.name}.scratch")
        super().__init__(room, replace(policy, scratch=scratch), app, ports, seed)
        self._answered = False
        self._last = ""
        self.is_other = False
        """Whether the working directory is to have another name than usual."""

    @property
    def work_dir(self) -> Path:
        """Where commands are run, on the host."""
        return self._policy.roots()[HOME] / ("desk" if self.is_other else "work")

    @property
    def project(self) -> str:
        """Where the project is, for what runs."""
        return self._policy.inside(self._policy.working_dir)

    async def run(self, command: Sequence[str], stdin: str, env: Mapping[str, str]) -> CommandResult:
        """Run a command in the working directory.

        Raises: ShellError: the sandbox failed, not the command.
        """
        result = await self._room.run(
            ["env", "--", *command],  # finds it by the PATH that is given here
            timeout_seconds=RUN_SECONDS,
            env={**self._env, **env},
            cwd=self._policy.inside(self.work_dir),
            policy=self._policy,
            stdin=stdin.encode(errors="surrogatepass"),
            apart=True,
            project_writable=False,
        )
        self._last = f"{result.output}{result.errors}"
        return result

    async def reset(self) -> None:
        """Home, temporary files, data and working directory are as after `prepare`."""
        await super().reset()
        self.work_dir.mkdir(parents=True, exist_ok=True)

    def log_tail(self, characters: int = 0) -> str:
        """Nothing runs on whose output could be told."""
        return ""

    @property
    def _env(self) -> dict[str, str]:
        project = self.project
        found = [str(Path(project, name)) for name in PROGRAMS]
        return {
            **super()._env,
            "PATH": ":".join([*found, self._policy.search_path()]),
            "PYTHONPATH": f"{project}:{project}/src",
            "PYTHONDONTWRITEBYTECODE": "1",
            "NODE_PATH": f"{project}/node_modules:{project}",
        }

    async def _start(self) -> None:
        """Empty what is left of the play before; the first time, see that the program answers."""
        remove_tree(self._policy.scratch)
        self.work_dir.mkdir(parents=True, exist_ok=True)
        if self._answered or not self._app.help:
            return
        result = await self._room.run(
            self._app.help, env=self._env, policy=self._policy, timeout_seconds=self._app.start_seconds
        )
        if result.exit_code:
            raise AppNotStarted(f"`{self._app.help}` {ended(result)}.", result.output)
        if not result.output.strip():
            raise AppNotStarted(f"`{self._app.help}` ended well and told nothing; it prints how the program is used.")
        self._answered = True
        remove_tree(self._policy.scratch)
        restore(self.data_dir, self._seed)
        self.work_dir.mkdir(parents=True, exist_ok=True)
