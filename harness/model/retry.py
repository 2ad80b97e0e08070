"""Trying again after faults that may pass: bounded, jittered, and never longer than a run should wait."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from harness.model.faults import ModelPaused, PassingFault

R = TypeVar("R")
LONGEST_BACKOFF = 60.0


@dataclass(frozen=True)
class Patience:
    """How often and how long."""

    retries: int
    longest_wait: float
    """Seconds; an endpoint that asks for more is a safe stop."""
    backoff: float
    """Seconds before the second try; it doubles."""
    tell: Callable[[str], None]
    """Hears about every wait."""

    async def run(self, once: Callable[[], Awaitable[R]]) -> R:
        """Call until it answers.

        Raises: ModelPaused: it did not, or asked for a longer wait; whatever else `once` raises, at once.
        """
        from tenacity import AsyncRetrying, retry_if_exception, stop_after_attempt

        retrying = AsyncRetrying(
            retry=retry_if_exception(self._may_pass),
            stop=stop_after_attempt(self.retries + 1),
            wait=self._wait,
            before_sleep=self._tell,
            reraise=True,
        )
        try:
            async for attempt in retrying:
                with attempt:
                    answer = await once()
        except PassingFault as exc:
            raise self._give_up(exc) from exc.__cause__
        return answer

    def _may_pass(self, fault: BaseException) -> bool:
        return isinstance(fault, PassingFault) and (fault.retry_after or 0) <= self.longest_wait

    def _wait(self, state: Any) -> float:
        """Jittered, so that several processes do not come back at the same instant."""
        asked: float | None = state.outcome.exception().retry_after
        if asked is not None:
            return asked * (1 + random.random() / 10)
        longest: float = min(LONGEST_BACKOFF, self.backoff * 2 ** (state.attempt_number - 1))
        return longest * (0.5 + random.random() / 2)

    def _tell(self, state: Any) -> None:
        tries = f"{state.attempt_number} of {self.retries}"
        fault = state.outcome.exception()
        self.tell(f"{fault.what}; trying again in {state.next_action.sleep:.1f} s ({tries})")

    def _give_up(self, fault: PassingFault) -> ModelPaused:
        if fault.retry_after is not None and fault.retry_after > self.longest_wait:
            return ModelPaused.until(fault.what, fault.retry_after)
        remedy = fault.remedy or "Resume the thread when the endpoint answers again."
        return ModelPaused(f"{fault.what} (tried {self.retries + 1} times)", remedy)
