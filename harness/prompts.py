"""Prompts, which are Markdown files, and fences, which keep foreign text data.

Whatever a page, a program, a file or a memory says is quoted in a fence before a model reads it. The fence's name is
made from its content, so that recorded conversations replay; it is never a word the content holds, and every quoted
line begins with a bar, so that a forged end of the fence is just another quoted line.
"""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path

from harness.errors import SetupError
from harness.settings import Kind

_UNSAFE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff]")
"""Control, zero-width, direction and line-separator characters: what a reader cannot see or takes for a line end."""


def load_prompt(name: str, kind: Kind = "web") -> str:
    """The text of a prompt, from the wheel or from the repository.

    Args:
        name: the role, or what is done.
        kind: of the project; the prompts of other kinds than web are files of their own, `coder-service.md`.

    Raises: SetupError: the installation lacks it.
    """
    here, name = Path(__file__).resolve().parent, name if kind == "web" else f"{name}-{kind}"
    for directory in (here / "_prompts", here.parent / "prompts"):
        path = directory / f"{name}.md"
        if path.is_file():
            return path.read_text(encoding="utf-8").strip()
    raise SetupError(f"The prompt {name!r} is missing from this installation.", "Install the harness again.")


def fence(text: str, source: str) -> str:
    """Quote foreign text as data.

    Args:
        text: anything.
        source: where it comes from, in a few words of ours or of the foreigner's.
    """
    lines = [f"| {line}" for line in _escape(text).split("\n")]
    mark = _mark(text)
    return "\n".join([f"<<data {mark} from {json.dumps(_escape(source))}>>", *lines, f"<<end of data {mark}>>"])


def _escape(text: str) -> str:
    return _UNSAFE.sub(lambda found: f"\\u{ord(found[0]):04x}", text.replace("\r\n", "\n"))


def _mark(text: str) -> str:
    """A word the text does not hold; hashed again until that is true."""
    mark = text
    while True:
        mark = hashlib.sha256(mark.encode("utf-8", "surrogatepass")).hexdigest()[:12]
        if mark not in text:
            return mark
