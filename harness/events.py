"""One typed stream of what happens in a run.

Every part tells what it does by emitting an event; the trajectory file, the console and any later page are
listeners of the same stream. Events carry facts, never decisions: nothing reads an event to decide what to do next.
Text in events may come from a model, a page or a program: listeners escape it for where they show it.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field


class _Event(BaseModel):
    model_config = ConfigDict(frozen=True)
    at: datetime = Field(default_factory=lambda: datetime.now(UTC))
    """When it happened, UTC."""


class StageStarted(_Event):
    """A node of a graph, or a named part of one, began."""

    kind: Literal["stage"] = "stage"
    stage: str
    """survey, plan, scaffold, prove, baseline, orient, regress, select, contract, session, verify, commit, record."""
    detail: str = ""
    feature_id: str = ""


class Progressed(_Event):
    """A stage that takes longer than a second moved on."""

    kind: Literal["progress"] = "progress"
    stage: str
    done: int
    total: int
    """0 when the total is not known."""
    detail: str = ""


class SessionStarted(_Event):
    """A fresh context was opened for a feature."""

    kind: Literal["session"] = "session"
    session_id: str
    feature_id: str
    attempt: int
    brief: str
    """The whole first message the coder sees."""


class ModelCalled(_Event):
    """One call of the endpoint returned."""

    kind: Literal["model"] = "model"
    role: str
    conversation: str
    """The checkpoint thread or author conversation the call belongs to."""
    turn: int
    text: str = ""
    reasoning: str = ""
    """What it thought before, where the endpoint tells; never part of the text."""
    answered_by: str = ""
    """The model's name in the answer, where it is not the one that was asked."""
    tool_calls: list[dict[str, Any]] = Field(default_factory=list)
    """[{id, name, args}]"""
    input_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0
    cost_usd: float = 0.0
    seconds: float = 0.0
    request_bytes: int = 0
    previous_bytes: int = 0
    """Of the conversation's request before; 0: there was none in this process."""
    repeated_bytes: int = 0
    """Of the request before, from its first byte on: what a prompt cache can reuse; see `model/prefix.py`."""


class ToolReturned(_Event):
    """One tool call of the coder was carried out."""

    kind: Literal["tool"] = "tool"
    name: str
    args: dict[str, Any] = Field(default_factory=dict)
    result: str = ""
    """What the model saw, cut for the model already."""
    picture: str = ""
    """Name of the picture that it saw too, a file in `pictures` beside the trajectory."""
    outcome: Literal["ok", "retry", "failed", "refused"] = "ok"
    """refused: by policy, and nothing was done."""
    seconds: float = 0.0
    role: str = ""
    """Who called: coder, initializer."""
    again: bool = False
    """A kill had cut it; it was carried out anew."""


class FileChanged(_Event):
    """A tool wrote a file of the project."""

    kind: Literal["file"] = "file"
    path: str
    """As the tool was given it."""
    sha256: str
    """Of the whole new content."""
    role: str = ""


class Decided(_Event):
    """Something was allowed, refused or settled that no other event tells; for the thread's audit.

    Emitted once for each decision, by whoever takes it, before its effect: a session for what it starts again, the
    coding graph for each dispute.
    """

    kind: Literal["decision"] = "decision"
    topic: Literal["command", "dispute", "sandbox"]
    what: str
    """What it is about: a command, a feature and its step."""
    decision: str
    """One word or two: allowed, refused, upheld, rewritten, for a person."""
    by: str
    """Who decided: policy, harness, person, second author."""
    reason: str = ""


class Steered(_Event):
    """A person's word reached the session in work."""

    kind: Literal["word"] = "word"
    text: str
    word_id: str
    """The same when a kill made it be told again."""


class Recalled(_Event):
    """Memory was asked; kept so that its worth can be measured."""

    kind: Literal["recall"] = "recall"
    query: str
    keys: list[str] = Field(default_factory=list)
    titles: list[str] = Field(default_factory=list)
    """The first line of each record found, in order."""
    seconds: dict[str, float] = Field(default_factory=dict)
    """By stage: embed, dense, words, rank."""
    source: str = ""
    """milvus, numpy or words: which index answered."""


class ContractWritten(_Event):
    """The verifier agreed what a feature must do, before the code."""

    kind: Literal["contract"] = "contract"
    feature_id: str
    acts: int
    expectations: int
    words: str = ""


class NamesBound(_Event):
    """A binder looked for the things a contract names on the running application."""

    kind: Literal["binding"] = "binding"
    feature_id: str
    names: int
    """Bound in these calls; names of the project that served are not counted."""
    calls: int
    problems: list[str] = Field(default_factory=list)
    """What could not be bound or done; never a verdict."""
    last_resort: list[str] = Field(default_factory=list)
    """Names that css or a position was needed for."""


class CheckReplayed(_Event):
    """A check ran once against an application instance, without a model."""

    kind: Literal["replay"] = "replay"
    feature_id: str
    purpose: Literal["prove", "red", "perturb", "regress", "verify", "vary"]
    passed: bool
    reason: str = ""
    """On failure: the step, what was expected and what was seen."""
    seconds: float = 0.0


class VerdictReached(_Event):
    """Code decided whether a feature passes."""

    kind: Literal["verdict"] = "verdict"
    feature_id: str
    passed: bool
    reason: str = ""
    proof: dict[str, int] = Field(default_factory=dict)
    """Expectations by kind of proof: red, perturbed, person."""
    evidence: str = ""
    """Directory of the evidence files."""


class Committed(_Event):
    """Proved work reached the branch."""

    kind: Literal["commit"] = "commit"
    feature_id: str
    commit_sha: str
    subject: str
    regressed: str = ""
    """`n of m` checks replayed before it."""


class StateChanged(_Event):
    """A feature was parked or reopened, added or removed, its text or contract amended, or its claim refuted."""

    kind: Literal["state"] = "state"
    feature_id: str
    change: Literal["parked", "reopened", "amended", "refuted", "added", "removed"]
    reason: str = ""
    by: Literal["harness", "person"] = "harness"


class NetworkAsked(_Event):
    """Code of the project wanted to reach a host, and was let through or not."""

    kind: Literal["network"] = "network"
    host: str
    port: int
    allowed: bool
    reason: str = ""
    """Why not; or that no more like it are told, `host` being the line that allows them or `*`."""
    address: str = ""
    """What the name stood for when it was judged."""


class Noticed(_Event):
    """Something a person should know that stops nothing."""

    kind: Literal["notice"] = "notice"
    text: str
    level: Literal["info", "warning"] = "info"


class RunEnded(_Event):
    """The run is over."""

    kind: Literal["ended"] = "ended"
    exit_status: str
    reason: str = ""
    resume: str = ""
    """The command that continues it; empty when there is nothing left to do."""


Event = Annotated[
    StageStarted
    | Progressed
    | SessionStarted
    | ModelCalled
    | ToolReturned
    | FileChanged
    | Decided
    | Steered
    | Recalled
    | ContractWritten
    | NamesBound
    | CheckReplayed
    | VerdictReached
    | Committed
    | StateChanged
    | NetworkAsked
    | Noticed
    | RunEnded,
    Field(discriminator="kind"),
]

Listener = Callable[[Any], None]


class Events:
    """Hands every event to every listener, in order, at once.

    A listener that raises ends the run: a trajectory that cannot be written must not go unnoticed.
    """

    def __init__(self) -> None:
        self._listeners: list[Listener] = []

    def listen(self, listener: Listener) -> Callable[[], None]:
        """Add a listener; the returned function removes it."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    def emit(self, event: Any) -> None:
        """Tell everybody."""
        for listener in list(self._listeners):
            listener(event)
