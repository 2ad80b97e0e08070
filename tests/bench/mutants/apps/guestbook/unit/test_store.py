from pathlib import Path

import pytest
from guestbook.store import PER_PAGE, Store


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "guestbook.db")


def test_a_name_can_be_taken_once(store: Store) -> None:
    assert store.add_person("alice", "correct horse")
    assert not store.add_person("alice", "another one")


def test_only_the_right_password_is_known(store: Store) -> None:
    store.add_person("alice", "correct horse")
    assert store.knows("alice", "correct horse")
    assert not store.knows("alice", "wrong horse")
    assert not store.knows("bob", "correct horse")


def test_a_closed_session_is_gone(store: Store) -> None:
    key = store.open_session("alice")
    assert store.session(key) == "alice"
    store.close_session(key)
    assert store.session(key) is None


def test_a_flash_is_taken_once(store: Store) -> None:
    key = store.open_session()
    store.set_flash(key, "Hello")
    assert store.take_flash(key) == "Hello"
    assert store.take_flash(key) == ""


def test_the_same_form_posts_once(store: Store) -> None:
    assert store.post("alice", "Hi", "form-1")
    assert not store.post("alice", "Hi", "form-1")
    assert len(store.page(1).messages) == 1


def test_messages_are_newest_first(store: Store) -> None:
    for number in range(3):
        store.post("alice", f"m{number}", f"f{number}")
    assert [message.body for message in store.page(1).messages] == ["m2", "m1", "m0"]


def test_pages_hold_five_messages(store: Store) -> None:
    for number in range(PER_PAGE + 1):
        store.post("alice", f"m{number}", f"f{number}")
    assert len(store.page(1).messages) == PER_PAGE
    assert [message.body for message in store.page(2).messages] == ["m0"]
    assert store.page(2).last == 2


def test_a_page_that_does_not_exist_gives_the_nearest(store: Store) -> None:
    store.post("alice", "Hi", "f")
    assert store.page(7).number == 1
    assert store.page(0).number == 1


def test_a_changed_message_says_so_and_stays_in_place(store: Store) -> None:
    store.post("alice", "one", "f1")
    store.post("alice", "two", "f2")
    store.change(1, "uno")
    assert [(m.body, m.edited) for m in store.page(1).messages] == [("two", False), ("uno", True)]
