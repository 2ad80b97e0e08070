"""The questions the page may ask, and the answers. Knows nothing of sockets."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from typing import Any

from sharebox.store import PEOPLE, Forbidden, Store

SLOW_SECONDS = 1.5
"""A search of one or two letters goes through everything there is."""


@dataclass
class Answer:
    """What the page gets; `key` is a new session, empty one that ended."""

    status: int
    body: Any = None
    key: str | None = None


class Refused(Exception):
    """The question makes no sense; the text is for the person."""


class Api:
    """Answers questions of whoever holds a session."""

    def __init__(self, store: Store, slow_seconds: float = SLOW_SECONDS) -> None:
        self._store, self._slow_seconds = store, slow_seconds

    def answer(self, method: str, path: str, key: str, query: dict[str, str], body: dict[str, Any]) -> Answer:
        try:
            if path == "/api/session":
                return self._session(method, key, body)
            me = self._store.who(key)
            if me is None:
                return Answer(401, {"error": "Please sign in."})
            return self._signed_in(method, path, me, query, body)
        except Forbidden:
            return Answer(403, {"error": "You cannot see this list."})
        except Refused as exc:
            return Answer(422, {"error": str(exc)})

    def _session(self, method: str, key: str, body: dict[str, Any]) -> Answer:
        if method == "DELETE":
            self._store.sign_out(key)
            return Answer(200, {"name": None}, key="")
        if method == "POST":
            name = str(body.get("name", "")).strip().lower()
            new = self._store.sign_in(name, str(body.get("password", "")))
            if new is None:
                return Answer(403, {"error": "Name or password is wrong."})
            return Answer(200, {"name": name}, key=new)
        return Answer(200, {"name": self._store.who(key)})

    def _signed_in(self, method: str, path: str, me: str, query: dict[str, str], body: dict[str, Any]) -> Answer:
        if path == "/api/search":
            return Answer(200, self._search(me, query.get("q", "").strip()))
        if path == "/api/lists":
            if method == "POST":
                return Answer(200, {"id": self._store.add_list(me, text_of(body, "Give the list a name."))})
            return Answer(200, self._store.lists(me))
        if found := re.fullmatch(r"/api/lists/(\d+)(/items|/shares)?", path):
            return self._list(method, me, int(found[1]), found[2], body)
        if found := re.fullmatch(r"/api/items/(\d+)", path):
            return self._item(me, int(found[1]), body)
        return Answer(404, {"error": "There is nothing here."})

    def _search(self, me: str, words: str) -> list[dict[str, Any]]:
        if not words:
            return []
        if len(words) < 3:
            time.sleep(self._slow_seconds)
        return self._store.search(me, words)

    def _list(self, method: str, me: str, list_id: int, part: str | None, body: dict[str, Any]) -> Answer:
        if part == "/items":
            self._store.add_item(me, list_id, text_of(body, "Write what is to be done."))
        elif part == "/shares" and method == "DELETE":
            self._store.unshare(me, list_id, str(body.get("name", "")))
        elif part == "/shares":
            self._store.share(me, list_id, partner(me, str(body.get("name", ""))))
        return Answer(200, self._store.list(me, list_id))

    def _item(self, me: str, item_id: int, body: dict[str, Any]) -> Answer:
        if "done" in body:
            self._store.set_done(me, item_id, bool(body["done"]))
        if "deleted" in body:
            self._store.set_deleted(me, item_id, bool(body["deleted"]))
        return Answer(200, {})


def text_of(body: dict[str, Any], complaint: str) -> str:
    text = str(body.get("text", "")).strip()
    if not text:
        raise Refused(complaint)
    return text


def partner(me: str, name: str) -> str:
    """Whom to share with."""
    clean = name.strip().lower()
    if clean not in PEOPLE:
        raise Refused(f"Nobody here is called {name.strip()}.")
    if clean == me:
        raise Refused("It is your own list.")
    return clean
