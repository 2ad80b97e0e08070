"""No exception of the libraries reaches the harness unmapped."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from types import ModuleType

import httpx
import httpx2
import langchain_core.exceptions
import langchain_openai.chat_models.base
import openai
import pytest

from harness.errors import HarnessError, ModelError, SetupError
from harness.events import Events
from harness.model import Model, is_loopback
from harness.model.faults import BadCompletion, Endpoint, ModelPaused, fault_from, foreign_errors, retry_after
from harness.settings import ModelSettings

ENDPOINT = Endpoint("m", "https://example.invalid/v1", "sk-a-long-secret")
MODULES = (openai, openai._exceptions, httpx2, langchain_core.exceptions, langchain_openai.chat_models.base)


def exceptions_of(modules: tuple[ModuleType, ...]) -> Iterator[type[Exception]]:
    found = {value for module in modules for value in list(vars(module).values()) if inspect.isclass(value)}
    own = [cls for cls in found if cls.__module__.startswith(("openai", "httpx2", "langchain"))]
    return iter(sorted((cls for cls in own if issubclass(cls, Exception)), key=lambda cls: cls.__qualname__))


@pytest.mark.parametrize("foreign", [cls for cls in exceptions_of(MODULES) if not issubclass(cls, Warning)])
def test_every_exception_of_the_libraries_is_caught_and_becomes_ours(foreign: type[Exception]) -> None:
    assert issubclass(foreign, foreign_errors())
    empty = foreign.__new__(foreign)
    Exception.__init__(empty, "what it says")
    assert isinstance(fault_from(empty, ENDPOINT), HarnessError)


def test_an_exception_of_an_unknown_kind_would_be_noticed() -> None:
    """The twin of the test above: the tuple does not simply catch everything."""
    assert not issubclass(type("Unknown", (Exception,), {}), foreign_errors())
    assert not issubclass(httpx.CookieConflict, foreign_errors())


def test_certificates_are_for_the_person_and_not_tried_again() -> None:
    try:
        raise openai.APIConnectionError(request=httpx2.Request("POST", "https://x")) from OSError(
            "[SSL: CERTIFICATE_VERIFY_FAILED] self-signed"
        )
    except openai.APIConnectionError as exc:
        fault = fault_from(exc, ENDPOINT)
    assert isinstance(fault, SetupError)
    assert "SSL_CERT_FILE" in fault.remedy


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "3"}, 3),
        ({"retry-after": "2.5"}, 2.5),
        ({"retry-after-ms": "1500"}, 1.5),
        ({"retry-after": "Sat, 21 Nov 2026 02:01:00 GMT"}, 60),
        ({"retry-after": "Sat, 21 Nov 2026 01:00:00 GMT"}, 0),
        ({"retry-after": "-5"}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "9" * 400}, None),
        ({"retry-after-ms": "nan"}, None),
    ],
)
def test_a_retry_after_is_read_or_ignored(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after(headers, datetime(2026, 11, 21, 2, 0, tzinfo=UTC)) == seconds


@pytest.mark.parametrize(
    ("said", "seconds"),
    [
        ("Rate limit reached. Please try again in 7m12.5s.", 432.5),
        ("Please try again in 20s.", 20),
        ("Please try again in 1h2m3s", 3723),
        ("Please try again in 350ms.", None),
        ("[{'retryDelay': '37s'}]", 37),
        ("Please try again in a while.", None),
        ("Please try again in 9999999999s", None),
    ],
)
def test_a_wait_is_also_read_from_the_words_of_an_error(said: str, seconds: float | None) -> None:
    assert retry_after({}, said=said) == seconds
    assert retry_after({"retry-after": "3"}, said=said) == 3


@pytest.mark.parametrize(("wait", "words"), [(7200.0, "resume the thread after 20"), (None, "Raise it or wait")])
def test_a_quota_says_when_to_go_on_where_the_endpoint_does(wait: float | None, words: str) -> None:
    fault = ModelPaused.by_quota("no credits", wait)
    assert words in fault.remedy
    assert (fault.resume_at is not None) == (wait is not None)


def test_a_long_error_is_cut_and_a_key_taken_out() -> None:
    fault = fault_from(ValueError("sk-a-long-secret " * 1000), ENDPOINT)
    assert isinstance(fault, ModelError)
    assert len(str(fault)) < 1000
    assert "sk-a-long" not in str(fault)


@pytest.mark.parametrize("said", ["http://me:pa%40ss-word@h/v1", "me:pa@ss-word", "pa@ss-word", "bWU6cGFAc3Mtd29yZA=="])
@pytest.mark.parametrize("foreign", [ValueError, OSError, httpx2.InvalidURL, openai.APIError, BadCompletion])
def test_a_password_in_the_address_is_in_no_fault(foreign: type[Exception], said: str) -> None:
    exc = foreign.__new__(foreign)
    Exception.__init__(exc, f"{'x' * 590} {said} is refused")
    fault = str(fault_from(exc, Endpoint("m", "http://me:pa%40ss-word@h/v1")))
    assert not re.search("ss-w|pa@|pa%40|bWU6", fault)
    assert "x" * 300 in fault


@pytest.mark.parametrize("status", [400, 401, 403, 404, 429, 500])
def test_a_status_is_told_without_the_password_of_the_address(status: int) -> None:
    endpoint = Endpoint("m", "http://me:s3cret-word@h/v1")
    fault = str(fault_from(BadCompletion("no: s3cret-word", status), endpoint))
    assert "s3cret" not in fault + repr(endpoint)


@pytest.mark.parametrize("url", ["me:s3cret-word@h/v1", "http://me:s3cret-word@:x/v1", "http://me:s3/cret-word@h/v1"])
def test_a_broken_address_is_told_without_its_password(url: str) -> None:
    with pytest.raises(SetupError, match="is not an address") as told:
        is_loopback(url)
    assert "cret" not in str(told.value)


def test_a_missing_key_is_told_without_the_password_of_the_address() -> None:
    with pytest.raises(SetupError, match=r"https://example\.invalid/v1 needs it"):
        Model(ModelSettings(name="m", base_url="https://me:s3cret-word@example.invalid/v1"), Events())


@pytest.mark.parametrize(
    ("settings", "key", "words"),
    [
        ({"name": "m"}, "", "OPENAI_API_KEY is not set"),
        ({"name": ""}, "sk-1", "Set OPENAI_MODEL, or"),
        ({"name": ""}, "", "Set OPENAI_MODEL and OPENAI_API_KEY, or"),
        ({"roles": {"coder": "m"}}, "sk-1", "OPENAI_MODEL"),
        ({"name": "m", "base_url": "example.com/v1"}, "sk-1", "OPENAI_BASE_URL"),
        ({"name": "m", "base_url": "http://[::1"}, "sk-1", "OPENAI_BASE_URL"),
        ({"name": "m", "base_url": "http://x:99999999/v1"}, "sk-1", "OPENAI_BASE_URL"),
        ({"name": "m"}, "sk-1\nX-Other: 2", "characters"),
        ({"name": "m"}, "“sk-1”", "characters"),
    ],
)
def test_a_wrong_setting_is_named_before_the_first_call(
    settings: dict[str, object], key: str, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", key)
    with pytest.raises(SetupError, match=words):
        Model(ModelSettings(**settings), Events())  # type: ignore[arg-type]  # wrong on purpose


def test_loopback_needs_no_key() -> None:
    Model(ModelSettings(name="m", base_url="http://127.0.0.1:1/v1"), Events())


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://127.0.0.1:8000/v1", True),
        ("http://localhost/v1", True),
        ("http://[::1]:1/v1", True),
        ("http://127.0.0.1.example.com/v1", False),
        ("http://localhost.example.com/v1", False),
        ("https://api.example.com/v1", False),
    ],
)
def test_loopback_is_told_by_the_whole_host(url: str, expected: bool) -> None:
    assert is_loopback(url) is expected
