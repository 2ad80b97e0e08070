"""A password in an address is shown to nobody."""

from __future__ import annotations

import pytest
from pymilvus.exceptions import MilvusException

from harness.address import redact, shown
from harness.errors import RecallError
from harness.memory.milvus_client import mapped


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("http://u:PASS@host:1/v1", "http://host:1/v1"),
        ("https://TOKEN@host/v1", "https://host/v1"),
        ("http://u:p@ss@host/v1", "http://host/v1"),
        ("http://u:pa/ss@host/v1", "http://host/v1"),
        ("u:PASS@host/v1", "host/v1"),
        ("https://host:8000/@team/v1", "https://host:8000/@team/v1"),
        ("https://host/v1?who=a@b", "https://host/v1?who=a@b"),
        ("http://[::1]:19530", "http://[::1]:19530"),
        ("/home/me@work/index.db", "/home/me@work/index.db"),
        ("", ""),
    ],
)
def test_only_name_and_password_are_taken_out(address: str, expected: str) -> None:
    assert shown(address) == expected


def test_a_text_keeps_its_words_where_there_is_no_password() -> None:
    assert redact("at http://host/v1: a@b", "http://host/v1") == "at http://host/v1: a@b"
    assert redact("a cat: u", "http://u:cat@host") == "a cat: u", "too short to be told from a word"
    assert "u:cat" not in redact("http://u:cat@host", "http://u:cat@host")


def test_a_failing_server_of_the_index_is_told_without_its_password() -> None:
    uri = "http://root:Milvus-1@127.0.0.1:19530"
    with pytest.raises(RecallError, match=r"Milvus at http://127\.0\.0\.1:19530 failed") as told, mapped(uri):
        raise MilvusException(message=f"no connection to {uri} as root:Milvus-1")
    assert "Milvus-1" not in str(told.value)
