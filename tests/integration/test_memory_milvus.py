"""Milvus Lite and NumPy answer alike; Lite held, damaged or killed costs nothing but time."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness.errors import RecallError
from harness.memory.conditions import Conditions
from harness.memory.index import Difference, Index
from harness.memory.milvus_client import IndexHeldError, connect, disconnect, lock_owner
from harness.memory.milvus_index import MilvusIndex, open_or_rebuild
from harness.memory.numpy_index import NumpyIndex
from harness.memory.records import Record, Records, make_record

MODEL, DIM = "test/model", 8


def near(axis: int) -> np.ndarray:
    """A unit vector close to one axis."""
    vector = np.full(DIM, 0.01, dtype=np.float32)
    vector[axis] = 1.0
    return vector / np.linalg.norm(vector)


def remember(records: Records, *made: Record) -> None:
    """Store records with vectors along successive axes."""
    records.upsert(made)
    records.store_vectors(MODEL, [r.key for r in made], np.stack([near(n % DIM) for n in range(len(made))]))


@pytest.fixture
def records(tmp_path: Path) -> Iterator[Records]:
    opened = Records.open(tmp_path / "records.db")
    yield opened
    opened.close()


@pytest.fixture(params=["milvus", "numpy"])
def index(request: pytest.FixtureRequest, records: Records, tmp_path: Path) -> Iterator[Index]:
    """Each adapter in turn."""
    if request.param == "milvus":
        opened: Index = MilvusIndex.open(str(tmp_path / "index.db"), records, MODEL, DIM)
    else:
        opened = NumpyIndex(records, MODEL, DIM)
    yield opened
    opened.close()


def test_an_empty_index_finds_nothing(index: Index) -> None:
    assert index.dense(near(0), Conditions(), 5) == []
    assert index.difference() == Difference(0, 0)


def test_the_nearest_comes_first(index: Index, records: Records) -> None:
    one, two, three = (make_record("p", "note", t) for t in ("theme lost", "list empty", "button hidden"))
    remember(records, one, two, three)
    index.follow()
    assert index.dense(near(1), Conditions.of("p"), 2)[0] == two.key
    assert records.words("the hidden button?", Conditions.of("p"), 2) == [three.key]


def test_conditions_hold_in_both_searches(index: Index, records: Records) -> None:
    long_ago = datetime.now(UTC) - timedelta(days=30)
    mine = make_record("p", "failure", "theme lost", feature="F1", files=["a.js", "b.js"])
    old = make_record("p", "note", "theme lost again", feature="F2", created_at=long_ago)
    foreign = make_record("q", "failure", "theme lost there", feature="F1", files=["a.js"])
    remember(records, mine, old, foreign)
    index.follow()
    table = [
        (Conditions.of("p"), {mine.key, old.key}),
        (Conditions.of(""), {mine.key, old.key, foreign.key}),
        (Conditions.of("p", kinds=["failure", "commit"]), {mine.key}),
        (Conditions.of("p", kinds=["nonsense"]), set()),
        (Conditions.of("p", since=timedelta(days=1)), {mine.key}),
        (Conditions.of("p", feature="F2"), {old.key}),
        (Conditions.of("p", files=["b.js", "zzz"]), {mine.key}),
        (Conditions.of("p", files=["zzz"]), set()),
    ]
    for conditions, expected in table:
        assert set(index.dense(near(0), conditions, 9)) == expected, conditions
        assert set(records.words("theme", conditions, 9)) == expected, conditions


def test_following_twice_changes_nothing_and_a_superseded_record_leaves(index: Index, records: Records) -> None:
    old, new = make_record("p", "note", "old fact"), make_record("p", "note", "new fact")
    remember(records, old, new)
    index.follow()
    assert index.follow() == 0
    records.supersede(old.key, new.key)
    index.follow()
    assert index.dense(near(0), Conditions(), 9) == [new.key]
    assert records.words("fact", Conditions(), 9) == [new.key]
    assert index.difference() == Difference(0, 0)


def test_a_rebuild_holds_the_same_and_goes_on_following(index: Index, records: Records) -> None:
    first = [make_record("p", "note", f"fact {n}") for n in range(4)]
    remember(records, *first)
    index.follow()
    assert index.rebuild() == 4
    later = make_record("p", "note", "later")
    remember(records, later)
    index.follow()
    assert set(index.dense(near(0), Conditions(), 9)) == {r.key for r in [*first, later]}


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    name=st.one_of(st.text(min_size=1), st.sampled_from(['" or 1==1 or "', "p\\", "p' or ''='", "p%", "{p}", "\uff50"]))
)
def test_no_name_or_query_reaches_another_project(index: Index, records: Records, name: str) -> None:
    secret = make_record("secret project", "note", "secret words")
    remember(records, secret)
    index.follow()
    for conditions in (Conditions.of(f"p{name}"), Conditions.of("p", feature=name, files=[name], kinds=[name])):
        assert secret.key not in index.dense(near(0), conditions, 50)
        assert secret.key not in records.words(f"secret {name}", conditions, 50)


def test_an_index_closed_and_opened_again_follows_only_what_is_new(records: Records, tmp_path: Path) -> None:
    uri = str(tmp_path / "index.db")
    remember(records, make_record("p", "note", "one"))
    first = MilvusIndex.open(uri, records, MODEL, DIM)
    first.follow()
    first.close()
    assert not lock_owner(tmp_path / "index.db")
    remember(records, make_record("p", "note", "two"))
    again = MilvusIndex.open(uri, records, MODEL, DIM)
    assert again.follow() == 1
    assert len(again.dense(near(0), Conditions(), 9)) == 2
    again.close()


def test_an_index_that_lost_its_rows_is_noticed_at_opening_and_filled_again(records: Records, tmp_path: Path) -> None:
    uri = str(tmp_path / "index.db")
    made = [make_record("p", "note", f"fact {n}") for n in range(3)]
    remember(records, *made)
    first = MilvusIndex.open(uri, records, MODEL, DIM)
    first.follow()
    first.close()
    client = connect(uri)
    client.load_collection(client.list_collections()[0])
    client.delete(client.list_collections()[0], ids=[made[0].key])
    disconnect(client, uri)
    again = MilvusIndex.open(uri, records, MODEL, DIM)
    assert again.follow() == 3
    assert again.difference() == Difference(0, 0)
    again.close()


def test_two_stores_in_one_milvus_do_not_see_each_other(records: Records, tmp_path: Path) -> None:
    other = Records.open(tmp_path / "other.db")
    mine, theirs = make_record("p", "note", "mine"), make_record("p", "note", "theirs")
    remember(records, mine)
    remember(other, theirs)
    uri = str(tmp_path / "index.db")
    for store, key in ((records, mine.key), (other, theirs.key), (records, mine.key)):
        index = MilvusIndex.open(uri, store, MODEL, DIM)
        index.follow()
        assert index.dense(near(0), Conditions(), 9) == [key]
        index.close()
    other.close()


_HOLDER = """
import sys
from pathlib import Path
import numpy as np
from harness.memory.milvus_index import MilvusIndex
from harness.memory.records import Records, make_record
records = Records.open(Path(sys.argv[1]) / "records.db")
index = MilvusIndex.open(str(Path(sys.argv[1]) / "index.db"), records, "test/model", 8)
print("held", flush=True)
for n in range(int(sys.argv[2])):
    record = make_record("p", "note", f"fact {n}")
    records.upsert([record])
    records.store_vectors("test/model", [record.key], np.eye(1, 8, dtype=np.float32))
    index.follow()
    print(n, flush=True)
sys.stdin.read()
"""


def _holder(directory: Path, count: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", _HOLDER, str(directory), str(count)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def _kill(process: subprocess.Popen[str]) -> None:
    process.send_signal(signal.SIGKILL)
    process.communicate()


def test_a_second_process_is_told_who_holds_lite_and_may_have_it_afterwards(records: Records, tmp_path: Path) -> None:
    holder = _holder(tmp_path, 0)
    try:
        with pytest.raises(IndexHeldError, match=f"process {holder.pid}"):
            open_or_rebuild(str(tmp_path / "index.db"), records, MODEL, DIM)
        assert sorted(p.name for p in tmp_path.glob("index.db*")) == ["index.db"]
    finally:
        _kill(holder)
    MilvusIndex.open(str(tmp_path / "index.db"), records, MODEL, DIM).close()


def test_the_lock_probe_sees_a_free_file_as_free(tmp_path: Path) -> None:
    """The twin of the test above: without a holder nothing may be reported."""
    assert lock_owner(tmp_path / "index.db") == ""
    (tmp_path / "index.db").mkdir()
    (tmp_path / "index.db" / "LOCK").touch()
    assert lock_owner(tmp_path / "index.db") == ""


def test_killed_while_following_the_index_catches_up_and_holds_every_record(records: Records, tmp_path: Path) -> None:
    holder = _holder(tmp_path, 100_000)
    assert holder.stdout is not None
    for _ in range(15):
        holder.stdout.readline()
    _kill(holder)
    lacking = [key for key, _ in records.without_vector(MODEL, 100)]
    records.store_vectors(MODEL, lacking, np.stack([near(0)] * len(lacking)) if lacking else np.empty((0, DIM)))
    index = MilvusIndex.open(str(tmp_path / "index.db"), records, MODEL, DIM)
    index.follow()
    assert index.difference() == Difference(0, 0)
    assert len(records.keys(Conditions())) >= 15
    index.close()


def _spoil(path: Path) -> None:
    for file in path.rglob("*"):
        if file.is_file() and file.name != "LOCK":
            file.write_bytes(b"\xa5garbage" * 50)


def _truncate(path: Path) -> None:
    for file in path.rglob("*"):
        if file.is_file() and file.name != "LOCK":
            os.truncate(file, file.stat().st_size // 2)


def _replace_by_file(path: Path) -> None:
    shutil.rmtree(path)
    path.write_bytes(b"a file of an older Lite")


@pytest.mark.parametrize("damage", [_spoil, _truncate, _replace_by_file])
def test_a_damaged_lite_is_moved_aside_and_rebuilt_from_the_records(records: Records, tmp_path: Path, damage) -> None:
    path = tmp_path / "index.db"
    remember(records, *(make_record("p", "note", f"fact {n}") for n in range(5)))
    first = MilvusIndex.open(str(path), records, MODEL, DIM)
    first.follow()
    first.close()
    damage(path)
    index, news = open_or_rebuild(str(path), records, MODEL, DIM)
    index.follow()
    assert index.difference() == Difference(0, 0)
    assert len(index.dense(near(0), Conditions(), 9)) == 5
    assert "nothing was lost" in news
    assert len(list(tmp_path.glob("index.db.broken-*"))) == 1
    index.close()


def test_a_server_that_does_not_answer_is_a_recall_error_with_the_remedy(records: Records) -> None:
    with pytest.raises(RecallError, match="MILVUS_URI"):
        MilvusIndex.open("http://127.0.0.1:1", records, MODEL, DIM)


def test_importing_milvus_reads_no_env_file_and_minds_no_broken_uri(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("HARNESS_PROBE=1\n")
    code = (
        "import os, sys; from harness.memory.milvus_client import connect; connect(sys.argv[1]).close(); "
        "print(os.environ.get('HARNESS_PROBE'), os.environ['MILVUS_URI'])"
    )
    result = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "index.db")],
        cwd=tmp_path,
        env={**os.environ, "MILVUS_URI": "not a uri", "PYTHONPATH": str(Path.cwd())},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert result.stdout.split(maxsplit=1) == ["None", "not a uri\n"], result.stderr
