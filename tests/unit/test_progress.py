import pytest

from harness.errors import FeatureFileError
from harness.progress import Progress, SessionEntry


def entry(session: str, **fields: object) -> SessionEntry:
    return SessionEntry.model_validate({"session": session, "feature": "F001", "outcome": "passed"} | fields)


def test_sessions_are_appended_counted_and_read_back(tmp_path):
    path = tmp_path / "progress.json"
    progress = Progress(thread="t1").with_list(total=5, passing=2, parked=1)
    progress = progress.append(entry("s1", turns=4, tokens=1000, cost_usd=0.1, seconds={"verify": 2.5}))
    progress.append(entry("s2", turns=6, tokens=500, cost_usd=0.2, next="add persistence")).save(path)
    loaded = Progress.load(path)
    assert (loaded.totals.sessions, loaded.totals.turns, loaded.totals.tokens) == (2, 10, 1500)
    assert loaded.totals.cost_usd == pytest.approx(0.3)
    assert (loaded.totals.features, loaded.totals.passing, loaded.totals.parked) == (5, 2, 1)
    assert loaded.tail(1)[0].next == "add persistence"


def test_a_session_recorded_twice_counts_once():
    progress = Progress().append(entry("s1", turns=4)).append(entry("s1", turns=5))
    assert (progress.totals.sessions, progress.totals.turns) == (1, 5)


def test_the_tail_is_the_last_sessions_oldest_first():
    progress = Progress()
    for n in range(5):
        progress = progress.append(entry(f"s{n}"))
    assert [e.session for e in progress.tail(2)] == ["s3", "s4"]
    assert progress.tail(0) == ()


@pytest.mark.parametrize(
    ("content", "place"),
    [("", "it is empty"), ('{"version": 2}', "version"), ('{"sessions": [{"session": "s"}]}', "sessions[0].feature")],
)
def test_a_broken_file_is_named_and_never_empty(tmp_path, content, place):
    path = tmp_path / "progress.json"
    path.write_text(content)
    with pytest.raises(FeatureFileError) as caught:
        Progress.load(path)
    assert "progress.json" in caught.value.what
    assert place in caught.value.what
