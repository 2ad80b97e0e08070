"""The file tools on real trees, the hostile ones included."""

from __future__ import annotations

import asyncio
import io
import os
import re
import socket
import stat
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pathspec.patterns.gitignore.spec import GitIgnoreSpecPattern
from PIL import Image

from harness.errors import ToolFailed, ToolRetry
from harness.sandbox.policy import PROTECTED
from harness.tools import apart, scaling, search
from harness.tools.apart import run_apart
from harness.tools.files import file_tools
from harness.tools.places import fold


@pytest.fixture
def worktree(tmp_path: Path) -> Path:
    root = tmp_path / "worktree"
    (root / ".git").mkdir(parents=True)
    (root / ".git" / "config").write_text("[core]\n")
    (root / "src").mkdir()
    (root / "src" / "app.js").write_text("const a = 1;\nconst b = 2;\nconst c = 1;\n")
    (root / "features.json").write_text("[]")
    (tmp_path / "outside.txt").write_text("secret")
    return root


async def call(worktree: Path, tool: str, **arguments: Any) -> str:
    outputs = worktree.parent / "outputs"
    found = next(t for t in file_tools(worktree, outputs_dir=outputs) if t.name == tool)
    return await found.call(found.arguments.model_validate(arguments))


def names_in(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


def make_unreadable_name(directory: Path) -> None:
    Path(os.fsdecode(os.fsencode(directory) + b"/\xff.txt")).touch()


async def write(worktree: Path, path: str, content: str = "x") -> str:
    return await call(worktree, "write_file", path=path, content=content)


async def edit(worktree: Path, path: str, *edits: tuple[str, str], every_place: bool = False) -> str:
    asked = [{"search": s, "replace": r, "every_place": every_place} for s, r in edits]
    return await call(worktree, "edit_file", path=path, edits=asked)


async def test_a_file_is_read_with_line_numbers(worktree: Path) -> None:
    shown = await call(worktree, "read_file", path="src/app.js", first_line=2, last_line=2)
    assert shown == "src/app.js, lines 2-2 of 3\n     2\tconst b = 2;"


async def test_what_a_write_cut_by_a_kill_left_goes_when_it_is_done_anew(worktree: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fchmod", killed)
        with pytest.raises(KeyboardInterrupt):
            await write(worktree, "src/new.js", "let a;\n")
    assert len(names_in(worktree / "src")) == 2
    await write(worktree, "src/new.js", "let b;\n")
    assert names_in(worktree / "src") == ["app.js", "new.js"]
    assert (worktree / "src" / "new.js").read_text() == "let b;\n"


def killed(*_: object) -> None:
    raise KeyboardInterrupt


async def test_a_path_inside_the_sandbox_names_the_same_file(worktree: Path) -> None:
    assert "const a" in await call(worktree, "read_file", path="/project/src/app.js")
    assert "const a" in await call(worktree, "read_file", path=str(worktree / "src/app.js"))


async def test_a_long_file_is_read_in_parts(worktree: Path) -> None:
    (worktree / "long.txt").write_text("".join(f"line {n}\n" for n in range(1, 1001)))
    first = await call(worktree, "read_file", path="long.txt")
    assert first.endswith("[go on with first_line=401]")
    last = await call(worktree, "read_file", path="long.txt", first_line=801)
    assert last.endswith("line 1000")


async def test_a_very_long_line_is_cut(worktree: Path) -> None:
    (worktree / "min.js").write_text("x" * 100_000)
    assert len(await call(worktree, "read_file", path="min.js")) < 1200


async def test_reading_past_the_end_says_how_long_the_file_is(worktree: Path) -> None:
    with pytest.raises(ToolRetry, match="3 lines"):
        await call(worktree, "read_file", path="src/app.js", first_line=9)


async def test_an_empty_file_can_be_read(worktree: Path) -> None:
    (worktree / "empty").touch()
    assert await call(worktree, "read_file", path="empty") == "empty, lines 0-0 of 0"


async def test_kept_outputs_can_be_read_and_not_written(worktree: Path) -> None:
    (worktree.parent / "outputs").mkdir()
    (worktree.parent / "outputs" / "command-1.txt").write_text("all of it")
    assert "all of it" in await call(worktree, "read_file", path="/outputs/command-1.txt")
    with pytest.raises(ToolFailed, match="only be read"):
        await write(worktree, "/outputs/command-1.txt")


async def test_a_new_file_gets_its_directories(worktree: Path) -> None:
    assert await write(worktree, "a/b/c.txt", "hello\n") == "Created a/b/c.txt: 1 lines."
    assert (worktree / "a/b/c.txt").read_text() == "hello\n"
    assert stat.S_IMODE((worktree / "a/b/c.txt").stat().st_mode) == 0o644


async def test_a_new_script_can_be_run(worktree: Path) -> None:
    await write(worktree, "init.sh", "#!/bin/sh\n")
    assert os.access(worktree / "init.sh", os.X_OK)


async def test_writing_keeps_mode_line_ends_and_leaves_nothing_beside(worktree: Path) -> None:
    path = worktree / "run.bat"
    path.write_bytes(b"a\r\nb\r\n")
    path.chmod(0o750)
    await write(worktree, "run.bat", "c\nd\n")
    assert path.read_bytes() == b"c\r\nd\r\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o750
    assert names_in(worktree) == [".git", "features.json", "run.bat", "src"]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"one\r\ntwo\r\n", b"one\r\n2\r\n"),
        (b"\xef\xbb\xbfone\ntwo\n", b"\xef\xbb\xbfone\n2\n"),
        ("one\ntwo\n".encode("utf-16"), b"\xff\xfe" + "one\n2\n".encode("utf-16-le")),
        (b"caf\xe9\ntwo\n", b"caf\xe9\n2\n"),
        (b"mixed\r\ntwo\n", b"mixed\r\n2\n"),
        (b"two", b"2"),
    ],
)
async def test_an_edit_keeps_line_ends_marks_and_encoding(worktree: Path, before: bytes, after: bytes) -> None:
    (worktree / "f").write_bytes(before)
    await edit(worktree, "f", ("two", "2"))
    assert (worktree / "f").read_bytes() == after


async def test_an_edit_over_several_lines_fits_a_file_with_other_line_ends(worktree: Path) -> None:
    (worktree / "f").write_bytes(b"a\r\nb\r\n")
    await edit(worktree, "f", ("a\nb", "b\na"))
    assert (worktree / "f").read_bytes() == b"b\r\na\r\n"


async def test_edits_are_applied_in_order(worktree: Path) -> None:
    await edit(worktree, "src/app.js", ("const b = 2;", "const b = 3;"), ("b = 3", "b = 4"))
    assert "const b = 4;" in (worktree / "src/app.js").read_text()


async def test_if_one_edit_fails_none_is_applied(worktree: Path) -> None:
    before = (worktree / "src/app.js").read_bytes()
    with pytest.raises(ToolRetry, match=r"Edit 2: .*Nothing was changed"):
        await edit(worktree, "src/app.js", ("const b = 2;", "gone"), ("nowhere to be found", "x"))
    assert (worktree / "src/app.js").read_bytes() == before


async def test_an_edit_that_fits_nowhere_shows_the_nearest_lines(worktree: Path) -> None:
    with pytest.raises(ToolRetry, match="     2\tconst b = 2;"):
        await edit(worktree, "src/app.js", ("  const b = 22;", "x"))


@pytest.mark.parametrize(
    ("search", "told"),
    [
        ("function b() {\n  return 2\n}", "differs is 6:\n     5\tfunction b() {\n     6\t  return 2;\n     7\t}\n"),
        ("  function b() {", "first that differs is 5:\n     5\tfunction b() {\n"),
        ("end 1\nend 2", "first that differs is 8 in its end, which is CR LF:\n     8\tend 1\r\n     9\tend 2\n"),
        ("const " + "y" * 300, "     4\tconst y"),
        ("nothing like this", "Nothing in it is similar."),
        (" \n ", "The search text is blank."),
    ],
)  # fmt: skip
async def test_an_edit_of_several_lines_that_fits_nowhere_shows_the_place_and_what_differs(
    worktree: Path, search: str, told: str
) -> None:
    text = (
        "function a() {\n  return 1;\n}\n" + "const " + "y" * 290 + "\nfunction b() {\n  return 2;\n}\nend 1\r\nend 2\n"
    )
    (worktree / "f.js").write_text(text, newline="")
    with pytest.raises(ToolRetry) as refused:
        await edit(worktree, "f.js", (search, "x"))
    assert told in str(refused.value)
    assert str(refused.value).endswith("Nothing was changed.")
    assert (worktree / "f.js").read_bytes() == text.encode()


async def test_an_edit_that_fits_twice_names_the_lines(worktree: Path) -> None:
    with pytest.raises(ToolRetry, match="3 times, at lines 1, 2, 3"):
        await edit(worktree, "src/app.js", ("const", "let"))
    await edit(worktree, "src/app.js", ("const", "let"), every_place=True)
    assert (worktree / "src/app.js").read_text().count("let") == 3


async def test_a_letter_the_encoding_lacks_is_refused(worktree: Path) -> None:
    (worktree / "f").write_bytes(b"caf\xe9\n")
    with pytest.raises(ToolRetry, match="latin-1"):
        await edit(worktree, "f", ("caf", "\u65e5"))
    assert (worktree / "f").read_bytes() == b"caf\xe9\n"


@pytest.mark.parametrize("before", [b"\x83\x65\x83\x58\x83\x67 one\n", b"caf\xe9 one\n"], ids=["shift-jis", "latin-1"])
async def test_of_a_file_in_an_unknown_encoding_no_byte_is_made_up(worktree: Path, before: bytes) -> None:
    (worktree / "f").write_bytes(before)
    with pytest.raises(ToolRetry, match="iconv"):
        await edit(worktree, "f", ("one", "\xfc"))
    assert (worktree / "f").read_bytes() == before
    await edit(worktree, "f", (before.decode("latin-1").removesuffix("\n"), before.decode("latin-1")[:3] + "two"))
    assert (worktree / "f").read_bytes() == before[:3] + b"two\n"


async def test_what_begins_as_utf_16_and_is_not_is_left_alone(worktree: Path) -> None:
    (worktree / "f").write_bytes(b"\xff\xfea\0b")
    with pytest.raises(ToolFailed, match="utf-16-le"):
        await edit(worktree, "f", ("a", "b"))


async def test_files_are_listed_in_order_without_dependencies(worktree: Path) -> None:
    (worktree / "node_modules" / "x").mkdir(parents=True)
    (worktree / "node_modules" / "x" / "i.js").touch()
    assert await call(worktree, "list_files") == "features.json\nsrc/app.js"
    assert await call(worktree, "list_files", path="src") == "app.js"


async def test_a_long_list_is_bounded(worktree: Path) -> None:
    for number in range(450):
        (worktree / "src" / f"{number:03}").touch()
    assert "[51 more; name a directory]" in await call(worktree, "list_files", path="src")


async def test_a_name_that_is_not_text_is_listed_as_text(worktree: Path) -> None:
    make_unreadable_name(worktree)
    (await call(worktree, "list_files")).encode()


async def test_lines_are_found_by_pattern(worktree: Path) -> None:
    assert await call(worktree, "search_files", pattern=r"b\s*=") == "src/app.js:2: const b = 2;"
    assert await call(worktree, "search_files", pattern="CONST A", ignore_case=True, glob="*.js") != "No line matches."
    assert await call(worktree, "search_files", pattern="const", glob="*.py") == "No line matches."


async def test_many_matches_are_bounded(worktree: Path) -> None:
    (worktree / "many").write_text("hit\n" * 500)
    assert "[400 more matches" in await call(worktree, "search_files", pattern="hit")


async def test_a_pattern_that_is_wrong_is_told(worktree: Path) -> None:
    with pytest.raises(ToolRetry, match="unterminated"):
        await call(worktree, "search_files", pattern="(a")


async def test_a_pattern_that_never_ends_is_ended(worktree: Path) -> None:
    (worktree / "f").write_text("a" * 50)
    tool = next(t for t in file_tools(worktree, search_seconds=0.5) if t.name == "search_files")
    with pytest.raises(ToolRetry, match="simpler"):
        await tool.call(tool.arguments.model_validate({"pattern": "(a+)+b"}))


async def test_a_search_follows_no_link(worktree: Path) -> None:
    (worktree / "link").symlink_to(worktree.parent / "outside.txt")
    (worktree / "links").symlink_to(worktree.parent)
    assert await call(worktree, "search_files", pattern="secret") == "No line matches."
    (worktree / "copy").write_bytes((worktree.parent / "outside.txt").read_bytes())
    assert await call(worktree, "search_files", pattern="secret") == "copy:1: secret"


@pytest.mark.parametrize(
    "path", ["../outside.txt", "src/../../outside.txt", "/etc/passwd", "", "a\0b", "/project/../x"]
)
async def test_a_path_that_leads_outside_is_refused(worktree: Path, path: str) -> None:
    """FS-1."""
    for tool, more in (("read_file", {}), ("write_file", {"content": "x"}), ("list_files", {})):
        with pytest.raises((ToolRetry, ToolFailed)):
            await call(worktree, tool, path=path, **more)
    assert (worktree.parent / "outside.txt").read_text() == "secret"


@pytest.mark.parametrize(
    "path",
    [
        *(".git/config", ".GIT/Config", ".git./config", ".git /config", ".git::$INDEX_ALLOCATION/config"),
        *("GIT~1/config", ".g\u200cit/config", "\uff0egit/config", "vendor/.git/hooks/post-commit", ".git"),
    ],
)
async def test_git_is_closed_under_every_name(worktree: Path, path: str) -> None:
    """FS-4."""
    for tool, more in (("read_file", {}), ("write_file", {"content": "x"})):
        with pytest.raises(ToolFailed, match="git"):
            await call(worktree, tool, path=path, **more)


@pytest.mark.parametrize(
    "path", ["features.json", "Features.JSON", "checks/f1.json", "./progress.json", "harness.toml."]
)
async def test_files_of_the_harness_can_be_read_and_not_written(worktree: Path, path: str) -> None:
    """FS-4, FS-6."""
    with pytest.raises(ToolFailed, match="harness only"):
        await write(worktree, path)
    assert "features.json" in await call(worktree, "read_file", path="features.json")


async def test_without_protection_the_same_write_succeeds(worktree: Path) -> None:
    """The broken twin: it is the list of protected names that refuses, nothing else."""
    tool = next(t for t in file_tools(worktree, protected=()) if t.name == "write_file")
    await tool.call(tool.arguments.model_validate({"path": "features.json", "content": "[1]"}))
    assert (worktree / "features.json").read_text() == "[1]"


async def test_a_link_is_read_inside_and_refused_outside(worktree: Path) -> None:
    """FS-2."""
    (worktree / "inner").symlink_to("src/app.js")
    (worktree / "outer").symlink_to("../outside.txt")
    (worktree / "dir").symlink_to("..")
    (worktree / "gitlink").symlink_to(".git")
    assert "const a" in await call(worktree, "read_file", path="inner")
    for path in ("outer", "dir/outside.txt", "gitlink/config"):
        with pytest.raises(ToolFailed):
            await call(worktree, "read_file", path=path)


async def test_a_link_is_never_written_through(worktree: Path) -> None:
    """FS-2."""
    (worktree / "outer").symlink_to("../outside.txt")
    (worktree / "dir").symlink_to("..")
    (worktree / "dangling").symlink_to("../new.txt")
    for path in ("outer", "dir/outside.txt", "dangling", "dir/new/deep.txt"):
        with pytest.raises(ToolFailed, match="link"):
            await write(worktree, path, "stolen")
    assert (worktree.parent / "outside.txt").read_text() == "secret"
    assert names_in(worktree.parent) == ["outside.txt", "worktree"]


async def test_plain_writing_does_follow_the_link(worktree: Path) -> None:
    """The broken twin: what the tool refuses is a real way out."""
    (worktree / "outer").symlink_to("../outside.txt")
    (worktree / "outer").write_text("stolen")
    assert (worktree.parent / "outside.txt").read_text() == "stolen"


async def test_a_hard_link_is_never_written_through(worktree: Path) -> None:
    """FS-3."""
    (worktree / "same").hardlink_to(worktree.parent / "outside.txt")
    with pytest.raises(ToolFailed, match="hard link"):
        await write(worktree, "same", "stolen")
    assert (worktree.parent / "outside.txt").read_text() == "secret"


async def test_plain_writing_goes_through_a_hard_link(worktree: Path) -> None:
    """FS-3, the broken twin."""
    (worktree / "same").hardlink_to(worktree.parent / "outside.txt")
    (worktree / "same").write_text("stolen")
    assert (worktree.parent / "outside.txt").read_text() == "stolen"


async def test_plain_reading_would_wait_for_a_pipe(worktree: Path) -> None:
    """FS-8, the broken twin: nobody writes, so an open that waits does not come back."""
    os.mkfifo(worktree / "pipe")
    with pytest.raises(subprocess.TimeoutExpired):
        subprocess.run(["cat", str(worktree / "pipe")], timeout=0.5, check=False)  # noqa: ASYNC221 - nothing else runs


async def test_pipes_sockets_and_devices_are_refused_without_waiting(worktree: Path) -> None:
    """FS-8."""
    os.mkfifo(worktree / "pipe")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(worktree / "socket"))
        for name in ("pipe", "socket"):
            with pytest.raises(ToolFailed, match="pipe, socket or device"):
                await call(worktree, "read_file", path=name)
            with pytest.raises(ToolFailed, match="pipe, socket or device"):
                await write(worktree, name)
        assert await call(worktree, "search_files", pattern="secret") == "No line matches."


@pytest.mark.parametrize(
    ("path", "told"),
    [("gone.txt", "does not exist"), ("src", "list_files"), (".", "list_files"), ("src/app.js/x", "not a directory")],
)
async def test_a_wrong_path_is_told_in_words(worktree: Path, path: str, told: str) -> None:
    with pytest.raises(ToolRetry, match=told):
        await call(worktree, "read_file", path=path)


async def test_a_binary_file_is_refused(worktree: Path) -> None:
    (worktree / "image.png").write_bytes(b"\x89PNG\0\0")
    with pytest.raises(ToolFailed, match="binary"):
        await call(worktree, "read_file", path="image.png")


def drawn(kind: str, size: tuple[int, int] = (640, 480), mode: str = "RGB") -> bytes:
    file = io.BytesIO()
    Image.linear_gradient("L").resize(size).convert(mode).save(file, kind)
    return file.getvalue()


async def read_as(worktree: Path, path: str, *, images: bool) -> Any:
    tool = next(t for t in file_tools(worktree, images=images) if t.name == "read_file")
    return await tool.call(tool.arguments(path=path))


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "WEBP"])
async def test_a_picture_is_shown_to_a_model_that_takes_pictures_and_told_to_others(worktree: Path, kind: str) -> None:
    (worktree / "logo").write_bytes(drawn(kind))
    shown = await read_as(worktree, "logo", images=True)
    assert shown.text == f"logo is a picture ({kind}, 640 x 480 pixels); it follows."
    with Image.open(io.BytesIO(shown.picture)) as seen:
        assert (seen.format, seen.size) == ("PNG", (640, 480))
    told = await read_as(worktree, "logo", images=False)
    assert told == f"logo is a picture ({kind}, 640 x 480 pixels); this model takes no pictures."


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P"])
async def test_a_large_picture_is_scaled_down_and_encoded_anew(worktree: Path, mode: str) -> None:
    noise = Image.effect_noise((2000, 1000), 200).convert(mode)
    noise.save(worktree / "noise.png", "PNG")
    shown = await read_as(worktree, "noise.png", images=True)
    assert "PNG, 2000 x 1000 pixels" in shown.text
    assert len(shown.picture) <= scaling.MOST_BYTES
    with Image.open(io.BytesIO(shown.picture)) as seen:
        assert seen.format == "JPEG"
        assert max(seen.size) in (1568, 784), "noise is hard to write down"


async def test_a_picture_that_unpacks_to_more_than_memory_holds_is_refused(
    worktree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Image.new("1", (10_000, 5_000)).save(worktree / "bomb.png")
    bomb = (worktree / "bomb.png").read_bytes()
    assert len(bomb) < 10_000
    with pytest.raises(ToolFailed, match="too many"):
        await read_as(worktree, "bomb.png", images=True)
    monkeypatch.setattr(scaling, "MOST_PIXELS", 10**9)
    assert scaling.scaled(bomb)[0]["width"] == 10_000, "it is that limit, not the picture"


async def test_what_only_begins_as_a_picture_is_a_binary_file(worktree: Path) -> None:
    for name, data in {
        "cut": drawn("JPEG")[:300],
        "text": b"\x89PNG\r\n\x1a\nhello",
        "webp": b"RIFF\0\0\0\0WEBP",
    }.items():
        (worktree / name).write_bytes(data)
        with pytest.raises(ToolFailed, match="binary file that begins as a picture"):
            await read_as(worktree, name, images=True)


LONG_PROGRAM = "import os, sys; sys.stdin.read(); print(sorted(os.environ), flush=True)"


async def test_a_program_apart_has_no_environment_of_ours_and_is_ended_when_slow(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    program = tmp_path / "program.py"
    program.write_text(LONG_PROGRAM)
    assert b"OPENAI" not in await run_apart(str(program), b"", 20)
    ours = await asyncio.create_subprocess_exec(sys.executable, str(program), stdin=-3, stdout=-1)
    assert b"OPENAI_API_KEY" in (await ours.communicate())[0], "else the first says nothing"
    program.write_text(f"{LONG_PROGRAM}\nwhile True: pass")
    with pytest.raises(TimeoutError):
        await run_apart(str(program), b"", 0.5)
    program.write_text("raise SystemExit('it fell over')")
    with pytest.raises(ToolFailed, match="it fell over"):
        await run_apart(str(program), b"", 20)


async def test_a_program_apart_that_takes_all_memory_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "program.py"
    program.write_text("import sys; sys.stdin.read(); print(len(bytearray(2 << 30)))")
    with pytest.raises(ToolFailed, match="MemoryError"):
        await run_apart(str(program), b"", 20)
    monkeypatch.setattr(apart, "MEMORY_BYTES", 4 << 30)
    assert await run_apart(str(program), b"", 20) == b"2147483648\n", "it is that limit"


async def test_a_huge_file_is_refused(worktree: Path) -> None:
    with (worktree / "huge").open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(ToolFailed, match="bytes"):
        await call(worktree, "read_file", path="huge")


async def test_a_failed_write_leaves_the_old_content(worktree: Path) -> None:
    with pytest.raises(ToolFailed):
        await write(worktree, "x" * 300)
    assert names_in(worktree) == [".git", "features.json", "src"]


@given(st.sampled_from(PROTECTED), st.lists(st.sampled_from([" ", ".", "\u200d", "\u2060"])), st.booleans())
def test_decorated_names_fold_to_the_protected_one(name: str, decoration: list[str], upper: bool) -> None:
    assert fold((name.upper() if upper else name) + "".join(decoration)) == name


def test_ordinary_names_stay_apart() -> None:
    assert len({fold(name) for name in ("a", "b", ".gitignore", ".git", ".github", "checks2", "checks")}) == 7


def test_the_searcher_needs_nothing_of_the_harness() -> None:
    source = Path(search.__file__).read_text(encoding="utf-8")
    assert "from harness" not in source
    assert "import harness" not in source


def plant(root: Path, files: dict[str, str]) -> None:
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(content)


IGNORING = {
    ".gitignore": "*.log\n/dist/\n!kept.log\nsecrets\n",
    "src/.gitignore": "made.js\n!made.log\n",
    "dist/app.js": "needle",
    "src/made.js": "needle",
    "src/made.log": "needle",
    "src/other.log": "needle",
    "kept.log": "needle",
    "secrets": "needle",
}


@pytest.mark.parametrize("line", ["[z-a]", r"[a-\d]", "[z-[]"])
async def test_a_line_of_a_gitignore_that_is_no_pattern_is_passed_over(worktree: Path, line: str) -> None:
    plant(worktree, {".gitignore": f"{line}\nsecret\n", "secret": "needle", "open": "needle"})
    assert await call(worktree, "search_files", pattern="needle") == "open:1: needle"
    assert "open" in (await call(worktree, "list_files")).splitlines()
    with pytest.raises(re.error):
        GitIgnoreSpecPattern(line)


async def test_what_gitignore_names_is_neither_listed_nor_searched(worktree: Path) -> None:
    plant(worktree, IGNORING)
    seen = ".gitignore\nfeatures.json\nkept.log\nsrc/.gitignore\nsrc/app.js\nsrc/made.log"
    assert await call(worktree, "list_files") == seen
    found = await call(worktree, "search_files", pattern="needle")
    assert found == "kept.log:1: needle\nsrc/made.log:1: needle"
    assert await call(worktree, "list_files", path="src") == ".gitignore\napp.js\nmade.log", "the rules above it count"
    for name in set(IGNORING) - set(seen.split("\n")):
        (worktree / name).unlink()
    (worktree / ".gitignore").unlink()
    (worktree / "secrets").write_text("needle")
    assert "secrets:1: needle" in await call(worktree, "search_files", pattern="needle"), "it was the rule that hid it"


async def test_what_is_ignored_can_still_be_read_and_a_directory_be_named(worktree: Path) -> None:
    plant(worktree, IGNORING)
    assert "needle" in await call(worktree, "read_file", path="secrets")
    assert await call(worktree, "search_files", pattern="needle", path="dist") == "app.js:1: needle"


async def test_a_search_that_finds_nothing_says_what_it_left_out(worktree: Path) -> None:
    plant(worktree, {".gitignore": "secrets\nbuilt\n", "secrets": "x", "built/a": "x", "node_modules/b": "x"})
    told = await call(worktree, "search_files", pattern="no such thing")
    assert told.startswith("No line matches. Left out as ignored: built/, node_modules/, secrets; ")
    plant(worktree, {f"built-{n}": "x" for n in range(9)} | {".gitignore": "built-*\n"})
    assert "built-3, ...; " in await call(worktree, "search_files", pattern="no such thing")
    assert "Left out" not in await call(worktree, "search_files", pattern="const")


async def test_in_a_project_below_the_top_the_rules_of_the_top_count(worktree: Path) -> None:
    plant(worktree, {".gitignore": "/app/built\n", "app/built/a.js": "x", "app/src/a.js": "x"})
    for top, listed in ((worktree, "src/a.js"), (None, "built/a.js\nsrc/a.js")):
        tool = next(t for t in file_tools(worktree / "app", top=top) if t.name == "list_files")
        assert await tool.call(tool.arguments()) == listed


async def test_a_gitignore_that_never_ends_is_ended(worktree: Path) -> None:
    plant(worktree, {"a" * 60: "x", ".gitignore": "*a*a*a*a*a*a*a*a*a*a*a*a*b\n"})
    tool = next(t for t in file_tools(worktree, search_seconds=0.5) if t.name == "list_files")
    with pytest.raises(ToolRetry, match=r"\.gitignore"):
        await tool.call(tool.arguments())
    (worktree / ".gitignore").write_text("b\n")
    assert "aaaa" in await call(worktree, "list_files"), "it was that pattern"


async def test_a_gitignore_behind_a_link_and_lines_that_are_no_patterns_count_for_nothing(worktree: Path) -> None:
    plant(worktree, {"src/.gitignore": "\ufeff# words\n!\n/\n\\\napp.js\r\n", "src/b.js": "x"})
    assert await call(worktree, "list_files", path="src") == ".gitignore\nb.js"
    (worktree.parent / "rules").write_text("b.js\n")
    (worktree / "src" / ".gitignore").unlink()
    (worktree / "src" / ".gitignore").symlink_to(worktree.parent / "rules")
    assert await call(worktree, "list_files", path="src") == ".gitignore\napp.js\nb.js"


LINES = [
    *("a", "a/", "/a", "b*", "!b.js", "*.js", "!a/b.js", "**/c", "c/**", "a/*", "!a/c/", "a/**/b.js", "[bc]*", "!/a"),
    *("# a", "\\!b", "b.js ", "?", "**", "a/c", "!c/", "*/b.js", "c/ ", "a/**/", "*/", "!*/", "!", "/", "!a", "["),
    *("\\", "***", "**/c/**", "a/**/*", "!**/a"),
]
PATTERNS = st.lists(st.sampled_from(LINES), max_size=5)


@given(PATTERNS, PATTERNS)
@settings(max_examples=80, deadline=None, derandomize=True)
def test_what_is_left_out_is_what_git_leaves_out(top: list[str], inner: list[str]) -> None:
    with tempfile.TemporaryDirectory() as directory:
        root = Path(directory)
        names = ["a/a", "a/b.js", "a/c/a", "a/c/b.js", "b.js", "b/a/c", "c/a", "c/b.js", "d/c/a", "!b"]
        plant(root, dict.fromkeys(names, "x") | {".gitignore": "\n".join(top), "a/.gitignore": "\n".join(inner)})
        git = ["git", "-C", directory, "-c", "core.excludesFile=/dev/null"]
        subprocess.run([*git, "init", "-q"], check=True)
        shown = ["ls-files", "-z", "--others", "--exclude-standard"]
        listed = subprocess.run([*git, *shown], check=True, capture_output=True, text=True).stdout
        descriptor = os.open(root, os.O_RDONLY)
        try:
            found = sorted(path for path, _, _ in search.Walk([descriptor], []).files())
        finally:
            os.close(descriptor)
    assert found == sorted(listed.split("\0")[:-1])
