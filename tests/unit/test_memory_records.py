"""The record file: what is committed stays, what is broken is left alone."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import ContractError, RecallError
from harness.memory.conditions import Conditions
from harness.memory.record import MAX_TOKENS, count_tokens, cut_text, record_key
from harness.memory.records import Record, Records, make_record

ANY = Conditions()


@pytest.fixture
def records(tmp_path: Path):
    opened = Records.open(tmp_path / "records.db")
    yield opened
    opened.close()


def test_a_record_remembered_twice_is_one_record_and_one_change(records: Records) -> None:
    record = make_record("p", "failure", "the list is empty after reload", feature="F1")
    assert records.upsert([record]) == 1
    seq = records.last_seq()
    later = make_record("p", "failure", "the list is empty after reload", feature="F1")
    assert records.upsert([later]) == 0
    assert records.last_seq() == seq
    assert records.get([record.key])[record.key] == record.model_copy(
        update={"created_at": record.created_at.replace(microsecond=record.created_at.microsecond // 1000 * 1000)}
    )


def test_what_is_learned_later_about_a_record_is_kept_and_is_a_change(records: Records) -> None:
    record = make_record("p", "failure", "x broke", feature="F1")
    records.upsert([record])
    seq = records.last_seq()
    records.upsert([make_record("p", "failure", "x broke", feature="F1", outcome="mended")])
    assert records.get([record.key])[record.key].outcome == "mended"
    assert records.last_seq() > seq


def test_a_superseded_record_is_kept_but_never_found_even_if_remembered_again(records: Records) -> None:
    old, new = make_record("p", "decision", "dates are local"), make_record("p", "decision", "dates are UTC")
    records.upsert([old, new])
    records.supersede(old.key, new.key)
    records.upsert([old])
    assert records.keys(ANY) == [new.key]
    assert records.words("dates", ANY, 9) == [new.key]
    assert records.get([old.key])[old.key].superseded_by == new.key


def test_all_records_of_one_call_are_committed_or_none(records: Records) -> None:
    broken = Record.model_construct(**{**make_record("p", "note", "b").__dict__, "text": "\ud800"})
    with pytest.raises(UnicodeEncodeError):
        records.upsert([make_record("p", "note", "a"), broken])
    assert records.keys(ANY) == []


def test_words_find_other_forms_of_a_word_and_rank_rare_words_first(records: Records) -> None:
    rare = make_record("p", "note", "the theme was lost on reloading")
    common = [make_record("p", "note", f"the list number {n} was shown") for n in range(5)]
    records.upsert([*common, rare])
    assert records.words("Theme reloads list", ANY, 3)[0] == rare.key


def test_conditions_choose_by_project_kind_time_feature_and_file(records: Records) -> None:
    now = datetime.now(UTC)
    old = make_record("p", "failure", "one", feature="F1", files=["a.js", "b.js"], created_at=now - timedelta(days=9))
    new = make_record("p", "note", "two", feature="F2", files=["b.js"])
    foreign = make_record("q", "note", "three", feature="F2", files=["b.js"])
    records.upsert([old, new, foreign])

    def found(project: str = "p", **asked: object) -> set[str]:
        return {records.get([k])[k].text for k in records.keys(Conditions.of(project, **asked))}  # type: ignore[arg-type]

    assert found() == {"one", "two"}
    assert found("") == {"one", "two", "three"}
    assert found(kinds=["failure"]) == {"one"}
    assert found(since=timedelta(days=1)) == {"two"}
    assert found(since=timedelta(days=10**8)) == {"one", "two"}
    assert found(feature="F2") == {"two"}
    assert found(files=["a.js", "zzz"]) == {"one"}


def test_kinds_nobody_knows_find_nothing_rather_than_everything(records: Records) -> None:
    records.upsert([make_record("p", "note", "one")])
    assert records.keys(Conditions.of("p", kinds=["failures"])) == []


@given(query=st.text(max_size=80))
def test_no_query_breaks_the_words_search(query: str) -> None:
    records = Records.open(Path(os.environ.get("TMPDIR", "/tmp")) / f"harness-words-{os.getpid()}.db")
    try:
        records.upsert([make_record("p", "note", "stable words")])
        assert len(records.words(query, ANY, 5)) <= 1
    finally:
        records.close()
        for leftover in records.path.parent.glob(records.path.name + "*"):
            leftover.unlink()


@given(text=st.text(min_size=1), name=st.text())
def test_text_of_any_origin_becomes_a_storable_record_or_a_clear_refusal(text: str, name: str) -> None:
    try:
        record = make_record("p", "note", text, source=name, feature=name, files=[name, name])
    except ValueError:
        assert not cut_text(text)
        return
    assert count_tokens(record.text) <= MAX_TOKENS
    assert len(record.text.encode()) <= 8192
    assert record == Record.model_validate(record.model_dump())
    record.feature.encode()


def test_long_text_is_cut_at_a_word_and_a_record_refuses_uncut_text() -> None:
    long = "words and more " * 400
    cut = make_record("p", "note", long).text
    assert long.startswith(cut)
    assert cut.split()[-1] in {"words", "and", "more"}
    with pytest.raises(ValueError, match="make_record"):
        Record(project="p", kind="note", text=long)


def test_keys_depend_on_every_part_and_on_where_it_ends() -> None:
    assert record_key("p", "note", "s", "t") == record_key("p", "note", "s", "t")
    parts = [("p", "note", "s", "t"), ("ps", "note", "", "t"), ("p", "note", "", "st"), ("p", "progress", "s", "t")]
    assert len({record_key(*part) for part in parts}) == 4


def test_an_index_learns_what_changed_up_to_the_first_record_without_a_vector(records: Records) -> None:
    one, two, three = (make_record("p", "note", text) for text in ("one", "two", "three"))
    records.upsert([one, two, three])
    records.store_vectors("m", [one.key, three.key], np.eye(2, 4, dtype=np.float32))
    assert [c.record.text for c in records.changes("m", 0, 10)] == ["one"]
    assert records.without_vector("m", 9) == [(two.key, "two")]
    records.store_vectors("m", [two.key], np.eye(1, 4, dtype=np.float32))
    assert [c.record.text for c in records.changes("m", 1, 10)] == ["two", "three"]


@pytest.mark.parametrize(
    "content", [b"not a database at all" * 100, b"SQLite format 3\x00" + b"\xff" * 5000], ids=["text", "torn"]
)
def test_a_file_that_is_no_database_is_named_and_left_as_it_is(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "records.db"
    path.write_bytes(content)
    with pytest.raises(ContractError, match=r"records\.db"):
        Records.open(path)
    assert path.read_bytes() == content


def test_damage_in_the_middle_is_found_by_check_and_never_read_as_empty(tmp_path: Path) -> None:
    path = tmp_path / "records.db"
    filled = Records.open(path)
    filled.upsert([make_record("p", "note", f"fact number {n} " + "long " * 200) for n in range(200)])
    filled.close()
    content = bytearray(path.read_bytes())
    content[40_000:90_000] = b"\xa5" * 50_000
    path.write_bytes(content)
    with pytest.raises(ContractError, match="not a readable record file"):  # noqa: PT012 - either call may notice
        damaged = Records.open(path)
        try:
            assert damaged.check()
            damaged.get(damaged.keys(ANY))
        finally:
            damaged.close()


def test_a_file_of_a_newer_version_is_refused_with_both_numbers(tmp_path: Path) -> None:
    path = tmp_path / "records.db"
    Records.open(path).close()
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(ContractError, match="schema 99, this one knows 1"):
        Records.open(path)


def test_a_place_where_no_file_can_be_made_is_a_recall_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(RecallError):
        Records.open(tmp_path / "file" / "records.db")


_WRITER = """
import sys
from pathlib import Path
from harness.memory.records import Records, make_record
records = Records.open(Path(sys.argv[1]))
for n in range(int(sys.argv[3])):
    records.upsert([make_record("p", "note", f"{sys.argv[2]} fact {n}")])
    print(n, flush=True)
"""


def _writer(path: Path, name: str, count: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", _WRITER, str(path), name, str(count)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def test_several_processes_create_and_fill_one_file_together(tmp_path: Path) -> None:
    writers = [_writer(tmp_path / "records.db", f"w{n}", 25) for n in range(4)]
    assert [writer.wait(timeout=60) for writer in writers] == [0, 0, 0, 0]
    for writer in writers:
        writer.communicate()
    records = Records.open(tmp_path / "records.db")
    assert len(records.keys(ANY)) == 100
    records.close()


def test_a_writer_killed_while_writing_loses_nothing_it_acknowledged(tmp_path: Path) -> None:
    writer = _writer(tmp_path / "records.db", "w", 100_000)
    assert writer.stdout is not None
    acknowledged = [int(writer.stdout.readline()) for _ in range(40)]
    writer.send_signal(signal.SIGKILL)
    acknowledged += [int(line) for line in writer.communicate()[0].split("\n") if line.isdigit()]
    records = Records.open(tmp_path / "records.db")
    assert records.check() == []
    assert len(records.keys(ANY)) >= len(acknowledged) >= 40
    records.close()
