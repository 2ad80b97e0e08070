from __future__ import annotations

import io
import re
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from guestbook import pages
from guestbook.store import Message, Page, Store
from guestbook.web import Web, problem


class Client:
    """Speaks to the routes without a server."""

    def __init__(self, web: Web) -> None:
        self._web, self._cookie = web, ""

    def send(self, method: str, path: str, **fields: str) -> tuple[str, str]:
        """Status or the place it redirects to, and the body."""
        body = urlencode(fields).encode()
        said: dict[str, Any] = {}
        environ = {"REQUEST_METHOD": method, "PATH_INFO": path, "HTTP_COOKIE": self._cookie}
        environ |= {"CONTENT_LENGTH": str(len(body)), "wsgi.input": io.BytesIO(body)}
        answer = self._web(environ, lambda status, headers: said.update(status=status, headers=dict(headers)))
        if "Set-Cookie" in said["headers"]:
            self._cookie = said["headers"]["Set-Cookie"].partition(";")[0]
        return said["headers"].get("Location", said["status"]), b"".join(answer).decode()

    def sign_up(self, name: str = "alice") -> None:
        assert self.send("POST", "/signup", name=name, password="correct horse")[0] == "/"


@pytest.fixture
def client(tmp_path: Path) -> Client:
    return Client(Web(Store(tmp_path / "guestbook.db")))


def test_signing_up_signs_in(client: Client) -> None:
    client.sign_up()
    assert "Signed in as alice" in client.send("GET", "/")[1]


def test_a_short_password_is_refused(client: Client) -> None:
    assert "at least 8 characters" in client.send("POST", "/signup", name="alice", password="short")[1]


def test_a_wrong_password_is_refused(client: Client) -> None:
    client.sign_up()
    assert "Wrong name or password." in client.send("POST", "/login", name="alice", password="wrong")[1]


def test_logging_out_ends_the_session(client: Client) -> None:
    client.sign_up()
    client.send("POST", "/logout")
    assert "Log in to write" in client.send("GET", "/")[1]


def test_posting_redirects_and_shows_the_message(client: Client) -> None:
    client.sign_up()
    form = re.search(r'name="form" value="([^"]+)"', client.send("GET", "/")[1])
    assert form
    assert client.send("POST", "/post", body="Hello", form=form[1])[0] == "/"
    assert "Hello" in client.send("GET", "/")[1]


def test_visitors_cannot_post(client: Client) -> None:
    assert client.send("POST", "/post", body="Hello", form="x")[0] == "/login"


def test_only_the_author_may_edit(client: Client) -> None:
    client.sign_up("alice")
    client.send("POST", "/post", body="Mine", form="a")
    client.send("POST", "/logout")
    client.sign_up("bob")
    assert client.send("POST", "/edit/1", body="Stolen")[0] == "/"
    assert "Mine" in client.send("GET", "/")[1]


def test_an_unknown_page_is_not_found(client: Client) -> None:
    assert client.send("GET", "/nowhere")[0] == "404 Not Found"


def test_blank_and_long_messages_are_refused() -> None:
    assert problem("") == "Write something first."
    assert problem("x" * 501)
    assert not problem("x" * 500)


def test_what_people_write_is_escaped() -> None:
    page = Page([Message(1, "alice", "<b>bold</b>", False)], 1, 1)
    assert "&lt;b&gt;bold&lt;/b&gt;" in pages.messages(page, "", "")
