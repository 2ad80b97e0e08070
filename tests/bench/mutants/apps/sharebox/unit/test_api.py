from pathlib import Path
from typing import Any

import pytest
from sharebox.api import Answer, Api, Refused, partner, text_of
from sharebox.store import Store


class Person:
    """Asks as somebody who is signed in."""

    def __init__(self, api: Api, name: str, password: str) -> None:
        self._api = api
        self._key = api.answer("POST", "/api/session", "", {}, {"name": name, "password": password}).key or ""

    def ask(self, method: str, path: str, query: dict[str, str] | None = None, **body: Any) -> Answer:
        return self._api.answer(method, path, self._key, query or {}, body)


@pytest.fixture
def api(tmp_path: Path) -> Api:
    return Api(Store(tmp_path / "sharebox.db"), slow_seconds=0)


@pytest.fixture
def alice(api: Api) -> Person:
    return Person(api, "alice", "wonderland")


@pytest.fixture
def bob(api: Api) -> Person:
    return Person(api, "bob", "builder")


def test_without_a_session_nothing_is_told(api: Api) -> None:
    assert api.answer("GET", "/api/lists", "", {}, {}).status == 401


def test_a_wrong_password_is_refused(api: Api) -> None:
    assert api.answer("POST", "/api/session", "", {}, {"name": "alice", "password": "x"}).status == 403


def test_signing_out_ends_the_session(alice: Person) -> None:
    alice.ask("DELETE", "/api/session")
    assert alice.ask("GET", "/api/lists").status == 401


def test_a_list_is_made_and_filled(alice: Person) -> None:
    list_id = alice.ask("POST", "/api/lists", text="Groceries").body["id"]
    answer = alice.ask("POST", f"/api/lists/{list_id}/items", text=" Milk ")
    assert [item["text"] for item in answer.body["items"]] == ["Milk"]


def test_a_foreign_list_is_forbidden(alice: Person, bob: Person) -> None:
    list_id = alice.ask("POST", "/api/lists", text="Diary").body["id"]
    assert bob.ask("GET", f"/api/lists/{list_id}").status == 403
    assert bob.ask("POST", f"/api/lists/{list_id}/items", text="Hello").status == 403


def test_sharing_opens_a_list_and_stopping_closes_it(alice: Person, bob: Person) -> None:
    list_id = alice.ask("POST", "/api/lists", text="Groceries").body["id"]
    alice.ask("POST", f"/api/lists/{list_id}/shares", name="Bob")
    assert bob.ask("GET", f"/api/lists/{list_id}").status == 200
    alice.ask("DELETE", f"/api/lists/{list_id}/shares", name="bob")
    assert bob.ask("GET", f"/api/lists/{list_id}").status == 403


def test_an_item_is_ticked_and_deleted(alice: Person) -> None:
    list_id = alice.ask("POST", "/api/lists", text="Groceries").body["id"]
    item_id = alice.ask("POST", f"/api/lists/{list_id}/items", text="Milk").body["items"][0]["id"]
    alice.ask("PATCH", f"/api/items/{item_id}", done=True)
    assert alice.ask("GET", f"/api/lists/{list_id}").body["items"][0]["done"]
    alice.ask("PATCH", f"/api/items/{item_id}", deleted=True)
    assert alice.ask("GET", f"/api/lists/{list_id}").body["items"] == []


def test_an_empty_search_finds_nothing(alice: Person) -> None:
    assert alice.ask("GET", "/api/search", {"q": " "}).body == []


def test_blank_texts_are_refused() -> None:
    with pytest.raises(Refused, match="Write"):
        text_of({"text": "  "}, "Write something.")


def test_one_shares_with_others_who_are_known() -> None:
    assert partner("alice", " Bob ") == "bob"
    with pytest.raises(Refused, match="Nobody here is called zoe"):
        partner("alice", "zoe")
    with pytest.raises(Refused, match="your own"):
        partner("alice", "alice")
