"""Applications are started, restarted and emptied in a real room; what does not start is told in words."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from apps import todo_app
from apps.rooms import open_room

from harness.sandbox.processes import Room
from harness.settings import AppSettings
from harness.verify.app import AppNotStarted, Instance, serve

pytestmark = pytest.mark.needs("bwrap")

NOTES = """
import os, pathlib, sys
from http.server import BaseHTTPRequestHandler, HTTPServer
data = pathlib.Path(os.environ["HARNESS_DATA_DIR"], "notes.txt")
class Notes(BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path.startswith("/add/"):
            data.open("a").write(self.path[5:] + " ")
        self.send_response(200); self.end_headers()
        self.wfile.write(data.read_bytes() if data.exists() else b"")
HTTPServer(("127.0.0.1", int(os.environ["PORT"])), Notes).serve_forever()
"""
WITHOUT_PREPARE = AppSettings(prepare="", start_seconds=10)


def tree_of(directory: Path, **files: str) -> Path:
    directory.mkdir(exist_ok=True)
    for name, text in files.items():
        (directory / name.replace("__", ".")).write_text(text, encoding="utf-8")
    return directory


@pytest.fixture
async def room(tmp_path: Path) -> AsyncIterator[Room]:
    tree = tree_of(tmp_path / "tree", notes__py=NOTES)
    async with open_room(tmp_path, tree) as opened:
        yield opened


def notes(**fields: object) -> AppSettings:
    return AppSettings.model_validate({"prepare": "", "serve": "python3 notes.py", "start_seconds": 10, **fields})


async def get(room: Room, instance: Instance, path: str) -> str:
    code = f"import urllib.request as u; print(u.urlopen('{instance.base_url}{path}').read().decode())"
    result = await room.run(["python3", "-c", code])
    assert result.exit_code == 0, result.output
    return result.output.strip()


async def test_a_restart_keeps_the_data_and_a_reset_empties_it(tmp_path: Path, room: Room) -> None:
    async with serve(room.policy.worktree, room, notes(), tmp_path / "data") as instance:
        address = instance.base_url
        instance.touch()
        await get(room, instance, "/add/milk")
        await instance.restart()
        assert await get(room, instance, "/") == "milk"
        await instance.reset()
        assert await get(room, instance, "/") == ""
        assert instance.base_url == address


async def test_an_instance_never_starts_on_data_that_another_left(tmp_path: Path, room: Room) -> None:
    for _ in range(2):
        async with serve(room.policy.worktree, room, notes(), tmp_path / "data") as instance:
            assert await get(room, instance, "/") == ""
            await get(room, instance, "/add/milk")


async def test_a_reset_command_empties_the_data_without_a_restart(tmp_path: Path, room: Room) -> None:
    app = notes(reset='rm "$HARNESS_DATA_DIR/notes.txt"')
    async with serve(room.policy.worktree, room, app, tmp_path / "data") as instance:
        instance.touch()
        await get(room, instance, "/add/milk")
        await instance.reset()
        assert await get(room, instance, "/") == ""
        assert instance.log_tail().count("/add/milk") == 1, "it was restarted"


async def test_a_reset_command_that_fails_is_told(tmp_path: Path, room: Room) -> None:
    async with serve(
        room.policy.worktree, room, notes(reset="echo no such table; false"), tmp_path / "data"
    ) as instance:
        instance.touch()
        with pytest.raises(AppNotStarted, match=r"(?s)ended with exit code 1.*no such table"):
            await instance.reset()


async def test_two_instances_of_two_trees_share_a_room_and_no_data(tmp_path: Path, room: Room) -> None:
    other = tree_of(tmp_path / "other", notes__py=NOTES.replace("data.read_bytes()", "b'other tree'"))
    async with (
        serve(room.policy.worktree, room, notes(), tmp_path / "data1") as first,
        serve(other, room, notes(), tmp_path / "data2") as second,
    ):
        await get(room, first, "/add/milk")
        assert await get(room, second, "/") == ""
        await get(room, second, "/add/dog")
        assert await get(room, second, "/") == "other tree"
        assert await get(room, first, "/") == "milk"


async def test_prepare_runs_once_and_again_when_what_it_depends_on_or_made_changed(tmp_path: Path, room: Room) -> None:
    tree = room.policy.worktree
    app = notes(prepare="echo ran >> runs.txt; mkdir -p node_modules; echo seeded > $HARNESS_DATA_DIR/notes.txt")
    runs = tree / "runs.txt"
    for expected, change in ((1, ""), (1, "lock"), (2, "clean"), (3, "")):
        async with serve(tree, room, app, tmp_path / "data") as instance:
            assert await get(room, instance, "/") == "seeded", "what prepare put into the data is lost"
        assert runs.read_text().count("ran") == expected
        if change == "lock":
            (tree / "package-lock.json").write_text("{}")
        if change == "clean":
            (tree / "node_modules").rmdir()


@pytest.mark.parametrize(
    ("app", "words"),
    [
        (notes(prepare="echo no network; exit 7"), r"(?s)^`echo.*` ended with exit code 7\..*no network"),
        (notes(prepare="sleep 60", prepare_seconds=0.5), r"^`sleep 60` did not end within [01] s"),
        (notes(serve="echo cannot import app; exit 3"), r"(?s)ended with exit code 3 before.*cannot import app"),
        (notes(serve="sleep 60", start_seconds=1), r"runs but never listens on 127\.0\.0\.1:\$PORT"),
        (
            notes(serve="python3 -m http.server 5000 --bind 127.0.0.1", start_seconds=2),
            r"on another port \(5000\); it must use \$PORT",
        ),
        (
            notes(
                serve='python3 -c "import os,socket,time; s=socket.socket(); '
                "s.bind(('127.0.0.1', int(os.environ['PORT']))); s.listen(); time.sleep(60)\"",
                start_seconds=1,
            ),
            r"listens on its port \(\$PORT\) but does not answer / after",
        ),
        (notes(serve="python3 notes.py &"), r"ended with exit code 0.*foreground"),
    ],
    ids=["prepare fails", "prepare hangs", "ends", "never listens", "another port", "does not answer", "background"],
)
async def test_what_does_not_start_is_told_so_that_it_can_be_mended(
    tmp_path: Path, room: Room, app: AppSettings, words: str
) -> None:
    with pytest.raises(AppNotStarted, match=words):
        async with serve(room.policy.worktree, room, app, tmp_path / "data"):
            pytest.fail("it started")


async def test_an_application_that_died_is_told_in_its_log(tmp_path: Path, room: Room) -> None:
    app = notes(serve="echo starting; exec python3 notes.py")
    async with serve(room.policy.worktree, room, app, tmp_path / "data") as instance:
        await instance.stop()
        assert "starting" in instance.log_tail()
        assert "the application ended with exit code" in instance.log_tail()


async def test_the_todo_application_starts_by_its_init_sh(tmp_path: Path) -> None:
    tree = todo_app.make(tmp_path / "tree")
    async with (
        open_room(tmp_path, tree) as room,
        serve(tree, room, AppSettings(), tmp_path / "data") as instance,
    ):
        assert "New to-do" in await get(room, instance, "/")
