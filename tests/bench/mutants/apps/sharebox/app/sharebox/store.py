"""Lists, their items and who may see them, in SQLite. Every question says who asks."""

from __future__ import annotations

import secrets
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

PEOPLE = {"alice": "wonderland", "bob": "builder", "carol": "christmas"}
TABLES = """
create table if not exists sessions (key text primary key, name text);
create table if not exists lists (id integer primary key, owner text, title text);
create table if not exists shares (list integer, name text, primary key (list, name));
create table if not exists items (
  id integer primary key, list integer, text text, done integer default 0, deleted integer default 0
);
"""
VISIBLE = "(lists.owner = :me or exists (select 1 from shares where shares.list = lists.id and shares.name = :me))"


class Forbidden(Exception):
    """Who asks may not see it, or it is not there; which of the two is not told."""


class Store:
    """All that is kept. Every call opens the file anew, so that it may be emptied at any time."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        connection = sqlite3.connect(self._path, timeout=10)
        connection.row_factory = sqlite3.Row
        try:
            connection.executescript(TABLES)
            with connection:
                yield connection
        finally:
            connection.close()

    # --- people ---

    def sign_in(self, name: str, password: str) -> str | None:
        """The key of a new session; None: name or password is wrong."""
        if PEOPLE.get(name) != password:
            return None
        key = secrets.token_urlsafe(16)
        with self._open() as db:
            db.execute("insert into sessions values (?, ?)", (key, name))
        return key

    def who(self, key: str) -> str | None:
        with self._open() as db:
            row = db.execute("select name from sessions where key = ?", (key,)).fetchone()
        return row["name"] if row else None

    def sign_out(self, key: str) -> None:
        with self._open() as db:
            db.execute("delete from sessions where key = ?", (key,))

    # --- lists ---

    def add_list(self, me: str, title: str) -> int:
        with self._open() as db:
            return db.execute("insert into lists (owner, title) values (?, ?)", (me, title)).lastrowid or 0

    def lists(self, me: str) -> list[dict[str, Any]]:
        """Own lists and those shared with one, in the order they were made, with the number of open items."""
        sql = f"""
        select id, title, owner,
          (select count(*) from items where list = lists.id and not done and not deleted) as open
        from lists where {VISIBLE} order by id"""
        with self._open() as db:
            return [dict(row) for row in db.execute(sql, {"me": me})]

    def list(self, me: str, list_id: int) -> dict[str, Any]:
        """One list with its items. Raises: Forbidden."""
        with self._open() as db:
            row = self._visible(db, me, list_id)
            items = db.execute(
                "select id, text, done from items where list = ? and not deleted order by id", (list_id,)
            )
            shared = db.execute("select name from shares where list = ? order by name", (list_id,))
            return {
                **dict(row),
                "items": [{**dict(item), "done": bool(item["done"])} for item in items],
                "shared": [share["name"] for share in shared],
            }

    def share(self, me: str, list_id: int, name: str) -> None:
        """Raises: Forbidden: only the owner shares."""
        with self._open() as db:
            self._own(db, me, list_id)
            db.execute("insert or ignore into shares values (?, ?)", (list_id, name))

    def unshare(self, me: str, list_id: int, name: str) -> None:
        """Raises: Forbidden: only the owner stops it."""
        with self._open() as db:
            self._own(db, me, list_id)
            db.execute("delete from shares where list = ? and name = ?", (list_id, name))

    # --- items ---

    def add_item(self, me: str, list_id: int, text: str) -> int:
        with self._open() as db:
            self._visible(db, me, list_id)
            return db.execute("insert into items (list, text) values (?, ?)", (list_id, text)).lastrowid or 0

    def set_done(self, me: str, item_id: int, done: bool) -> None:
        with self._open() as db:
            self._item(db, me, item_id)
            db.execute("update items set done = ? where id = ?", (done, item_id))

    def set_deleted(self, me: str, item_id: int, deleted: bool) -> None:
        """A deleted item can be brought back."""
        with self._open() as db:
            self._item(db, me, item_id)
            db.execute("update items set deleted = ? where id = ?", (deleted, item_id))

    def search(self, me: str, words: str) -> list[dict[str, Any]]:
        """Items that contain the words, of lists one may see."""
        sql = f"""
        select items.id, items.text, lists.title, lists.id as list from items join lists on lists.id = items.list
        where instr(lower(items.text), lower(:words)) and not deleted and {VISIBLE} order by items.id"""
        with self._open() as db:
            return [dict(row) for row in db.execute(sql, {"me": me, "words": words})]

    # --- rights ---

    def _visible(self, db: sqlite3.Connection, me: str, list_id: int) -> sqlite3.Row:
        sql = f"select id, title, owner from lists where id = :id and {VISIBLE}"
        return _found(db.execute(sql, {"me": me, "id": list_id}).fetchone())

    def _own(self, db: sqlite3.Connection, me: str, list_id: int) -> None:
        _found(db.execute("select id from lists where id = ? and owner = ?", (list_id, me)).fetchone())

    def _item(self, db: sqlite3.Connection, me: str, item_id: int) -> None:
        row = _found(db.execute("select list from items where id = ?", (item_id,)).fetchone())
        self._visible(db, me, row["list"])


def _found(row: sqlite3.Row | None) -> sqlite3.Row:
    if row is None:
        raise Forbidden
    return row
