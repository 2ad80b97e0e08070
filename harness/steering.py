"""A person's word to the session in work: put down at any time, told at its next turn, once.

A word is a file in the project's state, written whole, one a word; it needs no lock. The session that tells it keeps
its id in the same checkpoint as the turn that heard it, and only then is the file taken away: a kill before that
checkpoint leaves the file and it is told again to a context that never had it, a kill after it finds the id and only
takes the file away. So a word is neither lost nor heard twice. Where nobody is at work it waits for the next session.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import AwareDatetime, BaseModel, ConfigDict, ValidationError

from harness.errors import SetupError
from harness.project import check_name, write_atomic
from harness.prompts import fence

if TYPE_CHECKING:
    from harness.project import Project

CHARACTERS = 10_000
"""Of one word: what does not fit belongs into the specification."""
_NEW, _HEARD = ".json", ".heard"
_SAYS = (
    "The person whose project this is says this to you while you work. It is their word and counts like the feature's "
    "text. The contract stays as it is: where it contradicts their word, call finish with a dispute.\n\n"
)


class Word(BaseModel):
    """What a person said."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    word_id: str
    at: AwareDatetime
    text: str


class Steering:
    """The words for one thread."""

    def __init__(self, project: Project, thread_id: str) -> None:
        self._directory = project.state_dir / "steering" / check_name(thread_id)

    def say(self, text: str) -> Word:
        """Put a word down.

        Raises: SetupError: it is empty or too long, or the state directory cannot be written.
        """
        plain = text.encode(errors="replace").decode().strip()
        if not plain:
            raise SetupError("There is nothing to tell.", 'Give a text: `harness steer THREAD "use the blue logo"`.')
        if len(plain) > CHARACTERS:
            remedy = "Put it into the specification or a file of the project, and name that."
            raise SetupError(f"That is {len(plain)} characters; a word has at most {CHARACTERS}.", remedy)
        now = datetime.now(UTC)
        word = Word(word_id=f"{now:%Y%m%dT%H%M%S%f}-{os.urandom(3).hex()}", at=now, text=plain)
        try:
            self._directory.mkdir(parents=True, exist_ok=True)
        except OSError as exc:
            raise SetupError(f"{self._directory} cannot be made: {exc.strerror}.", "Make room there.") from exc
        write_atomic(self._directory / f"{word.word_id}{_NEW}", word.model_dump_json() + "\n")
        return word

    def waiting(self) -> list[Word]:
        """What no checkpoint holds yet, oldest first. A file that is no word is left alone."""
        paths = sorted(p for p in self._directory.glob("[!.]*") if p.suffix in (_NEW, _HEARD))
        return [word for path in paths if (word := _read(path))]

    def hear(self, known: Collection[str], tell: Callable[[Word], object]) -> list[Word]:
        """What the session has not heard.

        Args:
            known: ids of the words its checkpoint holds.
            tell: told of each word before anything is done about it, for the record; once, but for a kill in between.
        """
        words = [word for word in self.waiting() if word.word_id not in known]
        for word in words:
            path = self._directory / f"{word.word_id}{_NEW}"
            if path.exists():
                tell(word)
                path.rename(path.with_suffix(_HEARD))
        return words

    def settle(self, known: Collection[str]) -> None:
        """Take away what a checkpoint holds. Replay: what is gone stays so."""
        for word_id in known:
            for suffix in (_NEW, _HEARD):
                (self._directory / f"{word_id}{suffix}").unlink(missing_ok=True)


def as_message(text: str) -> str:
    """A word as the model is told it: trusted, and still marked as what somebody said."""
    return _SAYS + fence(text, "the person")


def is_word(message: str) -> bool:
    """Whether a message of a conversation is one; it is sent whatever else is left out."""
    return message.startswith(_SAYS)


def _read(path: Path) -> Word | None:
    try:
        return Word.model_validate_json(path.read_bytes())
    except (OSError, ValidationError):
        return None
