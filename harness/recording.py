"""Recording conversations at the endpoint, and serving them again over real HTTP.

A recording is a JSONL file: one line a turn, keyed by conversation and turn (the number of assistant messages before
it), holding what was new in the request and the raw answer; never a header. The server answers a request only if it
says what was recorded, compared as `normalise` does; anything else is a divergence, told in words and never
answered by a guess.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from http.server import BaseHTTPRequestHandler
from itertools import zip_longest
from pathlib import Path
from typing import Any, Self
from urllib.parse import unquote

from harness.errors import ContractError, ModelError
from harness.model.http import open_http
from harness.normalise import Message, digest, normalise, turn_of
from harness.recording_http import LoopbackServer

__all__ = ["Divergence", "LoopbackServer", "Recorder", "RecordingServer", "Turn", "load_recording", "normalise"]

CONVERSATION = "x-harness-conversation"
CHAT = "/chat/completions"
_OF_THE_BODY = ("content-encoding", "content-length", "transfer-encoding")
SHOWN = 200
"""Characters of a line that diverges."""


@dataclass(frozen=True)
class Turn:
    """One line of a recording."""

    conversation: str
    turn: int
    request: list[Message]
    """The normalised messages that were new."""
    digest: str
    """Of `request`."""
    response: dict[str, Any]
    """The raw answer."""


@dataclass(frozen=True)
class Divergence:
    """A request that is not what was recorded."""

    conversation: str
    turn: int
    expected: str
    got: str

    def __str__(self) -> str:
        return f"session {self.conversation!r}, turn {self.turn}: expected {self.expected!r}, got {self.got!r}"


def load_recording(path: Path) -> dict[tuple[str, int], Turn]:
    """Read a recording; of a turn recorded twice the last one counts.

    Raises: ContractError: it cannot be read, or a line is not a turn. A last line without its end is what a killed
        process leaves, and is left out.
    """
    turns: dict[tuple[str, int], Turn] = {}
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as exc:
        raise ContractError(
            f"the recording {str(path)!r} cannot be read: {exc}", "Name an existing recording."
        ) from exc
    for number, line in enumerate(lines[:-1], 1):
        try:
            turn = Turn(**json.loads(line))
        except (ValueError, TypeError) as exc:
            raise ContractError(f"{path}, line {number}, is not a recorded turn: {exc}", "Record it again.") from exc
        turns[turn.conversation, turn.turn] = turn
    return turns


class Recorder:
    """Carries requests to the endpoint and writes down each answered one; a `Model`'s transport.

    Replay: an existing recording is continued; a turn asked again after a kill is written again, and the last counts.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._client: Any = None
        if path.exists():
            load_recording(path)  # raises before anything is appended to a file that is something else
            _drop_torn_line(path)

    async def handle_async_request(self, request: Any) -> Any:
        """Send one request on; its answer is on disk before the caller has it."""
        response = await self._client_for(str(request.url)).send(request)
        if response.status_code == 200 and request.url.path.endswith(CHAT):
            self._keep(request.headers.get(CONVERSATION, ""), request.content, response.content)
        # The body is decoded already, so the headers must not say it is compressed.
        headers = [(k, v) for k, v in response.headers.items() if k not in _OF_THE_BODY]
        return type(response)(response.status_code, headers=headers, content=response.content)

    async def aclose(self) -> None:
        """Close connections."""
        if self._client is not None:
            await self._client.aclose()
        self._client = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    def _client_for(self, url: str) -> Any:
        """A whole client rather than a bare transport, so that the environment's proxies hold."""
        self._client = self._client or open_http(url)
        return self._client

    def _keep(self, conversation: str, sent: bytes, answered: bytes) -> None:
        try:
            messages, response = json.loads(sent)["messages"], json.loads(answered)
        except (ValueError, KeyError):
            return  # not a chat completion; the model adapter says so
        if isinstance(response, dict) and response.get("choices"):
            new = normalise(messages)
            self._append(Turn(unquote(conversation), turn_of(messages), new, digest(new), response))

    def _append(self, turn: Turn) -> None:
        line = json.dumps(asdict(turn), ensure_ascii=True) + "\n"
        with _recording_errors(self.path), self.path.open("a", encoding="utf-8") as file:
            file.write(line)
            file.flush()
            os.fsync(file.fileno())


@contextmanager
def _recording_errors(path: Path) -> Iterator[None]:
    """Say which file could not be written."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield
    except OSError as exc:
        raise ModelError(f"the recording {str(path)!r} cannot be written: {exc}", "Make room, then resume.") from exc


def _drop_torn_line(path: Path) -> None:
    data = path.read_bytes()
    if data and not data.endswith(b"\n"):
        os.truncate(path, data.rfind(b"\n") + 1)


class RecordingServer(LoopbackServer):
    """Serves a recording as an endpoint; a context manager.

    Args:
        delay_seconds: waited before each answer, for showing a run at a readable pace.

    Replay: the same request gets the same answer, so a killed client may ask again.
    """

    def __init__(self, path: Path, port: int = 0, delay_seconds: float = 0.0) -> None:
        self.turns = load_recording(path)
        self.divergences: list[Divergence] = []
        """Every request that was refused."""
        self.served: set[tuple[str, int]] = set()
        """Conversation and turn of each that was answered."""
        self.delay_seconds = delay_seconds
        super().__init__(_RecordingHandler, port)

    def answer(self, conversation: str, messages: list[Message]) -> dict[str, Any] | Divergence:
        """The recorded answer, or how the request differs from what was recorded."""
        turn, got = turn_of(messages), normalise(messages)
        recorded = self.turns.get((conversation, turn))
        if recorded is None:
            return self._diverge(conversation, turn, self._nearest(conversation), _lines(got)[0] if got else "")
        if (expected := normalise(recorded.request)) != got:
            return self._diverge(conversation, turn, *_first_difference(expected, got))
        self.served.add((conversation, turn))
        return recorded.response

    def _diverge(self, conversation: str, turn: int, expected: str, got: str) -> Divergence:
        divergence = Divergence(conversation, turn, expected[:SHOWN], got[:SHOWN])
        self.divergences.append(divergence)
        return divergence

    def _nearest(self, conversation: str) -> str:
        count = sum(name == conversation for name, _ in self.turns)
        return f"no more than the {count} recorded turns" if count else "one of the recorded sessions"


def _lines(messages: list[Message]) -> list[str]:
    return [f"{message['role']}: {line}" for message in messages for line in message["content"].splitlines()]


def _first_difference(expected: list[Message], got: list[Message]) -> tuple[str, str]:
    for wanted, seen in zip_longest(_lines(expected), _lines(got), fillvalue="(nothing)"):
        if wanted != seen:
            return _around(wanted, seen), _around(seen, wanted)
    return f"{len(expected)} messages", f"{len(got)} messages"


def _around(line: str, other: str) -> str:
    """The line from shortly before it differs, so that a long one shows the difference."""
    same = next((i for i, (a, b) in enumerate(zip(line, other, strict=False)) if a != b), 0)
    return line if same < SHOWN // 2 else "..." + line[same - SHOWN // 4 :]


class _RecordingHandler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    server: RecordingServer

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        names = sorted({str(turn.response.get("model", "recorded")) for turn in self.server.turns.values()})
        self._send(200, {"object": "list", "data": [{"id": name, "object": "model"} for name in names]})

    def do_POST(self) -> None:
        sent = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if not self.path.endswith(CHAT):
            self._send(404, _error("not_found", f"only {CHAT} is served"))
            return
        time.sleep(self.server.delay_seconds)
        answer = self.server.answer(unquote(self.headers.get(CONVERSATION, "")), json.loads(sent)["messages"])
        if isinstance(answer, Divergence):
            self._send(409, _error("recording_divergence", f"the run left the recording: {answer}"))
        else:
            self._send(200, answer)

    def _send(self, status: int, body: dict[str, Any]) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


def _error(kind: str, message: str) -> dict[str, Any]:
    return {"error": {"message": message, "type": kind, "code": None, "param": None}}
