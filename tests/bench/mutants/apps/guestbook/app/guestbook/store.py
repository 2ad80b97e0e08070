"""People, their sessions and their messages, in SQLite."""

from __future__ import annotations

import hashlib
import secrets
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

PER_PAGE = 5
TABLES = """
create table if not exists people (name text primary key, salt text, password text);
create table if not exists sessions (key text primary key, name text, flash text);
create table if not exists messages (
  id integer primary key, author text, body text, edited integer default 0, form text unique
);
"""


@dataclass(frozen=True)
class Message:
    """One entry of the guestbook."""

    id: int
    author: str
    body: str
    edited: bool


@dataclass(frozen=True)
class Page:
    """Some messages, newest first."""

    messages: list[Message]
    number: int
    last: int


class Store:
    """All that is kept. Every call opens the file anew, so that it may be emptied at any time."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        connection = sqlite3.connect(self._path, timeout=10)
        try:
            connection.executescript(TABLES)
            with connection:
                yield connection
        finally:
            connection.close()

    # --- people ---

    def add_person(self, name: str, password: str) -> bool:
        """False: the name is taken."""
        salt = secrets.token_hex(8)
        with self._open() as db:
            row = (name, salt, _digest(salt, password))
            return db.execute("insert or ignore into people values (?, ?, ?)", row).rowcount == 1

    def knows(self, name: str, password: str) -> bool:
        with self._open() as db:
            row = db.execute("select salt, password from people where name = ?", (name,)).fetchone()
        return row is not None and secrets.compare_digest(row[1], _digest(row[0], password))

    # --- sessions ---

    def session(self, key: str) -> str | None:
        """Who is signed in; empty: nobody; None: there is no such session."""
        with self._open() as db:
            row = db.execute("select name from sessions where key = ?", (key,)).fetchone()
        return row and row[0]

    def open_session(self, name: str = "") -> str:
        key = secrets.token_urlsafe(16)
        with self._open() as db:
            db.execute("insert into sessions values (?, ?, '')", (key, name))
        return key

    def close_session(self, key: str) -> None:
        with self._open() as db:
            db.execute("delete from sessions where key = ?", (key,))

    def set_flash(self, key: str, text: str) -> None:
        with self._open() as db:
            db.execute("update sessions set flash = ? where key = ?", (text, key))

    def take_flash(self, key: str) -> str:
        """What the next page is to say, once."""
        with self._open() as db:
            row = db.execute("select flash from sessions where key = ?", (key,)).fetchone()
            db.execute("update sessions set flash = '' where key = ?", (key,))
        return row[0] if row else ""

    # --- messages ---

    def post(self, author: str, body: str, form: str) -> bool:
        """False: this very form was posted before."""
        with self._open() as db:
            row = (author, body, form)
            sql = "insert or ignore into messages (author, body, form) values (?, ?, ?)"
            return db.execute(sql, row).rowcount == 1

    def change(self, message_id: int, body: str) -> None:
        with self._open() as db:
            db.execute("update messages set body = ?, edited = 1 where id = ?", (body, message_id))

    def message(self, message_id: int) -> Message | None:
        with self._open() as db:
            row = db.execute("select id, author, body, edited from messages where id = ?", (message_id,)).fetchone()
        return _message(row) if row else None

    def page(self, number: int) -> Page:
        """A page of messages; numbers that do not exist give the nearest one."""
        with self._open() as db:
            total = db.execute("select count(*) from messages").fetchone()[0]
            last = max(1, -(-total // PER_PAGE))
            number = min(max(1, number), last)
            sql = "select id, author, body, edited from messages order by id desc limit ? offset ?"
            rows = db.execute(sql, (PER_PAGE, (number - 1) * PER_PAGE)).fetchall()
        return Page([_message(row) for row in rows], number, last)


def _message(row: tuple[int, str, str, int]) -> Message:
    return Message(row[0], row[1], row[2], bool(row[3]))


def _digest(salt: str, password: str) -> str:
    return hashlib.pbkdf2_hmac("sha256", password.encode(), salt.encode(), 20_000).hex()
