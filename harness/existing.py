"""How a project that is there already is begun: what is proposed for it, which of its files stay, what a model is told.

A start that its own files speak for is written down by code and tried at once; only where nothing speaks, or the trial
fails, a session adapts it. An `init.sh` or a `harness.toml` that is there is never written: beside the first the start
gets another name, which the second has to tell, so where both are there a person decides.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from harness.errors import RepoError, SetupError
from harness.events import Noticed
from harness.ledger import SETTINGS
from harness.project import write_atomic
from harness.prompts import fence
from harness.verify.app import AppNotStarted
from harness.verify.suite import first_run, listed
from harness.worktree import remove_tree

if TYPE_CHECKING:
    from harness.manifests import Start
    from harness.parts import Parts
    from harness.survey import Survey
    from harness.worktree import Worktree

INIT = "init.sh"
OTHER_NAMES = ("app.sh", "harness-app.sh")
"""Of the script where the project has an `init.sh` that does something else."""


class Existing:
    """What is proposed for one project.

    Args:
        parts: of the run.
        survey: what was found in it.
    """

    def __init__(self, parts: Parts, survey: Survey) -> None:
        self._given, self.survey = parts, survey

    @property
    def start(self) -> Start | None:
        """How its own files say that it is started, or called."""
        return self.survey.program if self._is_program else self.survey.start

    @property
    def _is_program(self) -> bool:
        return self._given.settings.app.kind == "program"

    @property
    def _phase(self) -> str:
        return "help" if self._is_program else "serve"

    @property
    def keeps_init(self) -> bool:
        """Whether its own `init.sh` is to be tried as it is."""
        return INIT in self.survey.taken

    @property
    def other_name(self) -> str:
        """Of a script beside its own `init.sh`."""
        return next(name for name in OTHER_NAMES if name not in self.survey.taken)

    def script(self, attempt: int) -> str:
        """The script that is tried now.

        Args:
            attempt: starts that failed.
        """
        return self.other_name if self.keeps_init and attempt else INIT

    def parts(self, attempt: int) -> Parts:
        """The run's parts, with what is proposed in their settings."""
        settings, suite = self._given.settings, self.survey.suite
        if SETTINGS in self.survey.taken:
            return self._given
        app, gate = settings.app, settings.gate
        if (name := self.script(attempt)) != INIT:
            app = app.model_copy(update={"prepare": f"./{name} prepare", self._phase: f"./{name} {self._phase}"})
        if suite and not gate.tests:
            gate = gate.model_copy(update={"tests": suite.command})
        return replace(self._given, settings=settings.model_copy(update={"app": app, "gate": gate}))

    def settings_text(self, attempt: int) -> str:
        """`harness.toml` as proposed; empty where there is nothing to say, or one is there."""
        if SETTINGS in self.survey.taken:
            return ""
        parts, name = self.parts(attempt), self.script(attempt)
        called = _toml(getattr(parts.settings.app, self._phase))
        app = f"[app]\nprepare = {_toml(parts.settings.app.prepare)}\n{self._phase} = {called}\n"
        gate = f"[gate]\ntests = {_toml(parts.settings.gate.tests)}\n" if self.survey.suite else ""
        said = "\n".join(part for part in (app if name != INIT else "", gate) if part)
        return f"# Proposed by `harness init` from what the project has; yours to change.\n\n{said}" if said else ""

    async def write_start(self, tree: Worktree) -> bool:
        """Write the proposed start where none is there; returns whether there is one to try."""
        path = tree.directory / INIT
        if self.keeps_init or INIT not in getattr(self._given.settings.app, self._phase):
            return True
        if self.start:
            remove_tree(path)
            write_atomic(path, self.start.script())
            path.chmod(0o755)
        return self.start is not None

    async def leave_theirs(self, tree: Worktree) -> None:
        """Undo what a session did to their own `init.sh`."""
        if await tree.restore(INIT):
            self._say(f"A session changed {INIT}, which is yours; it is as it was.")

    def refuse(self, reason: str, attempt: int, protocol: str) -> None:
        """Stop where no session can help.

        Raises: SetupError: packages are to be installed from nowhere, or only a person may change what is wrong.
        """
        network = self._given.settings.sandbox.prepare_network
        if self.start and self.start.installs and network == "off":
            raise SetupError(
                f"The project needs packages, and `prepare` may reach no registry: {reason.partition(chr(10))[0]}",
                "Run the same command again with --prepare-network registries, or set it in your own config.toml.",
            )
        if self.keeps_init and not attempt and SETTINGS in self.survey.taken:
            raise SetupError(
                f"{INIT} does not start the application as Harness does: {reason}",
                f"{INIT} and {SETTINGS} are yours and stay as they are. A start has to do this: {protocol}\n"
                "Commit that and run the same command again.",
            )

    def told(self) -> Iterator[str]:
        """What is proposed, for the person who sees the list."""
        start, suite = self.start, self.survey.suite
        yield from self.survey.problems
        if self.keeps_init:
            yield f"Start: {INIT} is there and stays as it is."
        elif start:
            yield f"Start, proposed: {INIT} with `{start.serve[-1]}`, because of {start.because}."
        if suite is None:
            yield "Tests: no way to run any was found, so the gate has none."
            return
        known = "what fails already stops nothing" if suite.names_tests else "only their exit code counts"
        yield f"Tests, proposed as part of the gate: `{suite.command}`, because of {suite.because}; {known}."
        if SETTINGS in self.survey.taken and not self._given.settings.gate.tests:
            line = f"[gate] tests = {_toml(suite.command)}"
            yield f"{SETTINGS} is yours and stays as it is; to have that, add to it: {line}"

    def message(self, reason: str, attempt: int) -> str:
        """What the session is told that adapts the start."""
        name, start = self.script(attempt), self.start
        parts = [f"This is what is there:\n\n{self.survey.words()}"]
        if name != INIT:
            parts.append(f"Its own {INIT} does something else and stays as it is: write `{name}` in its place.")
        if reason:
            parts.append(f"The harness tried to start it, and it does not.\n\n{fence(reason, 'the harness')}")
        if reason and start and not self.keeps_init:
            parts.append(f"It tried this, which is gone again:\n\n{fence(start.script(), 'the harness')}")
        return "\n\n".join([*parts, f"Write `{name}`, see it work, and call finish."])

    async def try_tests(self, tree: Worktree, attempt: int) -> None:
        """Run its tests before anything is built, so that what fails already is known. Replay: outcomes are kept."""
        parts = self.parts(attempt)
        if not parts.settings.gate.tests:
            return
        try:
            found = await first_run(parts, tree)
        except (AppNotStarted, RepoError) as exc:
            self._say(f"The tests could not be run: {str(exc).partition(chr(10))[0]}", "warning")
            return
        if found.exit_code == 0 and not found.failed:
            self._say(f"Before anything is built {found}.")
            return
        named = f": {listed(found.failed)}" if found.failed else ""
        self._say(f"Before anything is built {found}; what fails already stops nothing{named}.", "warning")
        if not found.tests:
            self._say(f"They end so:\n{found.output[-600:].strip()}", "warning")

    def _say(self, text: str, level: str = "info") -> None:
        self._given.events.emit(Noticed.model_validate({"text": text, "level": level}))


def _toml(text: str) -> str:
    """A basic string of TOML, which JSON's is, but for one character."""
    return json.dumps(text).replace("\x7f", "\\u007f")
