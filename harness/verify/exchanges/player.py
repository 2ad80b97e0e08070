"""Plays exchanges: asks, remembers, and judges the last answer.

Answers are waited for, conditions are not: what was answered cannot change any more. Only a request that says `until`
is asked again while what is expected of it does not hold.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from pydantic import JsonValue

from harness.browser.failed import ActFailed
from harness.verify.app import AppNotStarted
from harness.verify.exchanges import words
from harness.verify.exchanges.answer import Answer, NoJson, as_text
from harness.verify.exchanges.files import gather, lay_down
from harness.verify.exchanges.filling import Filling
from harness.verify.exchanges.items import (
    ITEMS,
    ExchangeAct,
    Expected,
    Remember,
    Request,
    RestartService,
    Run,
)
from harness.verify.exchanges.judge import Scene, judge, seen_of
from harness.verify.judge import Judgement
from harness.verify.kept import Kept
from harness.verify.playing import Group, ItemResult, Playing, Resolve, first_failed
from harness.verify.program import Program
from harness.verify.words import telling

if TYPE_CHECKING:
    from harness.settings import VerifySettings
    from harness.verify.check import Contract
    from harness.verify.pages import Site

POLL_SECONDS = 0.2
WORD_BYTES = 100_000
"""Of one word of a command; a system takes little more."""


@dataclass
class Exchanger(Playing):
    """Plays on one site."""

    site: Site
    settings: VerifySettings
    goldens: Kept = field(default_factory=Kept)
    takes: bool = False
    """Whether a golden output that was never kept is kept now: only where a check is proved."""
    instead: Mapping[int, Answer] = field(default_factory=dict)
    """Acts that are not done, and what is answered in their place."""
    forgets_before: int | None = None
    """An act before which all data is lost; None: nothing is."""
    kept: dict[str, JsonValue] = field(default_factory=dict)
    answer: Answer | None = None
    """The last."""
    scenes: dict[int, Scene] = field(default_factory=dict)
    """What each expectation was judged by."""
    wanted: dict[int, Expected] = field(default_factory=dict)
    """Each expectation as it was judged, with what was remembered in the place of its names."""
    drafts: dict[str, str] = field(default_factory=dict)
    """Golden outputs this play took."""
    _asked: dict[int, str] = field(default_factory=dict)
    """What each act asked, in words, with what was remembered in its place."""
    _again: Request | None = None

    async def begin(self) -> None:
        """Empty data, no cookies, nothing answered, nothing remembered."""
        for each in (self.kept, self.scenes, self.wanted, self.drafts, self._asked):
            each.clear()
        self.answer, self._again = None, None
        await self.site.instance.reset()
        self.site.instance.touch()
        if self.site.client:
            await self.site.client.forget()

    def prepare(self, *, takes: bool, lingers: bool) -> None:
        """What the next play is for; an answer stays what it is however long one looks."""
        self.takes = takes

    def keep(self, feature_id: str) -> None:
        """Compare with the outputs it took."""
        self.goldens.take(feature_id, {name: text.encode(errors="replace") for name, text in self.drafts.items()})

    async def group(self, group: Group, contract: Contract, resolve: Resolve) -> list[ItemResult]:
        """Play one act, or one group of expectations."""
        index, item = group[0]
        if isinstance(item, ExchangeAct):
            return [await self._act(index, item)]
        expected = [(i, e) for i, e in group if isinstance(e, Expected)]
        return await self._expect(expected, contract.feature_id)

    # --- acts ---

    async def _act(self, index: int, act: ExchangeAct) -> ItemResult:
        started = time.monotonic()
        said = words.phrase(act)
        try:
            if index == self.forgets_before:
                await self._lose_data()
            seen = await self._do(index, act)
        except (ActFailed, AppNotStarted) as exc:
            return ItemResult(index, False, str(exc), said, str(exc), time.monotonic() - started)
        return ItemResult(index, True, seen, said, "", time.monotonic() - started)

    async def _do(self, index: int, act: ExchangeAct) -> str:
        """Do it; returns what was answered, for the evidence."""
        if isinstance(act, Remember):
            return self._remember(act)
        self.answer, self._again = None, None
        if isinstance(act, RestartService):
            await self.site.instance.restart()
            return ""
        act = self._filling.request(act) if isinstance(act, Request) else self._filling.run(act)
        self._again = act if isinstance(act, Request) and act.until else None
        self._asked[index] = words.asked(act)
        if index in self.instead:
            self.answer = self.instead[index]
        else:
            self.answer = await (self._request(act) if isinstance(act, Request) else self._run(act))
        return words.answered(self.answer)

    async def _request(self, act: Request) -> Answer:
        if self.site.client is None:
            raise ActFailed("there is no service that could be asked; a program is run")
        headers, body = dict(act.headers), None
        if act.body is not None:
            body, kind = json.dumps(act.body, ensure_ascii=False).encode(errors="surrogatepass"), "application/json"
        elif act.form is not None:
            body, kind = urlencode(act.form).encode(), "application/x-www-form-urlencoded"
        else:
            body, kind = (None if act.text is None else act.text.encode(errors="surrogatepass")), "text/plain"
        if body is not None and "content-type" not in {name.lower() for name in headers}:
            headers["Content-Type"] = kind
        return await self.site.client.ask(
            self.site.instance.base_url,
            act.method,
            act.path,
            {name: value.encode("utf-8").decode("latin-1") for name, value in headers.items()},
            body,
            user=act.user,
            seconds=self.settings.wait_seconds,
            parts=act.parts,
        )

    async def _run(self, act: Run) -> Answer:
        program = self.site.instance
        if not isinstance(program, Program):
            raise ActFailed("there is no program that could be run; a service is asked by requests")
        if why := _no_command([*act.command, *act.env.values()]):
            raise ActFailed(why)
        if not program.work_dir.is_dir():
            raise ActFailed("the working directory is gone: an earlier command removed it")
        try:
            lay_down(program.work_dir, act.files)
        except (OSError, ValueError) as exc:
            raise ActFailed(f"its files could not be laid down: {exc}") from exc
        done = await program.run(act.command, act.stdin, act.env)
        why = f"it did not end within {done.seconds:.0f} s" if done.timed_out else done.killed_for
        return Answer(
            text=done.output,
            errors=done.errors,
            exit_code=done.exit_code,
            ended=not done.timed_out,
            files=await asyncio.to_thread(gather, program.work_dir),
            why_ended=why,
        )

    def _remember(self, act: Remember) -> str:
        if self.answer is None:
            raise ActFailed("nothing was answered yet")
        try:
            self.kept[act.name] = seen_of(self.answer, act.at, act.header, act.file)
        except (LookupError, NoJson) as exc:
            raise ActFailed(str(exc.args[0])) from exc
        return as_text(self.kept[act.name])

    async def _lose_data(self) -> None:
        self.site.instance.touch()
        await self.site.instance.reset()
        self.site.instance.touch()

    @property
    def _filling(self) -> Filling:
        """What names stand for now; `{project}` is where a program's project is."""
        instance = self.site.instance
        own: dict[str, JsonValue] = {"project": instance.project} if isinstance(instance, Program) else {}
        return Filling({**self.kept, **own}, instance.base_url)

    # --- expectations ---

    async def _expect(self, group: Sequence[tuple[int, Expected]], feature_id: str) -> list[ItemResult]:
        started = time.monotonic()
        deadline = started + self.settings.wait_seconds
        while True:
            found = [self._judged(index, expected, feature_id) for index, expected in group]
            if all(each.holds for each in found) or self._again is None or time.monotonic() >= deadline:
                break
            await asyncio.sleep(POLL_SECONDS)
            try:
                self.answer = await self._request(self._again)
            except ActFailed:
                break  # what was answered last is what was seen
        seconds = time.monotonic() - started
        return [
            ItemResult(i, each.holds, each.seen, words.expected(e), "" if each.judged else each.seen, seconds)
            for (i, e), each in zip(group, found, strict=True)
        ]

    def _judged(self, index: int, expected: Expected, feature_id: str) -> Judgement:
        expected = self.wanted[index] = self._filling.expected(expected)
        golden = self._golden(expected, feature_id) if expected.expect == "golden" else None
        self.scenes[index] = Scene(self.answer, dict(self.kept), golden)
        return judge(expected, self.scenes[index])

    def _golden(self, expected: Expected, feature_id: str) -> str | None:
        """What is kept; what is new is taken where a check is proved, and counts when it is the same again."""
        name = expected.text
        if (kept := self.goldens.get(feature_id, name)) is not None:
            return kept.decode(errors="replace")
        if self.takes and self.answer:
            seen = self.answer.files.get(expected.name) if expected.name else self.answer.text
            if seen is not None:
                return self.drafts.setdefault(name, seen)
        return None

    # --- words ---

    async def explain(self, contract: Contract, results: Sequence[ItemResult], steps: Sequence[str] = ()) -> str:
        """The first failure with what was asked and answered before it."""
        failed = first_failed(results)
        if failed is None:
            return ""
        item = contract.items[failed.index]
        assert isinstance(item, ITEMS)  # this player is chosen for such contracts alone
        asked = [self._asked[i] for i in sorted(self._asked) if i <= failed.index]
        return words.failure(
            item,
            seen=failed.seen or failed.reason,
            steps=steps,
            asked=asked[-1] if asked else "",
            answer=self.answer,
            log=telling(self.site.instance.log_tail()),
        )


def _no_command(words: Sequence[str]) -> str:
    """Why no system runs this, whose words may have been remembered of an answer; empty when it can be run."""
    if any("\0" in word for word in words):
        return "a word of a command cannot hold the character NUL"
    if any(len(word.encode(errors="surrogatepass")) > WORD_BYTES for word in words):
        return f"a word of a command cannot be longer than {WORD_BYTES} bytes"
    return ""
