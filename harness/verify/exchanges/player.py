"""Plays exchanges: asks, remembers, and judges the last answer.

Answers are waited for, conditions are not: what was answered cannot change any more. Only a request that says `until`
is asked again while what is expected of it does not hold.
"""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode, urlsplit

from pydantic import JsonValue

from harness.browser.failed import ActFailed
from harness.verify.app import AppNotStarted
from harness.verify.exchanges import words
from harness.verify.exchanges.answer import Answer, NoJson, as_text
from harness.verify.exchanges.files import gather, lay_down
from harness.verify.exchanges.goldens import Goldens
from harness.verify.exchanges.items import (
    ITEMS,
    ExchangeAct,
    Expected,
    Remember,
    Request,
    RestartService,
    Run,
    mapped,
)
from harness.verify.exchanges.judge import Scene, judge, seen_of
from harness.verify.judge import Judgement
from harness.verify.playing import Group, ItemResult, Playing, Resolve, first_failed
from harness.verify.program import Program
from harness.verify.words import telling

if TYPE_CHECKING:
    from harness.settings import VerifySettings
    from harness.verify.check import Contract
    from harness.verify.pages import Site

POLL_SECONDS = 0.2
_NAME = re.compile(r"\{([a-z][a-z0-9_]*)\}")
_IN_PATH = "/?&=:%+,;@!$'()*~-._"
"""Left as they stand in a path; all else is data and is escaped."""


@dataclass
class Exchanger(Playing):
    """Plays on one site."""

    site: Site
    settings: VerifySettings
    goldens: Goldens = field(default_factory=Goldens)
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
    drafts: dict[str, str] = field(default_factory=dict)
    """Golden outputs this play took."""
    _asked: dict[int, str] = field(default_factory=dict)
    """What each act asked, in words, with what was remembered in its place."""
    _again: Request | None = None

    async def begin(self) -> None:
        """Empty data, no cookies, nothing answered, nothing remembered."""
        for each in (self.kept, self.scenes, self.drafts, self._asked):
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
        self.goldens.take(feature_id, self.drafts)

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
        self.answer, self._again = None, act if isinstance(act, Request) and act.until else None
        if isinstance(act, RestartService):
            await self.site.instance.restart()
            return ""
        self._asked[index] = words.asked(self._filled(act))
        if index in self.instead:
            self.answer = self.instead[index]
        else:
            self.answer = await (self._request(act) if isinstance(act, Request) else self._run(act))
        return words.answered(self.answer)

    async def _request(self, act: Request) -> Answer:
        if self.site.client is None:
            raise ActFailed("there is no service that could be asked; a program is run")
        act = self._filled(act)
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
        act = self._filled(act)
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

    # --- what was remembered ---

    def _filled(self, act: Any) -> Any:
        """An act with what was remembered in the place of its names."""
        if isinstance(act, Run):
            texts = {name: self._in_text(text) for name, text in act.files.items()}
            command = tuple(map(self._in_text, act.command))
            env = {name: self._in_text(text) for name, text in act.env.items()}
            more = {"command": command, "env": env, "files": texts, "stdin": self._in_text(act.stdin)}
            return act.model_copy(update=more)
        form = None if act.form is None else {name: self._in_text(text) for name, text in act.form.items()}
        return act.model_copy(
            update={
                "path": self._in_path(act.path),
                "headers": {name: self._in_text(text) for name, text in act.headers.items()},
                "body": mapped(act.body, self._in_json),
                "form": form,
                "text": None if act.text is None else self._in_text(act.text),
            }
        )

    def _value(self, name: str) -> JsonValue:
        if name == "project" and isinstance(self.site.instance, Program):
            return self.site.instance.project
        return self.kept.get(name)

    def _in_text(self, text: str) -> str:
        """Names that nothing was remembered under are texts in braces."""
        return _NAME.sub(lambda m: m[0] if (kept := self._value(m[1])) is None else as_text(kept), text)

    def _in_json(self, text: str) -> JsonValue:
        """A text that is one name becomes what was remembered, of its own type."""
        whole = _NAME.fullmatch(text)
        kept = self._value(whole[1]) if whole else None
        return self._in_text(text) if kept is None else kept

    def _in_path(self, path: str) -> str:
        """A whole address must be of this service; a part is escaped, so that it stays one part.

        Raises: ActFailed: it leads elsewhere.
        """
        whole = _NAME.fullmatch(path)
        if whole and (kept := self._value(whole[1])) is not None:
            return self._own_address(as_text(kept))
        filled = _NAME.sub(
            lambda m: m[0] if (kept := self._value(m[1])) is None else quote(as_text(kept), safe=""), path
        )
        return quote(filled, safe=_IN_PATH)

    def _own_address(self, address: str) -> str:
        parts, own = urlsplit(address), urlsplit(self.site.instance.base_url)
        if parts.netloc and parts.netloc != own.netloc:
            raise ActFailed(f"{address[:200]!r} is no address of this service")
        if not parts.path.startswith("/"):
            raise ActFailed(f"{address[:200]!r} is no address that begins with /")
        return quote(parts.path + (f"?{parts.query}" if parts.query else ""), safe=_IN_PATH)

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
        expected = self.with_kept(expected)
        golden = self._golden(expected, feature_id) if expected.expect == "golden" else None
        self.scenes[index] = Scene(self.answer, dict(self.kept), golden)
        return judge(expected, self.scenes[index])

    def with_kept(self, expected: Expected) -> Expected:
        """An expectation with what was remembered in the place of its names."""
        if expected.expect in ("unchanged", "changed", "golden"):
            return expected
        texts = {"value": mapped(expected.value, self._in_json)}
        texts["values"] = tuple(mapped(each, self._in_json) for each in expected.values)
        return expected.model_copy(update=texts)

    def _golden(self, expected: Expected, feature_id: str) -> str | None:
        """What is kept; what is new is taken where a check is proved, and counts when it is the same again."""
        name = expected.text
        kept = self.goldens.get(feature_id, name)
        if kept is None and self.takes and self.answer:
            seen = self.answer.files.get(expected.name) if expected.name else self.answer.text
            if seen is not None:
                kept = self.drafts.setdefault(name, seen)
        return kept

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
