"""Asking until the answer is accepted: one tool named `submit` whose parameters are the wanted type.

The endpoint is made to call it; where it refuses that, it is merely offered, and JSON in the text, fenced or not, is
taken as well. A refused answer stays in the conversation with the reasons after it, so the prompt only ever grows.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import BaseModel, ValidationError

from harness.errors import ModelError
from harness.model.faults import ToolChoiceRefused, ToolsRefused

if TYPE_CHECKING:
    from langchain_core.messages import BaseMessage

    from harness.model.client import Model
    from harness.model.reply import Reply

T = TypeVar("T", bound=BaseModel)
SUBMIT = "submit"
SHOWN_ERRORS = 12
"""Errors told at once; a long list of the same mistake teaches no more than a short one."""


async def ask(
    model: Model,
    role: str,
    conversation: str,
    messages: list[BaseMessage],
    answer: type[T],
    attempts: int,
    check: Callable[[T], list[str]] | None,
) -> tuple[T, list[BaseMessage]]:
    """Ask at most `attempts` times.

    Raises: ToolsRefused: nothing like an answer came. ModelError: the answers were not acceptable.
    """
    said, errors, tried = list(messages), ["nothing was asked"], False
    for _ in range(attempts):
        reply = await _call(model, role, conversation, said, submit_tool(answer))
        tried = tried or bool(reply.message.tool_calls or reply.invalid) or find_json(reply.message.text) is not None
        accepted, errors = _read(reply, answer, check)
        said = [*said, reply.message, *_respond(reply, errors, answer)]
        if accepted is not None:
            return accepted, said
    if not tried:
        raise ToolsRefused.by(model.name_for(role), f"it answered text only, {attempts} times, in {conversation!r}")
    raise ModelError(
        f"the {role} gave no acceptable answer in {attempts} attempts (conversation {conversation!r}): "
        + "; ".join(errors[:3]),
        "Resume to ask again, or choose a more capable model for this role.",
    )


async def _call(model: Model, role: str, conversation: str, said: list[BaseMessage], tool: dict[str, Any]) -> Reply:
    """Force the tool, or offer it to an endpoint that cannot be forced."""
    name = model.name_for(role)
    if name not in model.unforced:
        try:
            return await model.call(role, conversation, said, [tool], tool_choice=SUBMIT)
        except ToolChoiceRefused:
            name = model.name_for(role)  # a fallback may have taken over
            model.unforced.add(name)
    return await model.call(role, conversation, said, [tool], tool_choice="auto")


def submit_tool(answer: type[BaseModel]) -> dict[str, Any]:
    """The tool whose arguments are the answer."""
    description = " ".join((answer.__doc__ or "").split()) or "Submit the answer."
    function = {"name": SUBMIT, "description": description, "parameters": answer.model_json_schema()}
    return {"type": "function", "function": function}


def _read(reply: Reply, answer: type[T], check: Callable[[T], list[str]] | None) -> tuple[T | None, list[str]]:
    """The answer, or what is wrong with it."""
    calls = [call for call in reply.message.tool_calls if call["name"] == SUBMIT]
    given = calls[0]["args"] if calls else find_json(reply.message.text)
    if given is None:
        return None, _why_nothing(reply)
    try:
        value = answer.model_validate_json(json.dumps(given))
    except ValidationError as exc:
        return None, [f"{'.'.join(map(str, e['loc'])) or 'the answer'}: {e['msg']}" for e in exc.errors()]
    errors = check(value) if check else []
    return (None if errors else value), errors


def _why_nothing(reply: Reply) -> list[str]:
    if reply.truncated:
        return ["your answer was cut at the output limit; give a shorter one"]
    if reply.invalid:
        return [call.why for call in reply.invalid]
    return [f"you did not call the tool {SUBMIT!r}"]


def _respond(reply: Reply, errors: list[str], answer: type[BaseModel]) -> list[BaseMessage]:
    """Answer every call, as the protocol demands, and a text without one with the schema."""
    from langchain_core.messages import HumanMessage, ToolMessage

    verdict = _refusal(errors) if errors else "accepted"
    ids = [call["id"] for call in reply.message.tool_calls] + [call.id for call in reply.invalid]
    if ids:
        return [ToolMessage(verdict, tool_call_id=call_id) for call_id in ids]
    if not errors:
        return []
    schema = json.dumps(answer.model_json_schema())
    hint = f"Call the tool {SUBMIT!r}, or answer with nothing but one JSON object of this schema:\n{schema}"
    return [HumanMessage(f"{verdict}\n\n{hint}")]


def _refusal(errors: list[str]) -> str:
    more = [f"- and {len(errors) - SHOWN_ERRORS} more"] if len(errors) > SHOWN_ERRORS else []
    lines = [f"- {error}" for error in errors[:SHOWN_ERRORS]] + more
    return "Not accepted. Submit the whole answer again with these mended:\n" + "\n".join(lines)


def find_json(text: str) -> dict[str, Any] | None:
    """The JSON object a text consists of or holds in a fence; None when there is none."""
    fenced = re.findall(r"```(?:json)?\s*\n(.*?)```", text, re.DOTALL)
    for candidate in (text.strip(), *fenced, text[text.find("{") : text.rfind("}") + 1]):
        try:
            found = json.loads(candidate)
        except (ValueError, RecursionError):
            continue
        if isinstance(found, dict):
            return found
    return None
