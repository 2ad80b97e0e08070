"""The routes. A request comes in, a page or a redirect goes out; what is said after a redirect is a flash."""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import parse_qs

from guestbook import pages
from guestbook.store import Store

NAME = re.compile(r"[A-Za-z0-9]{2,20}")
PASSWORD_LENGTH = 8
MESSAGE_LENGTH = 500
COOKIE = "guestbook"


@dataclass
class Request:
    """What the browser asks."""

    method: str
    path: str
    query: dict[str, str]
    form: dict[str, str]
    key: str
    name: str


@dataclass
class Answer:
    """What it gets."""

    status: str
    body: str = ""
    location: str = ""
    key: str | None = None
    """A new session."""


class Web:
    """The application, as WSGI wants it."""

    def __init__(self, store: Store, post_seconds: float = 0) -> None:
        """With `post_seconds` a message takes its time, which slows down robots."""
        self._store, self._post_seconds = store, post_seconds

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        request = self._request(environ)
        answer = self._route(request)
        headers = [("Content-Type", "text/html; charset=utf-8"), ("Cache-Control", "no-store")]
        if answer.location:
            headers.append(("Location", answer.location))
        if answer.key or not self._is_session(_cookie(environ)):
            headers.append(("Set-Cookie", f"{COOKIE}={answer.key or request.key}; Path=/; HttpOnly; SameSite=Lax"))
        start_response(answer.status, headers)
        return [answer.body.encode()]

    def _is_session(self, key: str) -> bool:
        return self._store.session(key) is not None

    def _request(self, environ: dict[str, Any]) -> Request:
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0)).decode()
        key = _cookie(environ)
        if not self._is_session(key):
            key = self._store.open_session()
        method, path = environ["REQUEST_METHOD"], environ.get("PATH_INFO", "/")
        query = _fields(environ.get("QUERY_STRING", ""))
        return Request(method, path, query, _fields(body), key, self._store.session(key) or "")

    def _route(self, request: Request) -> Answer:
        if found := re.fullmatch(r"/edit/(\d+)", request.path):
            return self._edit(request, int(found[1]))
        routes = {
            ("GET", "/"): self._home,
            ("POST", "/post"): self._post,
            ("GET", "/signup"): self._signup_page,
            ("POST", "/signup"): self._signup,
            ("GET", "/login"): self._login_page,
            ("POST", "/login"): self._login,
            ("POST", "/logout"): self._logout,
        }
        handle = routes.get((request.method, request.path))
        if handle is None:
            return self._page(request, "Not found", "<p>There is no such page.</p>", status="404 Not Found")
        return handle(request)

    def _page(self, request: Request, title: str, body: str, *, status: str = "200 OK") -> Answer:
        flash = self._store.take_flash(request.key)
        return Answer(status, pages.layout(title, body, name=request.name, flash=flash))

    def _go(self, request: Request, path: str, flash: str) -> Answer:
        self._store.set_flash(request.key, flash)
        return Answer("303 See Other", location=path)

    # --- messages ---

    def _home(self, request: Request, *, draft: str = "", error: str = "") -> Answer:
        number = request.query.get("page", "1")
        page = self._store.page(int(number) if number.isdecimal() else 1)
        form = secrets.token_urlsafe(8)
        body = pages.messages(page, request.name, form, draft=draft, error=error)
        return self._page(request, "Messages", body)

    def _post(self, request: Request) -> Answer:
        if not request.name:
            return self._go(request, "/login", "Please log in first.")
        body = request.form.get("body", "").strip()
        if error := problem(body):
            return self._home(request, draft=body, error=error)
        time.sleep(self._post_seconds)
        if not self._store.post(request.name, body, request.form.get("form", "")):
            return self._go(request, "/", "This message was posted already.")
        return self._go(request, "/", "Your message was posted.")

    def _edit(self, request: Request, message_id: int) -> Answer:
        if not request.name:
            return self._go(request, "/login", "Please log in first.")
        message = self._store.message(message_id)
        if message is None or message.author != request.name:
            return self._go(request, "/", "You can only edit your own messages.")
        if request.method == "GET":
            return self._page(request, "Edit message", pages.edit(message.id, message.body))
        body = request.form.get("body", "").strip()
        if error := problem(body):
            return self._page(request, "Edit message", pages.edit(message.id, body, error))
        self._store.change(message.id, body)
        return self._go(request, "/", "Your message was changed.")

    # --- people ---

    def _signup_page(self, request: Request, name: str = "", error: str = "") -> Answer:
        return self._page(request, "Sign up", pages.credentials("/signup", "Sign up", name, error))

    def _signup(self, request: Request) -> Answer:
        name, password = request.form.get("name", "").strip(), request.form.get("password", "")
        if not NAME.fullmatch(name):
            return self._signup_page(request, name, "A name has 2 to 20 letters or digits.")
        if len(password) < PASSWORD_LENGTH:
            return self._signup_page(request, name, f"A password has at least {PASSWORD_LENGTH} characters.")
        if not self._store.add_person(name, password):
            return self._signup_page(request, name, "That name is taken.")
        return self._enter(request, name)

    def _login_page(self, request: Request, name: str = "", error: str = "") -> Answer:
        return self._page(request, "Log in", pages.credentials("/login", "Log in", name, error))

    def _login(self, request: Request) -> Answer:
        name = request.form.get("name", "").strip()
        if not self._store.knows(name, request.form.get("password", "")):
            return self._login_page(request, name, "Wrong name or password.")
        return self._enter(request, name)

    def _enter(self, request: Request, name: str) -> Answer:
        self._store.close_session(request.key)
        key = self._store.open_session(name)
        self._store.set_flash(key, f"Welcome, {name}!")
        return Answer("303 See Other", location="/", key=key)

    def _logout(self, request: Request) -> Answer:
        self._store.close_session(request.key)
        key = self._store.open_session()
        self._store.set_flash(key, "You are logged out.")
        return Answer("303 See Other", location="/", key=key)


def problem(body: str) -> str:
    """Why a message cannot be taken; empty: it can."""
    if not body:
        return "Write something first."
    if len(body) > MESSAGE_LENGTH:
        return f"A message has at most {MESSAGE_LENGTH} characters."
    return ""


def _fields(text: str) -> dict[str, str]:
    return {name: values[-1] for name, values in parse_qs(text, keep_blank_values=True).items()}


def _cookie(environ: dict[str, Any]) -> str:
    try:
        cookies = SimpleCookie(environ.get("HTTP_COOKIE", ""))
    except CookieError:
        return ""
    return cookies[COOKIE].value if COOKIE in cookies else ""
