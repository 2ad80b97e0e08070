"""The binder: says how the things a contract names are found on the page that is there now.

The binder is a model in a context of its own. It sees the contract in words, the names, and the accessible snapshot
of a page, quoted as data; it never sees code, a coder's words, or whether an expectation holds. What it answers is
only ever a locator: a page that talks it into something gets a wrong element bound, not a verdict.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, Field

from harness.features import Feature
from harness.prompts import fence, load_prompt
from harness.verify import words
from harness.verify.check import Contract, Locator

if TYPE_CHECKING:
    from langchain_core.messages import BaseMessage

    from harness.model import Model

BINDER_ATTEMPTS = 3


class Found(BaseModel):
    """Submit a locator for each name that can be bound now, and the names that are not on the page."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    found: dict[str, Locator] = Field(default_factory=dict)
    """Name -> how its element is found."""
    absent: tuple[str, ...] = ()
    """Names that are not on this page now."""


@dataclass(frozen=True)
class Moment:
    """What is asked at one moment of the check."""

    when: str
    """`before item 4`."""
    needed: Mapping[str, str]
    """Names needed now -> what was wrong with the last locator; empty when there was none."""
    others: Sequence[str]
    """Names that are not bound either."""
    page: str
    """Accessible snapshot."""


@dataclass
class Binder:
    """One conversation about one contract."""

    model: Model
    contract: Contract
    feature: Feature
    conversation: str
    _said: list[BaseMessage] = field(default_factory=list)

    @property
    def calls(self) -> int:
        """Model calls so far."""
        return sum(message.type == "ai" for message in self._said)

    async def ask(self, moment: Moment) -> dict[str, Locator]:
        """Ask once; names that are not there are missing in the answer.

        Raises: ModelError: no answer of the wanted form in three attempts.
        """
        from langchain_core.messages import HumanMessage, SystemMessage

        if not self._said:
            self._said = [SystemMessage(load_prompt("binder")), HumanMessage(f"{self._task()}\n\n{_ask(moment)}")]
        else:
            self._said = [*self._said, HumanMessage(_ask(moment))]
        answer, self._said = await self.model.ask(
            "verifier", self.conversation, self._said, Found, attempts=BINDER_ATTEMPTS, check=_checker(moment)
        )
        return {name: answer.found[name] for name in (*moment.needed, *moment.others) if name in answer.found}

    def _task(self) -> str:
        names = "\n".join(f"{name}: {what}" for name, what in self.contract.targets.items())
        check = words.show(self.contract, self.feature.steps)
        return f"Bind the names of this check.\n\n{fence(check, 'the check')}\n\n{fence(names, 'its names')}"


def _ask(moment: Moment) -> str:
    needed = "\n".join(f"{name}{f': {why}' if why else ''}" for name, why in moment.needed.items())
    parts = [f"The check stands {moment.when}. Needed now:", fence(needed, "names")]
    if moment.others:
        parts += [
            "Bind these too if you see them, or can tell how they will be found:",
            fence("\n".join(moment.others), "names"),
        ]
    return "\n\n".join([*parts, "The page now:", fence(moment.page, "the page")])


def _checker(moment: Moment) -> Callable[[Found], list[str]]:
    """Names that were not asked for are passed over; a misspelt one leaves the needed name unanswered."""

    def problems(answer: Found) -> list[str]:
        silent = [name for name in moment.needed if name not in answer.found and name not in answer.absent]
        given = [name for name in answer.found if name not in moment.needed and name not in moment.others]
        hint = f" You gave {', '.join(map(repr, given))}; use the names exactly as asked." if given else ""
        return [f"{name!r} is needed now: give its locator in found, or name it in absent.{hint}" for name in silent]

    return problems
