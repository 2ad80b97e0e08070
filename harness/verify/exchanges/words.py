"""Exchanges and their failures in words: for the person who reads a check, and the coder who mends what failed."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from typing import Any

from harness.prompts import fence
from harness.verify.exchanges.answer import Answer
from harness.verify.exchanges.items import (
    ExchangeAct,
    ExchangeItem,
    Expected,
    Remember,
    Request,
    RestartService,
    Run,
)
from harness.verify.judge import quote

BODY_CHARACTERS = 1500
LOG_CHARACTERS = 1500
HEADERS = 12
IDLE = ("date", "server", "connection", "keep-alive")
"""Headers that tell nothing of the application, and differ from run to run."""
_MATCH = {"is": "to be", "exact": "to be exactly", "contains": "to contain", "matches": "to match"}


def phrase(item: ExchangeItem) -> str:
    """One item as a sentence without a full stop."""
    said = f"expect {expected(item)}" if isinstance(item, Expected) else _act(item)
    return f"{item.user}: {said}" if item.user else said[0].upper() + said[1:]


def _act(act: ExchangeAct) -> str:
    if isinstance(act, Request):
        until = ", again until what follows holds" if act.until else ""
        return f"request {asked(act)}{until}"
    if isinstance(act, Run):
        return f"run {asked(act)}"
    if isinstance(act, Remember):
        where = act.at or (act.header and f"the header {act.header}") or (act.file and f"the file {act.file}")
        return f"remember {where or 'all that was answered'} as {{{act.name}}}"
    assert isinstance(act, RestartService)
    return "restart the service"


def asked(act: Request | Run) -> str:
    """What is asked, on one line: `POST /notes {"title": "Rent"}`, or a command as one would type it."""
    if isinstance(act, Run):
        return _command(act)
    bodies = [
        _json(act.body) if act.body is not None else "",
        f"form {_json(act.form)}" if act.form is not None else "",
        quote(act.text, folded=False) if act.text is not None else "",
        f"with {', '.join(f'{name}: {value}' for name, value in act.headers.items())}" if act.headers else "",
        f"reading {act.parts} parts" if act.parts else "",
    ]
    return " ".join([act.method, act.path, *filter(None, bodies)])


def _command(act: Run) -> str:
    env = "".join(f"{name}={shlex.quote(value)} " for name, value in act.env.items())
    read = f", reading {quote(act.stdin, folded=False)}" if act.stdin else ""
    files = f", with {', '.join(f'{n}: {quote(c, folded=False)}' for n, c in act.files.items())}" if act.files else ""
    return f"`{env}{shlex.join(act.command)}`{read}{files}"


def answered(answer: Answer) -> str:
    """An answer for the evidence, cut."""
    if answer.is_of_request:
        kind = answer.header("content-type")
        return f"{answer.status}{f', {kind}' if kind else ''}: {answer.text[:BODY_CHARACTERS]}"
    told = [
        f"exit code {answer.exit_code}{f' ({answer.why_ended})' if answer.why_ended else ''}",
        f"files: {', '.join(sorted(answer.files)[:HEADERS])}" if answer.files else "",
        f"output: {answer.text[:BODY_CHARACTERS].rstrip()}" if answer.text.strip() else "no output",
        f"errors: {answer.errors[:BODY_CHARACTERS].rstrip()}" if answer.errors.strip() else "",
    ]
    return "; ".join(filter(None, told))


def expected(item: Expected) -> str:
    """What an expectation expects: `the status to be 201`."""
    value = quote(item.value, folded=item.match != "exact") if isinstance(item.value, str) else _json(item.value)
    compared = f"{_MATCH[item.match]} {value}"
    holding = f" {compared}" if item.value is not None else " to be there"
    values = ", ".join(_json(each) for each in item.values)
    whole = f"the file {item.name}" if item.name else "all that was answered"
    phrases: dict[str, str] = {
        "status": f"the status to be {item.text}",
        "header": f"the header {item.name}{holding}",
        "no_header": f"no header {item.name}",
        "content_type": f"the content type {compared}",
        "body": f"the body {compared}",
        "streamed": f"at least {item.number} parts, one after another, before it ends",
        "json": f"{item.at} {compared}",
        "json_some": f"one of {item.at} {compared}",
        "json_each": f"each of {item.at} {compared}",
        "json_none": f"none of {item.at} {compared}",
        "json_exists": f"something at {item.at}",
        "json_absent": f"nothing at {item.at}",
        "json_type": f"{item.at} to be of type {item.text}",
        "json_count": f"{item.number} of {item.at}",
        "json_order": f"{item.at} in this order: {values}",
        "unchanged": f"{item.at or whole} to be as remembered in {{{item.text}}}",
        "changed": f"{item.at or whole} to differ from what was remembered in {{{item.text}}}",
        "exit_code": f"the exit code to be {item.number}",
        "output": "no output" if item.value == "" else f"the output {compared}",
        "errors": "nothing on standard error" if item.value == "" else f"standard error {compared}",
        "line": f"a line of the output {compared}",
        "no_line": f"no line of the output {compared}",
        "lines": f"{item.number} lines of output that are not blank",
        "line_order": f"lines of the output that contain, in this order: {values}",
        "file": f"the file {item.name}{holding}",
        "no_file": f"no file {item.name}",
        "golden": f"{f'the file {item.name}' if item.name else 'the output'} to be as kept in {item.text}",
    }
    return phrases[item.expect]


def failure(
    item: ExchangeItem,
    *,
    seen: str,
    steps: Sequence[str] = (),
    asked: str = "",
    answer: Answer | None = None,
    log: str = "",
) -> str:
    """One failure in words the coder can act on.

    Args:
        item: what failed.
        seen: what was there instead, or why the act could not be done.
        steps: the feature's own lines.
        asked: what was asked last, as it was sent.
        answer: what came back; cut here.
        log: the service's output, its end is kept.
    """
    where = step_words(item.step, steps)
    if isinstance(item, Expected):
        head = f"{where}: expected {expected(item)}; seen: {seen}."
    else:
        head = f"{where}: could not {_act(item)}: {seen}."
    who = f"User: {item.user}" if item.user else ""
    foreign = "\n".join(filter(None, [f"Asked: {asked}" if asked else "", _told(answer), _tail("Server log", log)]))
    return "\n".join(filter(None, [head, who, fence(foreign, "what was asked and answered") if foreign else ""]))


def step_words(step: int, steps: Sequence[str]) -> str:
    """A step by its number, quoted where the feature has it."""
    return f"Step {step} {quote(steps[step - 1], folded=False)}" if 0 < step <= len(steps) else f"Step {step}"


def _told(answer: Answer | None) -> str:
    if answer is None:
        return ""
    if answer.is_of_request:
        told = [(name, value) for name, value in answer.headers if name.lower() not in IDLE]
        headers = "".join(f"\n  {name}: {value[:200]}" for name, value in told[:HEADERS])
        return f"Answered: {answer.status}{headers}\nBody:\n{_cut(answer.text)}"
    ended = f" ({answer.why_ended})" if answer.why_ended else ""
    parts = [
        f"Ended with exit code {answer.exit_code}{ended}",
        f"Output:\n{_cut(answer.text)}" if answer.text else "It printed nothing.",
    ]
    parts += [f"Errors:\n{_cut(answer.errors)}"] if answer.errors else []
    parts += [f"Files: {', '.join(sorted(answer.files)[:HEADERS])}"] if answer.files else []
    return "\n".join(parts)


def _cut(text: str) -> str:
    half = BODY_CHARACTERS // 2
    return text if len(text) <= BODY_CHARACTERS else f"{text[:half]}\n…\n{text[-half:]}"


def _tail(title: str, text: str) -> str:
    shown = text.strip()
    return f"{title} (end):\n{'…' if len(shown) > LOG_CHARACTERS else ''}{shown[-LOG_CHARACTERS:]}" if shown else ""


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
