"""Documents of a person, added by the real command: what is read, what is left out and why, and what is told of it."""

from __future__ import annotations

import os
import subprocess
import zlib
from pathlib import Path

import pytest
from warm import WARM

from harness import documents
from harness.documents import Added, add_documents, told
from harness.events import Events
from harness.memory.recall import Memory
from harness.project import Project
from harness.settings import MemorySettings
from harness.tools import apart, papers


def pdf(*pages: bytes) -> bytes:
    """A PDF with these content streams."""
    kids = b" ".join(b"%d 0 R" % (4 + 2 * number) for number in range(len(pages)))
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [%s] /Count %d >>" % (kids, len(pages)),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    ]  # fmt: skip
    for number, page in enumerate(pages):
        box, font = b"/MediaBox [0 0 612 792]", b"/Resources << /Font << /F1 3 0 R >> >>"
        objects.append(b"<< /Type /Page /Parent 2 0 R %s %s /Contents %d 0 R >>" % (box, font, 5 + 2 * number))
        packed = zlib.compress(page, 9)
        head = b"<< /Length %d /Filter /FlateDecode >>" % len(packed)
        objects.append(head + b"\nstream\n" + packed + b"\nendstream")
    made, places = b"%PDF-1.4\n", []
    for number, content in enumerate(objects, 1):
        places.append(len(made))
        made += b"%d 0 obj\n%s\nendobj\n" % (number, content)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    head = b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    end = b"trailer << /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF" % (len(objects) + 1, len(made))
    return made + head + table + end


def line(text: bytes) -> bytes:
    return b"BT /F1 12 Tf 72 720 Td (%s) Tj ET" % text


@pytest.fixture
def shelf(tmp_path: Path) -> Path:
    """Documents of every kind, and traps."""
    docs = tmp_path / "docs"
    (docs / "sub").mkdir(parents=True)
    (docs / "guide.md").write_text("# Lending\n\nA book is lent for fourteen days.\n")
    (docs / "api.html").write_text(
        "<title>t</title><h1>API &amp; more</h1><p>GET /books <b>lists</b> them."
        "<script>alert('x')</script><ul><li>one<li>two"
    )
    (docs / "shelf.pdf").write_bytes(pdf(line(b"A mark such as QA-76."), line(b"Marks are bold.")))
    (docs / "latin.txt").write_bytes("Café règle".encode("latin-1"))
    (docs / "sub" / "code.py").write_text("def lend(book):\n    return book\n")
    (docs / ".gitignore").write_text("left/\n")
    (docs / "left").mkdir()
    (docs / "left" / "secret.md").write_text("never seen")
    (docs / ".env").write_text("KEY=secret")
    (docs / "id_rsa").write_text("secret")
    (docs / "blob.txt").write_bytes(b"\0\1\2" * 100)
    (docs / "broken.pdf").write_bytes(b"%PDF-1.4\nnothing")
    (docs / "scan.pdf").write_bytes(pdf(b""))
    (docs / "bomb.pdf").write_bytes(pdf(b"BT /F1 12 Tf " + b"(aaaaaaaaaaaaaaaaaaaaaaaa) Tj " * 9_000_000 + b"ET"))
    (docs / "huge.md").write_bytes(b"a" * (documents.TEXT_BYTES + 1))
    (docs / "deep.html").write_text("<div>" * 100_000 + "deep down")
    os.mkfifo(docs / "pipe.md")
    (docs / "loop").symlink_to(docs)
    (docs / "passwords.md").symlink_to("/etc/passwd")
    return docs


def harness(directory: Path, *words: str) -> subprocess.CompletedProcess[str]:
    argv = WARM.command("memory", *words, "--dir", directory)
    return subprocess.run(argv, capture_output=True, text=True, check=False, timeout=120)


def test_what_can_be_read_is_remembered_and_all_else_is_told_with_the_reason(shelf: Path, project_dir: Path) -> None:
    added = harness(project_dir, "add", str(shelf))
    assert added.returncode == 0, added
    assert added.stdout.startswith("6 documents, 7 records: 7 new, 0 taken away.\n"), added.stdout
    reasons = dict(text.removeprefix(f"Left out: {shelf}/").split(": ", 1) for text in added.stdout.splitlines()[1:])
    for name, why in {
        ".env": "hidden", ".gitignore": "hidden", "id_rsa": "a key", "blob.txt": "no text",
        "broken.pdf": "cannot be read", "scan.pdf": "no text in it", "bomb.pdf": "cannot be read",
        "huge.md": "2,097,152 are the most", "pipe.md": "a pipe", "passwords.md": "a link",
    }.items():  # fmt: skip
        assert why in reasons.pop(name), name
    assert not reasons
    found = {text.rpartition("  ")[2] for text in harness(project_dir, "list").stdout.splitlines()}
    names = ("api.html", "deep.html", "guide.md", "latin.txt", "shelf.pdf", "sub/code.py")
    assert found == {f"{shelf}/{name}" for name in names}
    for query, text in (("Café", "Café règle"), ("bold", "page 2\n   Marks are bold."), ("books lists", "API & more")):
        assert text in harness(project_dir, "search", query).stdout, query
    for query in ("alert", "seen", "secret"):
        assert "Nothing was found" in harness(project_dir, "search", query).stdout, query


def test_a_file_that_is_named_is_read_though_a_directory_would_leave_it_out(shelf: Path, project_dir: Path) -> None:
    named = [str(shelf / name) for name in (".env", "left/secret.md")]
    assert harness(project_dir, "add", *named).stdout.startswith("2 documents")
    missing = harness(project_dir, "add", str(shelf / "none.md"))
    assert (missing.returncode, "does not exist" in missing.stderr) == (3, True)
    assert harness(project_dir, "forget", named[0]).stdout == "1 records are not recalled any more.\n"
    assert harness(project_dir, "forget", named[0]).returncode == 3
    assert harness(project_dir, "list").stdout.strip() == f"1 records  {named[1]}"
    (shelf / "more").mkdir()
    (shelf / "more/secret.md").write_text("# Another\n\nMore.\n")
    assert harness(project_dir, "add", str(shelf / "more/secret.md")).returncode == 0
    unsure = harness(project_dir, "forget", "secret.md")
    assert (unsure.returncode, "the end of 2 documents" in unsure.stderr) == (3, True)
    assert harness(project_dir, "forget", "left/secret.md").stdout == "1 records are not recalled any more.\n"


async def add(memory: Memory, project: Project, *paths: Path) -> Added:
    return await add_documents(memory, project, paths, lambda *_: None)


async def test_adding_again_takes_in_what_changed_and_forgets_what_is_gone(project_dir: Path, state_dir: Path) -> None:
    project, docs = Project.find(project_dir), project_dir / "docs"
    docs.mkdir()
    for name in ("one.md", "two.md"):
        (docs / name).write_text(f"# {name}\n\nFirst.\n\n## More\n\nSecond.\n")
    memory = Memory.open(project.memory_dir, MemorySettings(), project.state_dir.name, Events())
    assert (await add(memory, project, project_dir)).documents == {"docs/one.md": 2, "docs/two.md": 2}
    (docs / "one.md").write_text("# one.md\n\nFirst.\n\n## More\n\nThird.\n")
    (docs / "two.md").unlink()
    again = await add(memory, project, docs)
    assert (again.came, again.went, again.gone) == (1, 3, ["docs/two.md"])
    assert "docs/two.md is gone, and forgotten." in list(told(again))
    found = await memory.recall("second", kinds=["knowledge"])
    assert not found.hits
    third = await memory.recall("third", kinds=["knowledge"])
    assert [hit.record.files for hit in third.hits] == [("docs/one.md",)]
    await memory.close()


async def test_a_file_that_takes_too_long_or_too_much_memory_is_given_up(
    tmp_path: Path, project_dir: Path, state_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = Project.find(project_dir)
    memory = Memory.open(project.memory_dir, MemorySettings(), project.state_dir.name, Events())
    path = tmp_path / "many.pdf"
    path.write_bytes(pdf(*[line(b"Marks are bold.")] * 400))
    with monkeypatch.context() as patch:
        patch.setattr(documents, "SECONDS", 0.01)
        assert "took longer than" in (await add(memory, project, path)).left_out[str(path)]
    with monkeypatch.context() as patch:
        patch.setattr(apart, "MEMORY_BYTES", 20 << 20)
        assert "cannot be read" in (await add(memory, project, path)).left_out[str(path)]
    assert (await add(memory, project, path)).documents == {str(path): 400}, "the twin: within the limits it is read"
    await memory.close()


def test_markup_is_read_as_a_person_sees_it() -> None:
    page = b"<body><h2>A</h2>one <i>two</i><br>three<noscript>x</noscript><table><tr><td>1<td>2</table>"
    page += b"<style>p{}</style>&lt;b&gt;"
    lines = [text.strip() for text in papers.html_text(page).split("\n") if text.strip()]
    assert lines == ["## A", "one two", "three", "1", "2", "<b>"]
