"""The endpoint as the rest of the harness sees it.

Answers are not streamed: a stream that ends early looks like a short answer, and a cut tool call like a whole one.
"""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote

from pydantic import BaseModel, SecretStr

from harness.address import shown
from harness.errors import SetupError
from harness.events import Events, ModelCalled, Noticed
from harness.model.ask import ask
from harness.model.faults import Endpoint, ModelPaused, ToolsRefused, fault_from, foreign_errors
from harness.model.http import SENT, Sent, Transport, is_loopback, open_http
from harness.model.prefix import Prefixes, Repeat
from harness.model.quirks import quirks_of
from harness.model.reply import Reply, Totals, read_reply
from harness.model.retry import Patience
from harness.model.strict import strict_chat_class, wire
from harness.settings import FallbackSettings, ModelSettings

if TYPE_CHECKING:
    from langchain_core.messages import AIMessage, BaseMessage
    from langchain_openai import ChatOpenAI

T = TypeVar("T", bound=BaseModel)
ROLES = ("initializer", "coder", "verifier")
CONVERSATION_HEADER = "X-Harness-Conversation"
SENT_SECONDS = 0.2
"""After which a request is taken to be out, and its answer far."""
PAUSE_SECONDS = 600.0
"""How long the fallback answers before the endpoint is tried again, when it did not say how long it will not."""
SILENT_CALLS = 5
"""Answers without a tool call after which a model that never made one is given up."""


class Model:
    """The endpoint, as the rest of the harness sees it.

    Args:
        transport: carries the requests instead of a plain connection; a `Recorder`.
        backoff_seconds: the wait before the second try; it doubles.
        on_waiting: called once, when the first request is out and there is time until its answer.
        key_name: the environment variable that holds the key.

    Raises: SetupError: no key, no model name, or an address that is none.
    """

    def __init__(
        self,
        settings: ModelSettings,
        events: Events,
        *,
        transport: Transport | None = None,
        backoff_seconds: float = 1.0,
        on_waiting: Callable[[], object] | None = None,
        key_name: str = "OPENAI_API_KEY",
    ) -> None:
        self.settings = settings
        self.totals: dict[str, Totals] = {}
        """By role, in this process."""
        self.unforced: set[str] = set()
        """Models whose endpoint cannot be made to call a named tool."""
        self._events = events
        self._transport = transport
        self._on_waiting = on_waiting
        self._telling: asyncio.TimerHandle | None = None
        self._loopback = is_loopback(settings.base_url)
        self._key_name = key_name
        self._patience = Patience(settings.max_retries, settings.retry_after_seconds, backoff_seconds, self._warn)
        self._quirks = quirks_of(settings.base_url, settings.quirks)
        self._prefixes = Prefixes()
        self._http: Any = None
        self._chats: dict[str, ChatOpenAI] = {}
        self._silent: Counter[str] = Counter()
        self._callers: set[str] = set()
        self._second: Model | None = None
        self._paused_until = 0.0
        for role in ROLES:
            self.name_for(role)
        self._key = _api_key(settings.base_url, self._loopback, key_name)
        if settings.fallback.name:
            self._second = self._make_second(settings.fallback)

    @property
    def missing(self) -> SetupError | None:
        """What keeps it from being asked; None: nothing that is known."""
        return None

    def start(self) -> None:
        """Begin to import the client, in the background: it takes a second or two, in which other parts can open."""
        self._importing = asyncio.get_running_loop().run_in_executor(None, strict_chat_class)

    def name_for(self, role: str) -> str:
        """The model that answers for a role now."""
        if self._answering is not self:
            return self._answering.name_for(role)
        names: dict[str, str] = dict(self.settings.roles.items())
        name = names.get(role) or self.settings.name
        if not name:
            key = f" and {self._key_name}" if not (self._loopback or os.environ.get(self._key_name)) else ""
            raise SetupError(
                "No model is named.", f"Set OPENAI_MODEL{key}, or name under [model] in ~/.config/harness/config.toml."
            )
        return name

    async def call(
        self,
        role: str,
        conversation: str,
        messages: list[BaseMessage],
        tools: list[dict[str, Any]] | None = None,
        *,
        tool_choice: str | None = None,
    ) -> Reply:
        """Ask for the next message.

        Args:
            role: initializer, coder or verifier; chooses the model.
            conversation: names the conversation in events and recordings.
            messages: the whole conversation so far.
            tools: function definitions on offer.
            tool_choice: "auto", "required", "none" or a tool's name; None leaves it to the endpoint.

        Raises: ContextOverflow, ModelPaused, ToolsRefused, ToolChoiceRefused, ModelError, SetupError.
        Replay: calling again with the same messages asks again; a recording answers the same.
        """
        if self._answering is not self:
            return await self._answering.call(role, conversation, messages, tools, tool_choice=tool_choice)
        endpoint = Endpoint(self.name_for(role), self.settings.base_url, self._key, self._key_name)
        options = self._options(conversation, tools, tool_choice)
        try:
            answer, seconds, body = await self._patience.run(lambda: self._once(endpoint, messages, options))
        except (ModelPaused, SetupError) as exc:
            if self._second is None:
                raise
            self._pause(exc)
            return await self._second.call(role, conversation, messages, tools, tool_choice=tool_choice)
        reply = read_reply(answer, messages, seconds, self.settings)
        self.totals[role] = self.totals.get(role, Totals()).plus(reply.usage)
        turn = sum(message.type == "ai" for message in messages)
        repeat = self._prefixes.measure(conversation, body)
        self._events.emit(_called(role, conversation, turn, reply, endpoint, repeat))
        if tools and tool_choice is None:
            self._expect_tool_calls(endpoint.model, reply)
        return reply

    async def ask(
        self,
        role: str,
        conversation: str,
        messages: list[BaseMessage],
        answer: type[T],
        *,
        attempts: int = 3,
        check: Callable[[T], list[str]] | None = None,
    ) -> tuple[T, list[BaseMessage]]:
        """Ask until an answer of the wanted type is accepted.

        Args:
            role: as in `call`.
            conversation: as in `call`.
            messages: the conversation, ending with the question.
            answer: its docstring tells the model what is wanted, its fields' descriptions how.
            attempts: answers asked for before giving up.
            check: says what is wrong with an answer that fits the type; an empty list accepts it.

        Returns: the answer, and the conversation with everything said appended, ready for another question.
        Raises: as `call`; ModelError: no answer was acceptable.
        """
        return await ask(self, role, conversation, messages, answer, attempts, check)

    def redact(self, text: str) -> str:
        """Take the keys and the passwords of the addresses out of a text."""
        own = Endpoint("", self.settings.base_url, self._key, self._key_name).redact(text)
        return self._second.redact(own) if self._second else own

    def _pause(self, exc: ModelPaused | SetupError) -> None:
        """From now on the fallback answers."""
        resume_at = exc.resume_at if isinstance(exc, ModelPaused) else None
        seconds = (resume_at - datetime.now(UTC)).total_seconds() if resume_at else PAUSE_SECONDS
        self._paused_until = time.monotonic() + max(seconds, 0)
        self._warn(f"{exc.what}. {self.settings.fallback.name} answers for the next {seconds / 60:.0f} minutes.")

    @property
    def _answering(self) -> Model:
        return self._second if self._second and time.monotonic() < self._paused_until else self

    def _make_second(self, given: FallbackSettings) -> Model:
        """Raises: SetupError: it has an endpoint of its own and no key for it."""
        same = not given.base_url
        others = {"roles": {}, "fallback": FallbackSettings(), "base_url": given.base_url or self.settings.base_url}
        others["quirks"] = self.settings.quirks if same and given.quirks is None else given.quirks
        second = Model(
            self.settings.model_copy(update=given.model_dump() | others),
            self._events,
            transport=self._transport,
            backoff_seconds=self._patience.backoff,
            key_name="OPENAI_FALLBACK_API_KEY" if given.base_url else self._key_name,
        )
        second.totals = self.totals
        return second

    async def aclose(self) -> None:
        """Close connections."""
        if self._second:
            await self._second.aclose()
        if self._telling:
            self._telling.cancel()
        if self._http is not None:
            await self._http.aclose()
        self._http = None
        self._chats.clear()

    def _options(self, conversation: str, tools: list[dict[str, Any]] | None, choice: str | None) -> dict[str, Any]:
        options: dict[str, Any] = {"tools": tools} if tools else {}
        if tools and choice:
            plain = choice in ("auto", "required", "none")
            options["tool_choice"] = choice if plain else {"type": "function", "function": {"name": choice}}
        if self._loopback or self._transport is not None:
            options["extra_headers"] = {CONVERSATION_HEADER: quote(conversation, safe="/:-_. ")}
        return options

    async def _once(
        self, endpoint: Endpoint, messages: list[BaseMessage], options: dict[str, Any]
    ) -> tuple[AIMessage, float, bytes]:
        """One request: its message, seconds, and the body that was sent. The edge where foreign exceptions end."""
        if endpoint.model not in self._chats:
            await asyncio.to_thread(self._open_chat, endpoint.model)
        chat, sent = self._chats[endpoint.model], wire(messages, images=self.settings.images)
        started, out = time.monotonic(), Sent()
        SENT.set(out)
        self._tell_waiting()
        try:
            async with asyncio.timeout(self.settings.call_seconds):
                answer = await chat.ainvoke(sent, **options)
        except foreign_errors() as exc:
            quotes_key = endpoint.redact(repr(exc)) != repr(exc)
            raise fault_from(exc, endpoint) from (None if quotes_key else exc)
        return answer, time.monotonic() - started, out.body

    def _tell_waiting(self) -> None:
        if self._on_waiting:
            self._telling = asyncio.get_running_loop().call_later(SENT_SECONDS, self._on_waiting)
            self._on_waiting = None

    def _open_chat(self, name: str) -> None:
        """Make a client; on a worker thread, because the import takes two seconds."""
        settings = self.settings
        self._http = self._http or open_http(settings.base_url, self._transport)
        chat_class: Any = strict_chat_class()
        self._chats[name] = chat_class(
            model=name,
            base_url=settings.base_url,
            api_key=SecretStr(self._key),
            temperature=settings.temperature,
            timeout=settings.call_seconds,
            max_retries=0,  # retries are ours
            use_responses_api=False,  # third parties do not have it
            http_async_client=self._http,
            extra_body={"max_tokens": settings.max_output_tokens} if settings.max_output_tokens else None,
            quirks=self._quirks,
        )

    def _expect_tool_calls(self, name: str, reply: Reply) -> None:
        """Tell a model that never makes tool calls from one that is only talking.

        Raises: ToolsRefused: it never did, though offered tools several times.
        """
        if reply.message.tool_calls or reply.invalid:
            self._callers.add(name)
        self._silent[name] += 1
        if name not in self._callers and self._silent[name] >= SILENT_CALLS:
            raise ToolsRefused.by(name, f"{SILENT_CALLS} answers were text only, though tools were offered")

    def _warn(self, text: str) -> None:
        self._events.emit(Noticed(text=text, level="warning"))


def _called(role: str, conversation: str, turn: int, reply: Reply, endpoint: Endpoint, repeat: Repeat) -> ModelCalled:
    usage, message = reply.usage, reply.message
    named = str(message.response_metadata.get("model_name") or endpoint.model)
    calls = [{"id": call["id"], "name": call["name"], "args": call["args"]} for call in message.tool_calls]
    return ModelCalled(
        role=role,
        conversation=conversation,
        turn=turn,
        text=endpoint.redact(message.text),
        reasoning=endpoint.redact(reply.reasoning),
        answered_by=endpoint.redact(named) if named != endpoint.model else "",
        tool_calls=json.loads(endpoint.redact(json.dumps(calls))),
        input_tokens=usage.input_tokens,
        cached_tokens=usage.cached_tokens,
        output_tokens=usage.output_tokens,
        cost_usd=usage.cost_usd,
        seconds=usage.seconds,
        request_bytes=repeat.request,
        previous_bytes=repeat.previous,
        repeated_bytes=repeat.repeated,
    )


def _api_key(base_url: str, loopback: bool, name: str) -> str:
    key = os.environ.get(name, "").strip()
    if not key and not loopback:
        raise SetupError(f"{name} is not set; {shown(base_url)} needs it.", "Set it in the environment.")
    if not key.isascii() or not key.isprintable():
        raise SetupError(f"{name} holds characters that no key has.", "Copy it again.")
    return key or "none"
