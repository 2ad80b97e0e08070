"""A model that is not there, for commands that may not need one."""

from __future__ import annotations

from typing import Any, NoReturn

from harness.errors import SetupError
from harness.model.client import Model


class MissingModel(Model):
    """Stands in a model's place; whoever asks it is told what is missing."""

    def __init__(self, missing: SetupError) -> None:
        self._missing = missing

    @property
    def missing(self) -> SetupError:
        """What has to be set."""
        return self._missing

    def start(self) -> None:
        """There is nothing to import."""

    def redact(self, text: str) -> str:
        """There is no key and no address to take out."""
        return text

    async def call(self, *_: Any, **__: Any) -> NoReturn:
        """Raises: SetupError: what is missing; the person sets it."""
        raise self._missing

    async def ask(self, *_: Any, **__: Any) -> NoReturn:
        """Raises: SetupError: as `call`."""
        raise self._missing

    async def aclose(self) -> None:
        """There is nothing to close."""
