"""ChatOpenAI, made strict: an answer is a whole chat completion or a fault, never a guess.

The client accepts answers without an end, repairs cut arguments, and lets a list of arguments escape as a
ValidationError. Here the raw answer is checked before the client reads it: it needs a choice with a finish reason,
and each tool call arguments that parse as one JSON object. A call that does not becomes an invalid call, which the
session can answer; it is never carried out.
"""

from __future__ import annotations

import json
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from harness.model.faults import BadCompletion
from harness.model.quirks import Quirks
from harness.model.reasoning import split_thought, thought_of

if TYPE_CHECKING:
    from langchain_core.messages import AIMessage, BaseMessage
    from langchain_openai import ChatOpenAI

REASONING, BESIDE, BESIDE_CALLS = "reasoning", "beside", "beside_calls"
"""Keys under which the client's message carries what is no part of the answer."""
BROKEN_OFF = ("error", "insufficient_system_resource")
"""Finish reasons of answers that have no end: a provider behind a gateway failed, or had no room left."""
MAX_ARGUMENTS = 1_000_000
"""Characters of one call's arguments; more is a model that repeats itself."""


@lru_cache(maxsize=1)
def strict_chat_class() -> type[ChatOpenAI]:
    """The client class; a function because its import takes two seconds."""
    from langchain_openai import ChatOpenAI

    class StrictChatOpenAI(ChatOpenAI):
        """Checks the raw answer before the client reads it, and keeps the client out of what is sent."""

        quirks: Quirks = Quirks()

        def _get_request_payload(self, input_: Any, *, stop: list[str] | None = None, **kwargs: Any) -> dict[str, Any]:
            body = super()._get_request_payload(input_, stop=stop, **kwargs)
            give_back(input_, body["messages"], self.quirks.returned)
            return past_the_client(body, self.quirks)

        def _create_chat_result(self, response: Any, generation_info: dict[str, Any] | None = None) -> Any:
            answered = _as_dict(response)
            completion, invalid = check_completion(answered, self.quirks)
            result = super()._create_chat_result(completion, generation_info)
            message: Any = result.generations[0].message
            message.invalid_tool_calls = invalid
            calls = completion["choices"][0]["message"]["tool_calls"]
            message.additional_kwargs = answer_beside(answered["choices"][0]["message"], calls, self.quirks)
            return result

    return StrictChatOpenAI


def past_the_client(payload: dict[str, Any], quirks: Quirks) -> dict[str, Any]:
    """Move the body as the endpoint takes it to where the client does not look at it.

    The client walks messages and tools against its types, to convert what is plain JSON already: half of a turn's time
    at 30 turns, more in longer sessions. The messages come last in the body, so that a request begins with the whole
    one before it.
    """
    from openai import omit

    headers = {key: payload.pop(key) for key in ("extra_headers",) if key in payload}
    more = payload.pop("extra_body", None) or {}
    body = quirks.shape({**payload, **more})
    last = {"messages": body.pop("messages")}
    return {**headers, "model": body["model"], "messages": omit, "extra_body": {**body, **last}}


def give_back(said: list[BaseMessage], sent: list[dict[str, Any]], fields: frozenset[str]) -> None:
    """Put what an endpoint demands back beside what it said, in the messages that are about to be sent."""
    for message, wanted in zip(said, sent, strict=True) if fields else ():
        kept = message.additional_kwargs.get(BESIDE, {})
        wanted.update({name: value for name, value in kept.items() if name in fields})
        extras = message.additional_kwargs.get(BESIDE_CALLS, ())
        for call, extra in zip(wanted.get("tool_calls", ()), extras, strict=False):  # invalid calls come last
            call.update({name: value for name, value in extra.items() if name in fields})


def answer_beside(message: dict[str, Any], calls: list[dict[str, Any]], quirks: Quirks) -> dict[str, Any]:
    """What an answer holds beside its text and calls: its reasoning, and what must be sent back with it."""
    inline, _ = split_thought(_text(message), opens_with_thought=quirks.opens_with_thought)
    beside = {name: message[name] for name in quirks.returned if message.get(name)}
    extras = [{name: call[name] for name in quirks.returned if call.get(name)} for call in calls]
    thought = thought_of(message) or inline
    told: dict[str, Any] = {REASONING: thought, BESIDE: beside, BESIDE_CALLS: extras if any(extras) else []}
    return {name: _writable(value) for name, value in told.items()}


def _writable(value: Any) -> Any:
    """Without lone surrogates, which cannot be written to any file of ours."""
    return json.loads(json.dumps(value, ensure_ascii=False).encode("utf-8", "replace"))


def _as_dict(response: Any) -> dict[str, Any]:
    if hasattr(response, "model_dump"):
        response = response.model_dump(warnings=False)
    if not isinstance(response, dict):
        raise BadCompletion(f"text, not JSON: {str(response)[:200]}")
    return response


def check_completion(body: dict[str, Any], quirks: Quirks) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Check one answer; the second value holds its tool calls that are not calls, in the client's own form.

    Raises: BadCompletion: not a whole chat completion.
    """
    if error := body.get("error"):
        raise _wrapped_error(error)
    choices = body.get("choices")
    if not isinstance(choices, list) or not choices or not isinstance(choices[0], dict):
        raise BadCompletion("it holds no choices")
    choice = choices[0]
    message = choice.get("message")
    if not isinstance(message, dict):
        raise BadCompletion("its choice holds no message")
    if error := choice.get("error"):
        raise _wrapped_error(error)
    if not isinstance(choice.get("finish_reason"), str) or not choice["finish_reason"]:
        raise BadCompletion("it has no finish_reason, so it may be cut")
    if choice["finish_reason"] in BROKEN_OFF:
        raise BadCompletion(f"it was broken off: {choice['finish_reason']}")
    calls, invalid = _sort_calls(message.get("tool_calls"))
    _, text = split_thought(_text(message), opens_with_thought=quirks.opens_with_thought)
    clean = {"role": "assistant", "content": text, "tool_calls": calls}
    counted = {"model": _writable(body.get("model")), "usage": _usage(body.get("usage"))}
    return {**body, **counted, "choices": [{**choice, "message": clean}]}, invalid


def _wrapped_error(error: Any) -> BadCompletion:
    """A gateway's error inside a 200."""
    if not isinstance(error, dict):
        return BadCompletion(f"error: {str(error)[:300]}")
    code = error.get("code")
    return BadCompletion(str(error.get("message") or error)[:300], code if isinstance(code, int) else None)


def _text(message: dict[str, Any]) -> str:
    content = message.get("content") or message.get("refusal") or ""
    if isinstance(content, list):
        content = "".join(str(part.get("text", "")) for part in content if isinstance(part, dict))
    return str(_writable(str(content)))


def _sort_calls(raw: Any) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    good: list[dict[str, Any]] = []
    bad: list[dict[str, Any]] = []
    for call in raw if isinstance(raw, list) else []:
        function = call.get("function") if isinstance(call, dict) else None
        if not isinstance(function, dict):
            continue
        call_id, name, arguments = call.get("id"), function.get("name"), function.get("arguments")
        call_id = call_id if isinstance(call_id, str) else ""
        try:
            arguments = parse_arguments(name, arguments)
        except ValueError as exc:
            raw_text = arguments if isinstance(arguments, str) else json.dumps(arguments)
            wrong = {"id": call_id, "name": str(name or ""), "args": raw_text[:MAX_ARGUMENTS], "error": str(exc)}
            bad.append({"type": "invalid_tool_call", **wrong})
        else:
            function = {"name": name, "arguments": json.dumps(arguments)}
            good.append({**call, "id": call_id, "type": "function", "function": function})
    return good, bad


def parse_arguments(name: Any, raw: Any) -> dict[str, Any]:
    """Read a call's arguments as one JSON object.

    Raises: ValueError: they are not; the text tells the model what is wrong.
    """
    if not isinstance(name, str) or not name:
        raise ValueError("the call names no tool")
    if raw in (None, ""):
        return {}
    if isinstance(raw, dict):  # some local servers do not encode them
        return raw
    if not isinstance(raw, str) or len(raw) > MAX_ARGUMENTS:
        raise ValueError(f"the arguments are not JSON text of at most {MAX_ARGUMENTS} characters")
    try:
        parsed = json.loads(raw, object_pairs_hook=_no_duplicates, parse_constant=_no_constant)
        json.dumps(parsed, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise ValueError("the arguments hold half a character (a lone surrogate)") from None
    except json.JSONDecodeError as exc:
        raise ValueError(f"the arguments are not JSON: {exc}") from None
    except RecursionError:
        raise ValueError("the arguments are nested too deeply") from None
    if not isinstance(parsed, dict):
        raise ValueError("the arguments are JSON, but not one object")
    return parsed


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("the arguments name one key twice")
    return found


def _no_constant(text: str) -> None:
    raise ValueError(f"the arguments hold {text}, which is not JSON")


def _usage(usage: Any) -> dict[str, Any] | None:
    """The token counts when they are counts."""
    names = ("prompt_tokens", "completion_tokens")
    if not isinstance(usage, dict) or any(not _is_count(usage.get(name)) for name in names):
        return None
    total = {"total_tokens": usage["prompt_tokens"] + usage["completion_tokens"]}
    details = usage.get("prompt_tokens_details")
    cached = details.get("cached_tokens") if isinstance(details, dict) else None
    counts = {name: usage[name] for name in names} | total
    return counts | ({"prompt_tokens_details": {"cached_tokens": cached}} if _is_count(cached) else {})


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def unique_ids(message: AIMessage, before: list[BaseMessage]) -> None:
    """Give each call an id that no other call of the conversation has.

    Some endpoints number calls from zero in every answer, or send one id twice; an answer to an id must have one call.
    """
    taken = {call["id"] for old in before if old.type == "ai" for call in _all_calls(old)}
    for call in _all_calls(message):
        base = call["id"] or "call"
        number = 1
        while not call["id"] or call["id"] in taken:
            number += 1
            call["id"] = f"{base}-{number}"
        taken.add(call["id"])


def _all_calls(message: Any) -> list[Any]:
    return [*message.tool_calls, *message.invalid_tool_calls]


def wire(messages: list[BaseMessage], *, images: bool = False) -> list[BaseMessage]:
    """Messages as they may be sent.

    An invalid call's text is wrapped in JSON, since servers parse what they get back. Pictures are sent to who takes
    them; where one is only named, or nobody takes it, that is said in words.
    """
    return [_wired(message, images) for message in messages]


def _wired(message: BaseMessage, images: bool) -> BaseMessage:
    if message.type == "ai" and message.invalid_tool_calls:  # type: ignore[attr-defined]  # so it is an AIMessage
        return _wrap_invalid(message)
    if not isinstance(message.content, list):
        return message
    taken = {"text", "image_url"} if images else {"text"}
    parts = [p if isinstance(p, str) or p.get("type") in taken else _NOT_SHOWN for p in message.content]
    if any(isinstance(part, dict) and part.get("type") == "image_url" for part in parts):
        return message.model_copy(update={"content": parts})
    texts = [part if isinstance(part, str) else str(part["text"]) for part in parts]
    return message.model_copy(update={"content": "\n".join(texts)})


_NOT_SHOWN = {"type": "text", "text": "[a picture, not shown here]"}


def _wrap_invalid(message: Any) -> BaseMessage:
    wrapped = [{**call, "args": json.dumps({"not_json": call["args"]})} for call in message.invalid_tool_calls]
    copy: BaseMessage = message.model_copy(update={"invalid_tool_calls": wrapped})
    return copy
