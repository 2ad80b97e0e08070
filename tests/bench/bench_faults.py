"""What each fault of an endpoint costs, and what is left after it: real runs of the program, real git, real Chromium.

A project of one feature is initialised once and copied for each fault. The fault strikes in the middle of the session,
when the coder has written its files and asks for the next turn: once, or for good. Struck once, the feature must pass
as if nothing had been; struck for good, the run must stop with the reason, the person's checkout be as it was, and
`harness resume` with a sound endpoint build the feature.
Settings are the defaults (six tries, doubling from one second) but for the time limit of a call, which is short here.
Seconds lost are from the struck request to the next one that is answered, or to the end of the program.
"""

from __future__ import annotations

import contextlib
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import common

sys.path.append(str(common.TESTS / "e2e"))

CALL_SECONDS, WAIT = 3, 2
"""Time limit of a call, and what a 429 asks to wait, in seconds."""
BOUND_SECONDS = 10.0
"""For a fault that strikes once; a hang costs its time limit besides."""
SETTINGS = f"[model]\ncall_seconds = {CALL_SECONDS}\n"


@dataclass
class Striking:
    """An endpoint that fails when the coder asks for its second turn."""

    fault: Any
    times: int
    struck: list[float] = field(default_factory=list)
    answered: float = 0.0
    """When the first request after the fault came that was answered."""

    def __call__(self, request: Any) -> Any:
        """Fail, or answer like a model that makes no mistakes."""
        from bad_input_support import no_mistakes

        wrote = any(m["role"] == "tool" for m in request.messages)
        if not request.conversation.endswith("/s001-F001") or not wrote:
            return no_mistakes(request)
        if len(self.struck) < self.times:
            self.struck.append(time.perf_counter())
            return self.fault
        self.answered = self.answered or time.perf_counter()
        return no_mistakes(request)


@dataclass(frozen=True)
class Outcome:
    """What one fault did."""

    ended: str
    tries: int
    lost_seconds: float
    clean: bool
    """No file or commit of the person's changed, and none is half there."""
    passes: bool
    """The feature passes in the end: in this run, or in the one that goes on."""


def main() -> None:
    """Two tables and the budget."""
    faults = passing() | answers()
    with project_template() as template:
        common.title(f"faults that strike once; a call may take {CALL_SECONDS} s, a 429 asks for {WAIT} s")
        common.row("fault", "ended", "tries", "s lost", "clean", "passes")
        once = {kind: show(kind, strike(template, fault, times=1)) for kind, fault in faults.items()}
        common.title("\nfaults that stay, then `harness resume` with a sound endpoint")
        common.row("fault", "ended", "tries", "s to stop", "clean", "resumed")
        stay = {kind: show(kind, strike(template, fault, times=10_000)) for kind, fault in (lasting()).items()}
    print()
    bad = [kind for kind, done in [*once.items(), *stay.items()] if not (done.clean and done.passes)]
    common.verdict("faults after which something was wrong", len(bad), 0)
    print(*bad)
    lost = [done.lost_seconds for kind, done in once.items() if kind not in ("hang", "drip")]
    common.verdict("most seconds lost to one fault", max(lost), BOUND_SECONDS, " s")
    print(f"median of those that strike once: {statistics.median(lost):.1f} s")


def show(kind: str, done: Outcome) -> Outcome:
    """One row, as soon as it is known."""
    clean, passes = ("yes" if found else "NO" for found in (done.clean, done.passes))
    common.row(kind, done.ended, done.tries, done.lost_seconds, clean, passes)
    return done


def passing() -> dict[str, Any]:
    """Answers that are none."""
    from scripted import body, cut, drip, drop, hang, status, text

    html = "<html><body><h1>502 Bad Gateway</h1></body></html>"
    return {
        "429": status(429, retry_after=WAIT),
        "500": status(500),
        "503": status(503),
        "dropped before the answer": drop(),
        "dropped in the answer": cut(text("x" * 5000)),
        "stream dropped": body('data: {"choices": [{"delta": {"content": "I wi', "text/event-stream"),
        "hang": hang(),
        "drip": drip(),
        "HTML page": body(html),
        "empty choices": {**text("x"), "choices": []},
    }


def answers() -> dict[str, Any]:
    """Whole answers that are no good; the model is told."""
    from scripted import completion, raw_calls, status, text

    over = status(400, "This model's maximum context length is 9 tokens.", code="context_length_exceeded")
    return {
        "malformed arguments": raw_calls([("write_file", '{"path": "a.html", "content": "<h1>It"s</h1>"}', None)]),
        "cut arguments": raw_calls([("write_file", '{"path": "a.html", "conte', None)], finish_reason="length"),
        "arguments of a wrong type": raw_calls([("write_file", '["a.html"]', None)]),
        "unknown tool": raw_calls([("no_such_tool", "{}", None)]),
        "two calls with one id": raw_calls([("list_files", "{}", "same"), ("list_files", "{}", "same")]),
        "empty message": completion({"role": "assistant", "content": ""}),
        "cut at the limit": text("Let me think about the next ", finish_reason="length"),
        "context too long": over,
    }


def lasting() -> dict[str, Any]:
    """Faults for good: those that are tried again, and those that are not."""
    from scripted import status

    tried = passing()
    kinds = ("429", "500", "dropped before the answer", "dropped in the answer", "stream dropped", "hang", "HTML page")
    return {kind: tried[kind] for kind in kinds} | {
        "429, wait of two hours": status(429, "slow down", retry_after=7200),
        "quota": status(429, "You exceeded your current quota", code="insufficient_quota", retry_after=3600),
        "no credits (402)": status(402, "Insufficient credits"),
        "refused key (401)": status(401, "Incorrect API key provided"),
        "expired key (403)": status(403, "This API key has expired"),
        "wrong model name (404)": status(404, "The model `scripted` does not exist"),
    }


@contextlib.contextmanager
def project_template() -> Iterator[Path]:
    """An initialised project, and an environment that is nobody's."""
    from bad_input_support import IDENTITY, commit, make_template

    with tempfile.TemporaryDirectory() as name:
        home = Path(name)
        (home / "gitconfig").write_text(IDENTITY)
        os.environ |= {"GIT_CONFIG_GLOBAL": str(home / "gitconfig"), "HARNESS_STATE_DIR": str(home / "state")}
        template = make_template(home)
        (template / "harness.toml").write_text(SETTINGS)
        features = json.loads((template / "features.json").read_text(encoding="utf-8"))
        del features["features"][1:]
        (template / "features.json").write_text(json.dumps(features, indent=2) + "\n", encoding="utf-8")
        commit(template, "settings of the benchmark")
        yield template


def strike(template: Path, fault: Any, *, times: int) -> Outcome:
    """One run that meets the fault and, if it stopped, one that goes on."""
    from bad_input_support import Person, clone, contents, no_mistakes
    from scripted import ScriptedModel

    with tempfile.TemporaryDirectory() as name:
        project = clone(template, Path(name, "project"))
        before, script = contents(project), Striking(fault, times)
        with ScriptedModel(script) as model:
            ran = Person(base_url=model.base_url).run("run", project, "--thread", "mine")
            ended = time.perf_counter()
        lost = (script.answered or ended) - script.struck[0]
        if times == 1:
            return Outcome(f"exit {ran.code}", len(script.struck) + 1, lost, is_whole(project), passes(project))
        clean = contents(project) == before and is_whole(project)
        with ScriptedModel(no_mistakes) as model:
            Person(base_url=model.base_url).run("resume", "mine", project)
        return Outcome(f"exit {ran.code}", len(script.struck), lost, clean, passes(project))


def is_whole(project: Path) -> bool:
    """Nothing uncommitted in the person's checkout, and no object of git's half there."""
    from bad_input_support import git

    return git(project, "status", "--porcelain") == "" and git(project, "fsck", "--no-dangling") == ""


def passes(project: Path) -> bool:
    """Whether the first feature does, by the list in the checkout."""
    features = json.loads((project / "features.json").read_text(encoding="utf-8"))["features"]
    return bool(features[0]["passes"])


if __name__ == "__main__":
    main()
