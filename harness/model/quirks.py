"""How endpoints differ from the protocol they all claim to speak: one table, applied in one place (`client`).

A quirk shapes the body of a request just before it is sent, or names what of an answer must come back with it. The
conversation itself stays as it was said, so an endpoint can be changed in the middle of a thread. Every shape is a
function of the body alone: what was sent once is sent again byte for byte, and providers can cache it.

What needs no quirk, because it is read or left out for every endpoint, is in `docs/endpoints.md`, with this table.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from harness.errors import SetupError
from harness.model.http import is_loopback

Body = dict[str, Any]
Message = dict[str, Any]
NOTHING_SAID = "(empty)"
REF_DEPTH = 5
"""How deep references of a schema are written out; what lies deeper is any object."""


def _as_it_is(body: Body) -> Body:
    return body


@dataclass(frozen=True)
class Quirk:
    """One way in which an endpoint differs."""

    does: str
    """What is done about it, for a person."""
    shape: Callable[[Body], Body] = _as_it_is
    """Changes the body of a request; what it is given stays as it was."""
    returns: str = ""
    """A field of an answer, or of its calls, that is sent back with it."""


def _max_completion_tokens(body: Body) -> Body:
    if "max_tokens" not in body:
        return body
    return {("max_completion_tokens" if key == "max_tokens" else key): value for key, value in body.items()}


def _with(body: Body, messages: Sequence[Message]) -> Body:
    return {**body, "messages": list(messages)}


def _developer(body: Body) -> Body:
    return _with(body, [{**m, "role": "developer"} if m["role"] == "system" else m for m in body["messages"]])


def _no_system(body: Body) -> Body:
    """The rules become the head of the first message of the user."""
    rules = [m["content"] for m in body["messages"] if m["role"] == "system"]
    others = [m for m in body["messages"] if m["role"] != "system"]
    if not rules:
        return body
    if others and others[0]["role"] == "user":
        rules.append(others[0]["content"])
        others = others[1:]
    return _with(body, [{"role": "user", "content": "\n\n".join(rules)}, *others])


def _single_calls(body: Body) -> Body:
    """Ask for one call at a time, and tell what was said with several as if it had been one after the other."""
    answers = {m["tool_call_id"]: m for m in body["messages"] if m["role"] == "tool"}
    said: list[Message] = []
    for message in body["messages"]:
        calls = message.get("tool_calls") or []
        if message["role"] == "tool":
            continue
        if not calls:
            said.append(message)
        for number, call in enumerate(calls):
            said.append({**message, "tool_calls": [call], **({"content": None} if number else {})})
            said += [answers[call["id"]]] if call["id"] in answers else []
    return _with({**body, "parallel_tool_calls": False} if body.get("tools") else body, said)


def _no_tool_choice(body: Body) -> Body:
    return {key: value for key, value in body.items() if key != "tool_choice"}


def _tool_choice_word(body: Body) -> Body:
    """A named tool is only ever demanded where it is the only one on offer."""
    return {**body, "tool_choice": "required"} if isinstance(body.get("tool_choice"), dict) else body


def _no_null(body: Body) -> Body:
    return _with(body, [{**m, "content": ""} if m.get("content") is None else m for m in body["messages"]])


def _no_empty(body: Body) -> Body:
    return _with(body, [m if m.get("content") or m.get("tool_calls") else _filled(m) for m in body["messages"]])


def _filled(message: Message) -> Message:
    return {**message, "content": NOTHING_SAID}


def _rename_ids(body: Body, rename: Callable[[str], str]) -> Body:
    messages = []
    for message in body["messages"]:
        if message.get("tool_calls"):
            message = {**message, "tool_calls": [{**c, "id": rename(c["id"])} for c in message["tool_calls"]]}
        if "tool_call_id" in message:
            message = {**message, "tool_call_id": rename(message["tool_call_id"])}
        messages.append(message)
    return _with(body, messages)


def _ids_of_9(body: Body) -> Body:
    def rename(call_id: str) -> str:
        fits = len(call_id) == 9 and call_id.isascii() and call_id.isalnum()
        return call_id if fits else hashlib.sha256(call_id.encode()).hexdigest()[:9]

    return _rename_ids(body, rename)


def _ids_to_40(body: Body) -> Body:
    return _rename_ids(body, lambda i: i if len(i) <= 40 else hashlib.sha256(i.encode()).hexdigest()[:40])


def _streamed(body: Body) -> Body:
    return {**body, "stream": True, "stream_options": {"include_usage": True}}


def _reasoning_content(body: Body) -> Body:
    """Also where there was none: a message with calls that lacks the field is refused."""
    return _with(
        body,
        [{**m, "reasoning_content": m.get("reasoning_content", "")} if m.get("tool_calls") else m
         for m in body["messages"]],
    )  # fmt: skip


def _plain_schemas(body: Body) -> Body:
    if not body.get("tools"):
        return body
    return {**body, "tools": [{**t, "function": _plain_function(t["function"])} for t in body["tools"]]}


def _plain_function(function: dict[str, Any]) -> dict[str, Any]:
    schema = function.get("parameters") or {}
    return {**function, "parameters": plain_schema(schema, schema.get("$defs", {}))}


def plain_schema(node: Any, defs: dict[str, Any], depth: int = 0) -> Any:
    """A JSON schema in the few words that every endpoint knows: references written out, no constants, no extras."""
    if isinstance(node, list):
        return [plain_schema(item, defs, depth) for item in node]
    if not isinstance(node, dict):
        return node
    if "$ref" in node:
        if depth == REF_DEPTH:
            return {"type": "object"}
        more = {key: value for key, value in node.items() if key != "$ref"}
        return plain_schema({**defs.get(node["$ref"].rpartition("/")[2], {}), **more}, defs, depth + 1)
    plain: dict[str, Any] = {}
    for key, value in node.items():
        if key == "properties":
            plain[key] = {name: plain_schema(property_, defs, depth) for name, property_ in value.items()}
        elif key == "const":
            plain["enum"] = [value]
        elif key not in ("$defs", "additionalProperties", "discriminator", "title", "default"):
            plain["anyOf" if key == "oneOf" else key] = plain_schema(value, defs, depth)
    return plain


QUIRKS: dict[str, Quirk] = {
    "max-completion-tokens": Quirk(
        "the output limit is sent as `max_completion_tokens`, not `max_tokens`", _max_completion_tokens
    ),
    "developer-role": Quirk("the system message has the role `developer`", _developer),
    "no-system-role": Quirk("the system message becomes the head of the first user message", _no_system),
    "single-calls": Quirk(
        "`parallel_tool_calls` is false, and an answer with several calls is sent back as several with one",
        _single_calls,
    ),
    "no-tool-choice": Quirk("`tool_choice` is never sent", _no_tool_choice),
    "tool-choice-word": Quirk("a tool that is demanded by name is demanded as `required`", _tool_choice_word),
    "plain-schemas": Quirk(
        "tool schemas go without `$ref`, `const`, `oneOf`, `default`, `title` and `additionalProperties`",
        _plain_schemas,
    ),
    "no-null-content": Quirk("a message without text has the content `\"\"`, not null", _no_null),
    "no-empty-content": Quirk(f"a message that says nothing at all says `{NOTHING_SAID}`", _no_empty),
    "call-ids-of-9": Quirk("ids of tool calls become 9 letters and digits", _ids_of_9),
    "call-ids-to-40": Quirk("ids of tool calls of more than 40 characters are shortened", _ids_to_40),
    "reasoning-content-back": Quirk(
        "`reasoning_content` is sent back, and is there, empty, where a call came without", _reasoning_content,
        "reasoning_content",
    ),
    "reasoning-details-back": Quirk("`reasoning_details` are sent back unchanged", returns="reasoning_details"),
    "signatures-back": Quirk("`extra_content` of tool calls (a signature) is sent back", returns="extra_content"),
    "unopened-think": Quirk("text up to a `</think>` that nothing opened is reasoning"),
    "stream-only": Quirk("answers are asked for as a stream, and read when it is over", _streamed),
}  # fmt: skip
"""By the name that `[model] quirks` takes."""

HOSTS: dict[str, tuple[str, ...]] = {
    "api.openai.com": ("max-completion-tokens", "call-ids-to-40"),
    "openai.azure.com": ("max-completion-tokens", "call-ids-to-40"),
    "openrouter.ai": ("reasoning-details-back",),
    "api.deepseek.com": ("reasoning-content-back",),
    "api.moonshot.ai": ("reasoning-content-back",),
    "api.moonshot.cn": ("reasoning-content-back",),
    "generativelanguage.googleapis.com": ("plain-schemas", "signatures-back"),
    "api.mistral.ai": ("call-ids-of-9",),
    "api.anthropic.com": ("no-empty-content",),
    "api.z.ai": ("no-tool-choice",),
    "open.bigmodel.cn": ("no-tool-choice",),
    "loopback:1234": ("tool-choice-word",),
}
"""Quirks of a host and the hosts below it, or of a port of this machine."""


@dataclass(frozen=True)
class Quirks:
    """Those of one endpoint."""

    names: tuple[str, ...] = ()

    def shape(self, body: Body) -> Body:
        """The body as this endpoint takes it."""
        for name in self.names:
            body = QUIRKS[name].shape(body)
        return body

    @property
    def returned(self) -> frozenset[str]:
        """Fields of an answer that are sent back with it."""
        return frozenset(QUIRKS[name].returns for name in self.names) - {""}

    @property
    def opens_with_thought(self) -> bool:
        """Whether an answer's reasoning ends in a tag that nothing opened."""
        return "unopened-think" in self.names


def quirks_of(base_url: str, given: Sequence[str] | None = None) -> Quirks:
    """What to do for an endpoint.

    Args:
        base_url: its address.
        given: the names a person set, which count alone; None: those of the table.

    Raises: SetupError: a name is unknown; those there are are named.
    """
    if given is None:
        return Quirks(_of_host(base_url))
    if unknown := [name for name in given if name not in QUIRKS]:
        raise SetupError(
            f"[model] quirks names {json.dumps(unknown)[1:-1]}, which is none.", f"There are: {', '.join(QUIRKS)}."
        )
    return Quirks(tuple(name for name in QUIRKS if name in given))


def _of_host(base_url: str) -> tuple[str, ...]:
    parts = urlsplit(base_url)
    host = f"loopback:{parts.port}" if is_loopback(base_url) else (parts.hostname or "")
    return next((names for known, names in HOSTS.items() if host == known or host.endswith(f".{known}")), ())
