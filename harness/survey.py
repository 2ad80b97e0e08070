"""What is there before anything is planned: the code of a project that others wrote, read from its last commit.

What can be known without a model is found here by code: how much there is and in which languages, what it says of
itself, how it is started and tested (`manifests.py`), a map of what is defined where (`outline.py`). Models are told it
as quoted data of bounded size; a person is told in a few lines what is proposed. A directory without code has no
survey, and nothing of this is said there.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict

from harness import outline
from harness.brief import CONVENTIONS
from harness.manifests import MANIFESTS, SOURCES, Manifests, Start, Suite
from harness.prompts import fence

if TYPE_CHECKING:
    from harness.worktree import Worktree

LANGUAGES = {
    "Python": (".py",),
    "JavaScript": (".js", ".mjs", ".cjs", ".jsx"),
    "TypeScript": (".ts", ".mts", ".tsx"),
    "HTML": (".html", ".htm"),
    "CSS": (".css", ".scss"),
    "Vue": (".vue",),
    "Svelte": (".svelte",),
    "Go": (".go",),
    "Rust": (".rs",),
    "Ruby": (".rb",),
    "PHP": (".php",),
    "Java": (".java",),
    "Kotlin": (".kt",),
    "C#": (".cs",),
    "C and C++": (".c", ".h", ".cc", ".cpp", ".hpp"),
    "Elixir": (".ex", ".exs"),
    "Shell": (".sh",),
}
_LANGUAGE = {ending: name for name, endings in LANGUAGES.items() for ending in endings}
PAGES = frozenset(
    [
        ".html", ".htm", ".vue", ".svelte", ".astro", ".jsx", ".tsx", ".php", ".ejs", ".erb", ".haml", ".slim", ".hbs",
        ".handlebars", ".mustache", ".njk", ".liquid", ".twig", ".pug", ".cshtml", ".razor", ".heex", ".gohtml",
    ]
)  # fmt: skip
"""Endings of what browsers are shown, or of what that is made of."""
_NO_PAGES = ("docs", "doc", "test", "tests", "spec", "coverage", "examples", "fixtures")
"""Directories whose pages are not the application's."""
READMES = ("README.md", "README.rst", "README.txt", "README")
README, CONVENTION, MANIFEST = 4_000, 3_000, 1_500
"""Characters that models are told of one."""
MANIFESTS_TOLD, FILES_TOLD = 8, 150
TEXT_CHARACTERS = 200_000
"""Of a manifest or source that is looked into."""


class Survey(BaseModel):
    """What was found; kept on the desk."""

    model_config = ConfigDict(frozen=True)

    files: tuple[str, ...]
    """The first FILES_TOLD of them."""
    total: int
    """Files in all."""
    languages: dict[str, int]
    """Files by language, most first."""
    readme: tuple[str, str] = ("", "")
    """Name and beginning."""
    conventions: tuple[str, str] = ("", "")
    manifests: dict[str, str] = {}
    outline: str = ""
    start: Start | None = None
    program: Start | None = None
    """How it could be called where it is a program."""
    has_pages: bool = False
    suites: tuple[Suite, ...] = ()
    problems: tuple[str, ...] = ()
    taken: tuple[str, ...] = ()
    """Names at the top, also of what is not committed: nothing is written over them."""

    @property
    def gist(self) -> str:
        """One line for a person."""
        most = list(self.languages.items())[:3]
        spoken = ", ".join(f"{count} {name}" for name, count in most)
        return f"{self.total} files are there already: {spoken or 'none of a known language'}."

    @property
    def suite(self) -> Suite | None:
        """The proposed way to run its tests."""
        return self.suites[0] if self.suites else None

    def words(self) -> str:
        """All of it for a model, as data."""
        return "\n\n".join(part for part in self._parts() if part)

    def _parts(self) -> Iterator[str]:
        left = self.total - len(self.files)
        listed = "\n".join(self.files) + (f"\n... and {left} more" if left else "")
        yield f"{self.gist}\n{fence(listed, 'git ls-files')}"
        if self.readme[1]:
            yield fence(self.readme[1], self.readme[0])
        if self.conventions[1]:
            yield f"How it is worked on:\n{fence(self.conventions[1], self.conventions[0])}"
        for name, text in list(self.manifests.items())[:MANIFESTS_TOLD]:
            yield fence(text, name)
        if self.outline:
            yield f"Map of the code, with the lines at which something is defined:\n{fence(self.outline, 'its code')}"


def is_code(name: str) -> bool:
    """Whether a tracked file is part of a program, and no text, picture or setting beside one."""
    path = PurePosixPath(name)
    return path.name in MANIFESTS or path.suffix.lower() in _LANGUAGE


def _is_page(name: str) -> bool:
    path = PurePosixPath(name)
    return path.suffix.lower() in PAGES and not set(path.parts[:-1]) & set(_NO_PAGES)


async def survey(tree: Worktree, wanted: str, uncommitted: Sequence[str] = ()) -> Survey | None:
    """Read a project from its last commit; None: there is no code.

    Args:
        tree: a checkout of it.
        wanted: the specification; the map is drawn for its words.
        uncommitted: paths of the person's that are in no commit.
    """
    files = await tree.files()
    if not any(map(is_code, files)):
        return None
    texts = {name: text for name in (*MANIFESTS, *SOURCES) if name in files and (text := await _text(tree, name))}
    found = Manifests(frozenset(files), texts)
    counted = Counter(_LANGUAGE[end] for name in files if (end := PurePosixPath(name).suffix.lower()) in _LANGUAGE)
    sources = await tree.read_all(outline.ENDINGS, outline.FILE_BYTES, outline.ALL_BYTES)
    changed = [commit.files for commit in await tree.log(outline.COMMITS)]
    return Survey(
        files=tuple(files[:FILES_TOLD]),
        total=len(files),
        languages=dict(counted.most_common()),
        readme=await _first(tree, READMES, README),
        conventions=await _first(tree, CONVENTIONS, CONVENTION),
        manifests={name: texts[name][:MANIFEST] for name in MANIFESTS if name in texts},
        outline=await outline.outline(sources, wanted, changed),
        start=found.start(),
        program=found.program(),
        has_pages=any(map(_is_page, files)),
        suites=tuple(found.suites()),
        problems=tuple(found.problems()),
        taken=tuple(sorted({name.partition("/")[0] for name in (*files, *uncommitted)})),
    )


async def _first(tree: Worktree, names: Sequence[str], characters: int) -> tuple[str, str]:
    for name in names:
        if said := await _text(tree, name):
            return name, said[:characters]
    return "", ""


async def _text(tree: Worktree, name: str) -> str:
    """A file as its last commit has it; what is no text is nothing."""
    said = (await tree.read(name) or "")[:TEXT_CHARACTERS]
    return "" if "\0" in said else said.encode("utf-8", "replace").decode()
