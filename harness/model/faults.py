"""What an endpoint can do wrong, told apart by what can be done about it.

Every exception of openai, its HTTP client and langchain becomes one of ours here and nowhere else:

    PassingFault        trying again may help: 429, 5xx, a dropped connection, an HTML page; never leaves `Model`
    ModelPaused         waiting helps, longer than a run should wait: quota, a long Retry-After, a dead endpoint
    ContextOverflow     the prompt must become shorter
    ToolChoiceRefused   the endpoint cannot be made to call one named tool; `ask` goes on without
    ToolsRefused        the model makes no tool calls; another one is needed
    EndpointRefused     the person must mend the key, the model's name or the address; the thread goes on after that
    ModelError          nothing of these
"""

from __future__ import annotations

import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

from harness import address
from harness.errors import HarnessError, ModelError, SetupError

OVERFLOW = re.compile(
    r"context_length_exceeded|maximum context length|context window|context size|context limit|prompt is too long"
    r"|request too large|input tokens exceed|too many tokens|reduce the length",
    re.IGNORECASE,
)
QUOTA = re.compile(
    r"insufficient_quota|exceeded your current quota|billing|credit balance|insufficient.{0,20}credits", re.I
)
TRY_AGAIN_IN = re.compile(
    r"(?:try again in|retry in|retryDelay\W+)\s*(?:(\d+)h)?(?:(\d+)m(?!s))?(?:(\d{1,6}(?:\.\d+)?)s)?", re.IGNORECASE
)
KEY = re.compile(
    r"api[ _-]?key.{0,40}(expired|invalid|not valid|revoked|disabled)|(expired|invalid|incorrect).{0,20}api[ _-]?key",
    re.I,
)
TOOLS = re.compile(
    r"(not|n't) support (tool|function)|support tool use|(tools?|functions?|function calling) (is|are) not supported",
    re.I,
)

IMAGES = re.compile(
    r"image_url|image input|(not|n't) support (images?|vision|multimodal)|(images?|vision) (is|are) not supported"
    r"|not a (multimodal|vision) model",
    re.I,
)
GARBLED = re.compile(r"tool_use_failed|failed to call a function|failed_generation", re.I)
"""The model's own call could not be read by its server; the next answer is another one."""


class ContextOverflow(ModelError):
    """The prompt does not fit the model's window; condense it and call again."""


class ToolsRefused(ModelError):
    """The model makes no tool calls, so it cannot be used for the role."""

    @classmethod
    def by(cls, model: str, why: str) -> ToolsRefused:
        """One sentence for every way of finding this out."""
        return cls(
            f"the model {model!r} does not make tool calls: {why}",
            "The harness works through tools; choose another model (OPENAI_MODEL, or [model.roles] in harness.toml).",
        )


class EndpointRefused(SetupError):
    """The endpoint refuses the key, the model's name or the address, or cannot be trusted."""


class ToolChoiceRefused(ModelError):
    """The endpoint refuses `tool_choice`; ask without it."""


class ModelPaused(ModelError):
    """The endpoint will not answer for a while: a safe stop.

    Args:
        resume_at: when it said it will answer again; None when it did not say.
    """

    def __init__(self, what: str, remedy: str = "", *, resume_at: datetime | None = None) -> None:
        super().__init__(what, remedy)
        self.resume_at = resume_at

    @classmethod
    def until(cls, what: str, seconds: float) -> ModelPaused:
        """Stop because the endpoint asked for a longer wait than allowed."""
        resume_at = datetime.now(UTC) + timedelta(seconds=seconds)
        remedy = f"Resume the thread after {resume_at:%Y-%m-%d %H:%M:%S} UTC."
        return cls(f"{what}; it asks to wait {seconds:.0f} s", remedy, resume_at=resume_at)

    @classmethod
    def by_quota(cls, said: str, seconds: float | None) -> ModelPaused:
        """Stop because the account may use no more; `seconds` is the wait the endpoint named, if it did."""
        what = f"the account's quota is used up: {said}"
        if not seconds:
            return cls(what, "Raise it or wait, then resume the thread.")
        resume_at = datetime.now(UTC) + timedelta(seconds=seconds)
        remedy = f"Raise it, or resume the thread after {resume_at:%Y-%m-%d %H:%M:%S} UTC."
        return cls(what, remedy, resume_at=resume_at)


class PassingFault(ModelError):
    """Trying again may help.

    Args:
        retry_after: seconds the endpoint asked to wait; None when it did not.
    """

    def __init__(self, what: str, remedy: str = "", *, retry_after: float | None = None) -> None:
        super().__init__(what, remedy)
        self.retry_after = retry_after


class BadCompletion(ValueError):
    """A 200 answer that is not a chat completion.

    Args:
        status: the HTTP status its body claims, when a gateway wrapped an error in a 200.
    """

    def __init__(self, why: str, status: int | None = None) -> None:
        super().__init__(why)
        self.status = status


@dataclass(frozen=True)
class Endpoint:
    """Who was asked; what the texts name."""

    model: str
    base_url: str = field(repr=False)
    key: str = field(default="", repr=False)
    key_name: str = "OPENAI_API_KEY"
    """The environment variable that holds it."""

    @property
    def where(self) -> str:
        """Its address without a password."""
        return address.shown(self.base_url)

    def redact(self, text: str) -> str:
        """Take the key and the address's password out of a text that a server may have echoed."""
        text = text.replace(self.key, "[key]") if len(self.key) >= 8 else text
        return address.redact(text, self.base_url)


def foreign_errors() -> tuple[type[Exception], ...]:
    """The exceptions that `fault_from` understands."""
    import httpx2
    import openai
    from langchain_core.exceptions import LangChainException
    from langchain_openai.chat_models.base import OpenAIRefusalError

    http = (httpx2.HTTPError, httpx2.InvalidURL, httpx2.CookieConflict, httpx2.StreamError)
    # A hostile answer surfaces in the client's parsers as one of the plain ones.
    plain = (ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError, OSError)
    return (openai.OpenAIError, LangChainException, OpenAIRefusalError, *http, *plain)


def fault_from(exc: Exception, endpoint: Endpoint) -> HarnessError:
    """Say which of our faults a foreign exception is, with nothing secret in the text."""
    import httpx2
    import openai

    said = endpoint.redact(_words(exc))[:600]  # cut first, a half of the secret would stay
    status = getattr(exc, "status_code", None) or getattr(exc, "status", None)
    where = f"the endpoint {endpoint.where}"
    if isinstance(exc, openai.APIResponseValidationError):
        return PassingFault(f"{where} answered something that is not a chat completion: {said}", _WRONG_SERVER)
    if isinstance(status, int) and isinstance(exc, openai.APIStatusError | BadCompletion):
        headers = getattr(getattr(exc, "response", None), "headers", {})
        return _status_fault(status, said, endpoint, getattr(exc, "type", None), retry_after(headers, said=said))
    if isinstance(exc, openai.APITimeoutError | httpx2.TimeoutException | TimeoutError):
        return PassingFault(f"{where} did not answer in time", "Is it up? A slow model needs a larger call_seconds.")
    if isinstance(exc, httpx2.InvalidURL | httpx2.UnsupportedProtocol):
        return EndpointRefused(f"{endpoint.where!r} is not an address: {said}", "Set OPENAI_BASE_URL.")
    if isinstance(exc, openai.APIConnectionError | httpx2.TransportError | OSError):
        return _connection_fault(exc, said, endpoint)
    if OVERFLOW.search(said):
        return _overflow(endpoint, said)
    if isinstance(exc, openai.APIError | httpx2.RequestError | httpx2.StreamError | _SHAPE_ERRORS):
        return PassingFault(f"{where} answered something that is not a chat completion: {said}", _WRONG_SERVER)
    return ModelError(f"the model {endpoint.model!r} could not be called: {type(exc).__name__}: {said}")


_SHAPE_ERRORS = ValueError | TypeError | KeyError | IndexError | AttributeError | RecursionError
_WRONG_SERVER = "Is OPENAI_BASE_URL a Chat Completions endpoint (usually it ends in /v1)?"


def _status_fault(status: int, said: str, endpoint: Endpoint, kind: str | None, wait: float | None) -> HarnessError:
    where = f"the endpoint {endpoint.where} answered {status}: {said}"
    if kind == "recording_divergence":
        return ModelError(said, "The run no longer does what was recorded; record it again, or undo the change.")
    if status == 413 or (status in (400, 422, 429, 500) and OVERFLOW.search(said)):
        return _overflow(endpoint, said)
    if status == 402 or (status in (403, 429) and QUOTA.search(said)):
        return ModelPaused.by_quota(said, wait)
    if status in (408, 409, 425, 429) or status >= 500:
        return PassingFault(where, retry_after=wait)
    if status == 401 or (status in (400, 403) and KEY.search(said)):
        return EndpointRefused(
            f"{endpoint.where} refuses the API key: {said}", f"Set {endpoint.key_name} to a valid key."
        )
    if status == 400 and GARBLED.search(said):
        return PassingFault(where)
    if status in (400, 404, 422) and TOOLS.search(said):
        return ToolsRefused.by(endpoint.model, said)
    if status in (400, 404, 415, 422, 500) and IMAGES.search(said):
        return SetupError(
            f"{endpoint.model!r} takes no pictures: {said}", "Set images = false under [model], then resume."
        )
    if status in (400, 422) and "tool_choice" in said:
        return ToolChoiceRefused(where)
    if status == 403:
        return EndpointRefused(where, f"The key may not use {endpoint.model!r}: allow it, or set OPENAI_MODEL.")
    if status in (404, 405) or 300 <= status < 400:
        return EndpointRefused(where, f"Check OPENAI_MODEL ({endpoint.model!r}). {_WRONG_SERVER}")
    return ModelError(where, "The request was refused as it is; trying again would not help.")


def _overflow(endpoint: Endpoint, said: str) -> ContextOverflow:
    return ContextOverflow(
        f"the prompt does not fit {endpoint.model!r}: {said}",
        "Set context_tokens in harness.toml to the model's real window, or choose one with a larger window.",
    )


def _connection_fault(exc: Exception, said: str, endpoint: Endpoint) -> HarnessError:
    cause: BaseException | None = exc
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError) or "CERTIFICATE_VERIFY_FAILED" in str(cause):
            return EndpointRefused(
                f"the certificate of {endpoint.where} is not trusted", "Set SSL_CERT_FILE to its issuer."
            )
        said = endpoint.redact(str(cause)) or said
        cause = cause.__cause__ or cause.__context__
    return PassingFault(
        f"the endpoint {endpoint.where} could not be reached: {said[:300]}", "Is it up, and OPENAI_BASE_URL right?"
    )


def _words(exc: Exception) -> str:
    """What the server said; of an HTML page only that it is one."""
    body = getattr(exc, "body", None)
    said = str(body.get("message") or body) if isinstance(body, Mapping) else str(exc)
    if isinstance(body, Mapping) and body.get("code"):
        said = f"{said} ({body['code']})"
    return "an HTML page" if re.search(r"<(!doctype|html)", said, re.I) else said


def retry_after(headers: Any, now: datetime | None = None, said: str = "") -> float | None:
    """Seconds to wait, by the Retry-After header or, without one that makes sense, by what the error says."""
    asked = _by_header(headers, now)
    found = TRY_AGAIN_IN.search(said) if asked is None else None
    if found is None or not any(found.groups()):
        return asked
    hours, minutes, seconds = (float(part or 0) for part in found.groups())
    return _sensible(3600 * hours + 60 * minutes + seconds)


def _by_header(headers: Any, now: datetime | None) -> float | None:
    try:
        if milliseconds := headers.get("retry-after-ms"):
            return _sensible(float(milliseconds) / 1000)
        value = headers.get("retry-after", "").strip()
        if re.fullmatch(r"\d+(\.\d+)?", value):
            return _sensible(float(value))
        until = parsedate_to_datetime(value)
        return _sensible(max(0.0, (until - (now or datetime.now(UTC))).total_seconds()))
    except (ValueError, TypeError, AttributeError):
        return None


def _sensible(seconds: float) -> float | None:
    return seconds if 0 <= seconds < timedelta(days=366).total_seconds() else None
