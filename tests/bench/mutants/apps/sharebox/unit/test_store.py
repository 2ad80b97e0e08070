from pathlib import Path

import pytest
from sharebox.store import Forbidden, Store


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "sharebox.db")


def test_only_the_right_password_signs_in(store: Store) -> None:
    key = store.sign_in("alice", "wonderland")
    assert key
    assert store.who(key) == "alice"
    assert store.sign_in("alice", "builder") is None
    assert store.sign_in("nobody", "wonderland") is None


def test_a_session_ends(store: Store) -> None:
    key = store.sign_in("alice", "wonderland") or ""
    store.sign_out(key)
    assert store.who(key) is None


def test_a_list_is_seen_by_its_owner_alone(store: Store) -> None:
    list_id = store.add_list("alice", "Groceries")
    assert [found["title"] for found in store.lists("alice")] == ["Groceries"]
    assert store.lists("bob") == []
    with pytest.raises(Forbidden):
        store.list("bob", list_id)


def test_a_shared_list_is_seen_until_sharing_stops(store: Store) -> None:
    list_id = store.add_list("alice", "Groceries")
    store.share("alice", list_id, "bob")
    assert store.list("bob", list_id)["title"] == "Groceries"
    assert store.list("alice", list_id)["shared"] == ["bob"]
    store.unshare("alice", list_id, "bob")
    with pytest.raises(Forbidden):
        store.list("bob", list_id)


def test_only_the_owner_shares(store: Store) -> None:
    list_id = store.add_list("alice", "Groceries")
    store.share("alice", list_id, "bob")
    with pytest.raises(Forbidden):
        store.share("bob", list_id, "carol")


def test_items_are_added_ticked_and_deleted(store: Store) -> None:
    list_id = store.add_list("alice", "Groceries")
    milk, bread = (store.add_item("alice", list_id, text) for text in ("Milk", "Bread"))
    store.set_done("alice", milk, True)
    store.set_deleted("alice", bread, True)
    assert store.list("alice", list_id)["items"] == [{"id": milk, "text": "Milk", "done": True}]


def test_a_deleted_item_comes_back_in_its_place(store: Store) -> None:
    list_id = store.add_list("alice", "Groceries")
    milk = store.add_item("alice", list_id, "Milk")
    store.add_item("alice", list_id, "Bread")
    store.set_deleted("alice", milk, True)
    store.set_deleted("alice", milk, False)
    assert [item["text"] for item in store.list("alice", list_id)["items"]] == ["Milk", "Bread"]


def test_open_items_are_counted(store: Store) -> None:
    list_id = store.add_list("alice", "Groceries")
    milk = store.add_item("alice", list_id, "Milk")
    store.add_item("alice", list_id, "Bread")
    store.set_done("alice", milk, True)
    assert store.lists("alice")[0]["open"] == 1


def test_search_finds_parts_of_words_in_any_case(store: Store) -> None:
    list_id = store.add_list("alice", "Groceries")
    store.add_item("alice", list_id, "Oat milk")
    assert [found["text"] for found in store.search("alice", "MIL")] == ["Oat milk"]
    assert store.search("alice", "bread") == []


def test_search_does_not_show_other_peoples_items(store: Store) -> None:
    store.add_item("alice", store.add_list("alice", "Groceries"), "Milk")
    assert store.search("bob", "milk") == []
