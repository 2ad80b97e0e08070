"""The model: one strict call of a Chat Completions endpoint, and one question with a typed answer.

    client    the key, the time limit, counting: `Model`
    strict    reads an answer: a whole chat completion or a fault, never a guess
    reply     what a call brought and what it used
    quirks    how endpoints differ: one table
    reasoning what a model thought, kept out of what it said
    stream    an answer that came in pieces, put together when it is over
    prefix    how much of each request repeats the one before
    faults    what an endpoint can do wrong, told apart by what can be done about it
    http      the HTTP client: proxies, bounded answers
    retry     trying again after faults that may pass
    ask       asking until an answer is accepted
    missing   what stands in its place where it may not be needed

Callers keep their messages and only ever append to them, so that endpoints can cache the prompt's prefix.
"""

from harness.model.client import Model
from harness.model.faults import ContextOverflow, EndpointRefused, ModelPaused, ToolChoiceRefused, ToolsRefused
from harness.model.http import Transport, is_loopback
from harness.model.missing import MissingModel
from harness.model.reply import InvalidCall, Reply, Totals, Usage, estimate_tokens

__all__ = [
    "ContextOverflow",
    "EndpointRefused",
    "InvalidCall",
    "MissingModel",
    "Model",
    "ModelPaused",
    "Reply",
    "ToolChoiceRefused",
    "ToolsRefused",
    "Totals",
    "Transport",
    "Usage",
    "estimate_tokens",
    "is_loopback",
]
