"""What `prepare` made is used again by trees with the same sources, and by no other."""

from __future__ import annotations

import subprocess
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from apps.rooms import open_room

from harness.coder import bring_what_was_made
from harness.parts import Parts
from harness.project import Project
from harness.repo import Repo
from harness.sandbox.policy import PROTECTED, Policy
from harness.sandbox.processes import CommandResult, Room
from harness.settings import AppSettings, Settings
from harness.verify import app as app_module
from harness.verify import prepare_cache
from harness.verify.app import AppNotStarted, Instance, serve
from harness.verify.prepare_cache import PrepareCache, stamps_dir
from harness.verify.prepared import LEFT_OUT, Stamp

pytestmark = pytest.mark.needs("bwrap")

INSTALL = """\
set -e
[ ! -e node_modules/left-pad ] || chmod 700 node_modules/left-pad
mkdir -p node_modules/left-pad packages/a/node_modules src
echo 'installed' >node_modules/left-pad/index.js
chmod 500 node_modules/left-pad
echo 'inner' >packages/a/node_modules/x
cat source.txt >dist.txt
echo generated >src/generated.txt
echo lock >>lock.txt
ln -sf ../../outside/secret node_modules/link
[ -p node_modules/pipe ] || mkfifo node_modules/pipe
echo seeded >"$HARNESS_DATA_DIR/notes.txt"
"""
APP = AppSettings(prepare="sh install.sh", serve="python3 -m http.server $PORT --bind 127.0.0.1", start_seconds=10)


TRACKED = (
    *("install.sh", "source.txt", "lock.txt", "packages/a/main.js", "new.txt"),
    *("node_modules/own.js", "public/app.js", "src/target/code.js", "entry"),
)
"""What git tracks of the trees here, where it exists."""


def tree_of(directory: Path, source: str = "one") -> Path:
    (directory / "packages" / "a").mkdir(parents=True)
    for name, text in {"install.sh": INSTALL, "source.txt": source, "lock.txt": "", "packages/a/main.js": "1"}.items():
        (directory / name).write_text(text)
    return directory


@pytest.fixture
async def room(tmp_path: Path) -> AsyncIterator[Room]:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "secret").write_text("canary")
    async with open_room(tmp_path, tree_of(tmp_path / "first")) as opened:
        yield opened


class Preparing:
    """Prepares trees of one room, and counts how often `prepare` ran."""

    def __init__(self, room: Room, home: Path, limit_bytes: int = 1 << 20) -> None:
        self.room, self.home, self.runs, self.is_kept = room, home, 0, True
        self.cache, self.stamps = PrepareCache(home / "cache", limit_bytes), home / "stamps"
        self._prepares: set[str] = set()
        run = room.run

        async def counted(command: str | Sequence[str], **options: Any) -> CommandResult:
            self.runs += isinstance(command, str) and command in self._prepares
            return await run(command, **options)

        room.run = counted  # type: ignore[method-assign]

    async def __call__(self, tree: Path, app: AppSettings = APP) -> str:
        """What lies in the data of a fresh instance."""
        async with self.serving(tree, app) as instance:
            notes = instance.data_dir / "notes.txt"
            return notes.read_text() if notes.exists() else ""

    @asynccontextmanager
    async def serving(self, tree: Path, app: AppSettings = APP) -> AsyncIterator[Instance]:
        self._prepares.add(app.prepare)
        tracked = [name for name in TRACKED if (tree / name).is_symlink() or (tree / name).exists()]
        cache = self.cache if self.is_kept else None
        more: dict[str, Any] = {"stamps_dir": self.stamps, "cache": cache, "tracked": tracked}
        async with serve(tree, self.room, app, self.home / f"data-{tree.name}", **more) as instance:
            yield instance

    @property
    def entries(self) -> list[Path]:
        return sorted(self.cache._directory.iterdir())


@pytest.fixture
def preparing(room: Room, tmp_path: Path) -> Preparing:
    return Preparing(room, tmp_path / "kept")


def contents(tree: Path) -> dict[str, str]:
    paths = [path for path in tree.rglob("*") if path.is_symlink() or not path.is_dir()]
    return {str(path.relative_to(tree)): _content(path) for path in sorted(paths)}


def _content(path: Path) -> str:
    if path.is_symlink():
        return f"-> {path.readlink()}"
    return path.read_text() if path.is_file() else "special"


async def test_another_tree_with_the_same_sources_is_prepared_without_installing(
    preparing: Preparing, tmp_path: Path
) -> None:
    assert await preparing(tmp_path / "first") == "seeded\n"
    second = tree_of(tmp_path / "second")
    assert await preparing(second) == "seeded\n"
    assert preparing.runs == 1
    assert contents(second) == contents(tmp_path / "first"), "also what prepare changed among the sources"
    assert contents(second)["node_modules/link"] == "-> ../../outside/secret"
    assert await preparing(second) == "seeded\n"
    assert preparing.runs == 1, "it has a stamp of its own now"


@pytest.mark.parametrize(
    "change",
    [
        lambda tree: (tree / "source.txt").write_text("two"),
        lambda tree: (tree / "new.txt").touch(),
        lambda tree: (tree / "packages" / "a" / "main.js").unlink(),
    ],
)
async def test_a_tree_with_other_sources_is_prepared_anew(preparing: Preparing, tmp_path: Path, change: object) -> None:
    await preparing(tmp_path / "first")
    second = tree_of(tmp_path / "second")
    change(second)  # type: ignore[operator]
    await preparing(second)
    assert preparing.runs == 2
    assert (second / "dist.txt").read_text() == (second / "source.txt").read_text()


async def test_another_command_prepares_anew(preparing: Preparing, tmp_path: Path) -> None:
    await preparing(tmp_path / "first")
    await preparing(tree_of(tmp_path / "second"), APP.model_copy(update={"prepare": "sh ./install.sh"}))
    assert preparing.runs == 2


async def test_a_tree_that_goes_back_to_earlier_sources_gets_what_belonged_to_them(
    preparing: Preparing, tmp_path: Path
) -> None:
    """As a baseline does, which is checked out in the same place again and again."""
    tree = tree_of(tmp_path / "baseline", "one")
    for source, runs in (("one", 1), ("two", 2), ("one", 2), ("two", 2)):
        for name, text in {"source.txt": source, "lock.txt": ""}.items():
            (tree / name).write_text(text)  # what a checkout does
        (tree / "src" / "generated.txt").unlink(missing_ok=True)
        await preparing(tree)
        assert ((tree / "dist.txt").read_text(), preparing.runs) == (source, runs)


class Linked(PrepareCache):
    """The broken twin: trees share the files of an entry."""

    async def take(self, key: str, room: Room, policy: Policy, stamp: Stamp) -> bool:
        taken = await super().take(key, room, policy, stamp)
        for name in SHARED if taken else ():
            (stamp.tree / name).unlink()
            (stamp.tree / name).hardlink_to(self._directory / key / "tree" / name)
        return taken


SHARED = ("dist.txt", "packages/a/node_modules/x")


@pytest.mark.parametrize("kind", [PrepareCache, Linked])
async def test_no_tree_changes_what_another_gets(
    preparing: Preparing, tmp_path: Path, kind: type[PrepareCache]
) -> None:
    preparing.cache = kind(tmp_path / "kept" / "cache", 1 << 20)
    trees = [tree_of(tmp_path / f"tree-{number}") for number in range(3)]
    for tree in trees[:2]:
        await preparing(tree)
        tamper = "echo evil >dist.txt; echo evil >packages/a/node_modules/x"
        await preparing.room.run(tamper, policy=replace(preparing.room.policy, worktree=tree))
    await preparing(trees[2])
    assert preparing.runs == 1
    found = [contents(trees[2])[name] for name in SHARED]
    assert found == (["evil\n", "evil\n"] if kind is Linked else ["one", "inner\n"])


async def test_what_was_made_leads_nowhere_when_it_is_copied(
    preparing: Preparing, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A link out of the tree stays a link; the twin follows it, and finds nothing there: it runs inside."""
    await preparing(tmp_path / "first")
    assert (preparing.entries[0] / "tree" / "node_modules" / "link").is_symlink()
    monkeypatch.setattr(prepare_cache, "COPY_IN", prepare_cache.COPY_IN.replace("-a --reflink=auto", "-aL"))
    await preparing(tree_of(tmp_path / "second", "two"))
    assert "canary" not in str([contents(entry) for entry in preparing.entries])


async def test_half_an_entry_is_none(preparing: Preparing, tmp_path: Path) -> None:
    """A harness that was killed while it copied leaves no entry; one that lost its last file is none."""
    await preparing(tmp_path / "first")
    (entry,) = preparing.entries
    (entry / "entry.json").rename(entry / "gone")
    for name in (entry.name, "other"):
        (tmp_path / "kept" / "cache" / f".new-{name}" / "tree").mkdir(parents=True)
    await preparing(tree_of(tmp_path / "second"))
    assert preparing.runs == 2
    assert preparing.entries == [entry], "it is whole again, and nothing unfinished takes up room"
    await preparing(tree_of(tmp_path / "third"))
    assert preparing.runs == 2


async def test_what_was_used_longest_ago_goes_first(room: Room, tmp_path: Path) -> None:
    preparing = Preparing(room, tmp_path / "kept", limit_bytes=5000)
    (tmp_path / "first" / "install.sh").write_text("head -c 2000 /dev/zero >big; cp source.txt b\n")

    async def prepared(number: int, source: str) -> int:
        tree = tree_of(tmp_path / f"tree-{number}", source)
        (tree / "install.sh").write_text((tmp_path / "first" / "install.sh").read_text())
        await preparing(tree)
        return preparing.runs

    steps = [("a", 1), ("b", 2), ("a", 2), ("c", 3), ("a", 3), ("b", 4)]
    assert [await prepared(number, source) for number, (source, _) in enumerate(steps)] == [runs for _, runs in steps]
    assert len(preparing.entries) == 2
    small = Preparing(room, tmp_path / "small", limit_bytes=1000)
    await small(tree_of(tmp_path / "large", "x" * 2000))
    assert small.entries == [], "what does not fit at all is not kept"


def by_name_alone(stamp: Stamp, path: Path, made: set[str]) -> bool:
    """The broken twin: what git tracks is not asked for."""
    return path.parts[0] not in made and path.name not in LEFT_OUT


@pytest.mark.parametrize("is_broken", [False, True])
@pytest.mark.parametrize("name", ["node_modules/own.js", "public/app.js", "src/target/code.js"])
async def test_what_git_tracks_is_a_source_whatever_its_name(
    preparing: Preparing, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, is_broken: bool
) -> None:
    """Also where `prepare` once made its directory, or where others install into it."""
    if is_broken:
        monkeypatch.setattr(Stamp, "_counts", by_name_alone)
    app = APP.model_copy(update={"prepare": f"mkdir -p {Path(name).parent}"})
    tree = tree_of(tmp_path / "candidate")
    await preparing(tree, app)  # nothing is tracked there yet
    runs, judged = [], []
    for text in ("bad", "mended"):
        (tree / name).write_text(text)
        await preparing(tree, app)
        runs.append(preparing.runs)
    baseline = tree_of(tmp_path / "baseline")
    for text in ("bad", "mended", "bad"):
        (baseline / name).parent.mkdir(parents=True, exist_ok=True)
        (baseline / name).write_text(text)
        await preparing(baseline, app)
        judged.append((baseline / name).read_text() if (baseline / name).exists() else "gone")
    assert ((runs, judged) == ([2, 3], ["bad", "mended", "bad"])) is not is_broken
    assert is_broken or preparing.runs == 3


async def test_a_link_is_a_source_by_where_it_leads(preparing: Preparing, tmp_path: Path) -> None:
    app = APP.model_copy(update={"prepare": "cat entry >dist.txt"})
    for number, target in enumerate(("source.txt", "packages/a/main.js", "source.txt")):
        tree = tree_of(tmp_path / f"tree-{number}")
        (tree / "entry").symlink_to(target)
        await preparing(tree, app)
        assert (tree / "entry").readlink() == Path(target)
        assert (tree / "dist.txt").read_text() == (tree / target).read_text()
    assert preparing.runs == 2, "a tree with links is kept, too"


async def test_what_prepare_put_in_place_of_a_link_does_not_go_through_it(preparing: Preparing, tmp_path: Path) -> None:
    app = APP.model_copy(update={"prepare": "rm entry && echo own >entry"})
    for name in ("made", "taken"):
        tree = tree_of(tmp_path / name)
        (tree / "entry").symlink_to("source.txt")
        await preparing(tree, app)
        found = contents(tree)
        assert (found["entry"], found["source.txt"]) == ("own\n", "one")
    assert preparing.runs == 1


@contextmanager
def in_the_common_home(policy: Policy, name: str) -> Iterator[Policy]:
    """The broken twin: `prepare` has home and /tmp of the applications."""
    yield policy


@pytest.mark.parametrize("is_broken", [False, True])
async def test_what_an_application_left_in_the_home_reaches_no_other_tree(
    preparing: Preparing, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_broken: bool
) -> None:
    """The candidate's runs first, and the first directory of PATH lies in the home."""
    if is_broken:
        monkeypatch.setattr(app_module, "own_home", in_the_common_home)
    plant = 'mkdir -p ~/.local/bin && printf "#!/bin/sh\necho evil" | tee /tmp/tool >~/.local/bin/compile'
    candidate = f"{plant} && chmod +x ~/.local/bin/compile /tmp/tool && {APP.serve}"
    prepare = "{ compile || /tmp/tool || echo clean; } 2>/dev/null >dist.txt"
    app = AppSettings(prepare=prepare, serve=candidate, start_seconds=10)
    async with preparing.serving(tree_of(tmp_path / "candidate", "candidate"), app):
        for name in ("baseline", "later"):
            tree = tree_of(tmp_path / name)
            await preparing(tree, APP.model_copy(update={"prepare": prepare}))
            assert (tree / "dist.txt").read_text() == ("evil\n" if is_broken else "clean\n")
    assert preparing.runs == 2


async def nothing(room: Room, policy: Policy, stamp: Stamp) -> bool:
    """The broken twin: what lies in a tree stays."""
    return True


@pytest.mark.parametrize("is_broken", [False, True])
async def test_what_one_attempt_left_is_not_kept_for_others(
    preparing: Preparing, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_broken: bool
) -> None:
    """A checkout leaves what git ignores, and `prepare` is run where the last attempt's application wrote."""
    if is_broken:
        monkeypatch.setattr(app_module, "take_away", nothing)
    tree = tree_of(tmp_path / "candidate")
    await preparing(tree)
    left = ("node_modules/left-pad/evil.js", "packages/a/node_modules/evil.js", "ignored.sqlite")
    (tree / left[0]).parent.chmod(0o700)
    for name in left:
        (tree / name).write_text("evil")
    (tree / "source.txt").write_text("the next attempt")
    await preparing(tree)
    other = tree_of(tmp_path / "other", "the next attempt")
    (other / "lock.txt").write_text((tree / "lock.txt").read_text().removesuffix("lock\n"))
    await preparing(other)
    assert preparing.runs == 2
    assert [name for name in left if (other / name).exists()] == ([*left] if is_broken else [])


@pytest.mark.parametrize("is_broken", [False, True])
@pytest.mark.parametrize("is_kept", [False, True])
async def test_a_tree_whose_preparing_was_cut_short_is_not_prepared(
    preparing: Preparing, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_kept: bool, is_broken: bool
) -> None:
    """Back on the sources of its last stamp, with all that it names, it still holds half of something else."""
    if is_broken:
        monkeypatch.setattr(Stamp, "void", lambda stamp: None)
    preparing.is_kept = is_kept
    app = APP.model_copy(update={"prepare": "echo half >dist.txt; grep -v two source.txt && cp source.txt dist.txt"})
    tree = tree_of(tmp_path / "candidate")
    await preparing(tree, app)
    (tree / "source.txt").write_text("two")
    with pytest.raises(AppNotStarted):
        await preparing(tree, app)
    (tree / "source.txt").write_text("one")
    await preparing(tree, app)
    assert (tree / "dist.txt").read_text() == ("half\n" if is_broken else "one")


@pytest.mark.parametrize("is_broken", [False, True])
async def test_a_tree_is_not_prepared_while_it_is_taken_from_what_was_kept(
    preparing: Preparing, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_broken: bool
) -> None:
    await preparing(tmp_path / "first")
    tree = tree_of(tmp_path / "second")
    await preparing(tree)
    if is_broken:
        monkeypatch.setattr(Stamp, "void", lambda stamp: None)
    stamp = Stamp(tree, preparing.stamps, frozenset(PROTECTED), [name for name in TRACKED if (tree / name).exists()])
    assert stamp.is_valid()
    (key,) = (entry.name for entry in preparing.entries)
    monkeypatch.setattr(prepare_cache, "COPY_OUT", f"{prepare_cache.COPY_OUT}; kill -9 $$")
    assert not await preparing.cache.take(key, preparing.room, preparing.room.policy, stamp)
    assert stamp.is_valid() is is_broken


async def test_a_new_worktree_gets_what_was_made_of_its_commit(project_dir: Path, tmp_path: Path) -> None:
    """Its session may have no network to install by itself; the twin is a commit that nobody prepared.

    What an earlier session installed is replaced; what git tracks is not.
    """
    for name in ("install.sh", "source.txt", "lock.txt", "packages"):
        (tree_of(tmp_path / f"from-{name}") / name).rename(project_dir / name)
    (project_dir / ".gitignore").write_text("node_modules\n")
    repo, project, settings = Repo.open(project_dir), Project.find(project_dir), Settings(app=APP)
    project.prepare_state()
    shas = [commit(project_dir, source) for source in ("one", "two")]
    candidate = await repo.checkout_at(shas[0], project.worktrees_dir / "candidate")
    async with open_room(tmp_path, candidate.path) as room:
        kept: dict[str, Any] = {"stamps_dir": stamps_dir(project), "cache": PrepareCache.of(project, settings)}
        kept["tracked"] = await candidate.files()
        async with serve(candidate.directory, room, APP, tmp_path / "data", **kept):
            pass
    tree = await repo.open_worktree(project.worktrees_dir / "session", "harness/t1")
    parts = Parts(project, settings, "t1", repo, *(None,) * 5)  # type: ignore[arg-type]
    policy = Policy(worktree=tree.path, scratch=tmp_path / "scratch", data_dir=tmp_path / "scratch" / "data")
    for sha, brought in ((shas[1], False), (shas[0], True)):
        await tree.reset(sha)
        assert await bring_what_was_made(parts, tree, policy, tmp_path / "session-journal") == brought
        await tree.reset(sha)
        assert (tree.directory / "node_modules" / "left-pad" / "index.js").exists() == brought
        (tree.directory / "node_modules" / "old").mkdir(parents=True, exist_ok=True)
    assert await tree.changed_files(shas[0]) == [], "what git does not ignore is no work of the session"
    assert await bring_what_was_made(parts, tree, policy, tmp_path / "session-journal")
    assert not (tree.directory / "node_modules" / "old").exists()
    assert (policy.data_dir / "notes.txt").read_text() == "seeded\n"
    (policy.data_dir / "notes.txt").unlink()
    assert not await bring_what_was_made(parts, tree, policy, tmp_path / "session-journal")
    assert (policy.data_dir / "notes.txt").exists(), "the tree has it already, and the next session's data do not"
    await tree.reset(shas[0])
    subprocess.run(["git", "add", "--force", "node_modules/left-pad"], cwd=tree.path, check=True)  # noqa: ASYNC221 - nothing else runs
    assert not await bring_what_was_made(parts, tree, policy, tmp_path / "session-journal")


def commit(directory: Path, source: str) -> str:
    (directory / "source.txt").write_text(source)
    for command in (["add", "--all"], ["commit", "--quiet", "--message", source]):
        subprocess.run(["git", *command], cwd=directory, check=True)
    told = subprocess.run(["git", "rev-parse", "HEAD"], cwd=directory, check=True, capture_output=True, text=True)
    return told.stdout.strip()
