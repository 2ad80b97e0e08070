"""Text of files: decoded so that it can be written back as it was, shown with numbers, edited exactly."""

from __future__ import annotations

import codecs
import difflib
from collections.abc import Sequence
from dataclasses import dataclass

from harness.errors import ToolFailed, ToolRetry

MARKS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))
LINE_CHARACTERS = 1000
SHOWN_CHARACTERS = 32_000
SHOWN_LINES = 400


@dataclass(frozen=True)
class Text:
    """Content of a file, line ends made plain where they are all alike."""

    text: str
    encoding: str = "utf-8"
    mark: bytes = b""
    """Byte order mark at the beginning."""
    crlf: bool = False
    """Every line ends with CR LF; `text` has LF."""

    def with_text(self, text: str) -> bytes:
        """Bytes of another text in the same form."""
        plain = text.replace("\r\n", "\n").replace("\n", "\r\n") if self.crlf else text
        try:
            return self.mark + plain.encode(self.encoding)
        except UnicodeEncodeError as exc:
            letter = plain[exc.start]
            raise ToolRetry(f"The file is in {self.encoding}, which has no {letter!r}; write it another way.") from exc


def decode(data: bytes) -> Text:
    """Read bytes as text.

    Raises: ToolFailed: it is not text.
    """
    mark, encoding = next(((m, e) for m, e in MARKS if data.startswith(m)), (b"", "utf-8"))
    body = data[len(mark) :]
    if encoding == "utf-8" and b"\0" in body:
        raise ToolFailed("This is a binary file.")
    try:
        text = body.decode(encoding)
    except UnicodeDecodeError:
        text, encoding = body.decode("latin-1"), "latin-1"  # every byte has a letter, so it can be written back
    crlf = "\r\n" in text and text.count("\n") == text.count("\r\n")
    return Text(text.replace("\r\n", "\n") if crlf else text, encoding, mark, crlf)


def numbered(text: str, first: int, last: int | None, name: str) -> str:
    """Lines with their numbers, bounded; the first line says which of how many."""
    lines = text.split("\n")
    if lines and lines[-1] == "":
        lines.pop()
    if first > max(len(lines), 1):
        raise ToolRetry(f"{name} has {len(lines)} lines.")
    wanted = lines[first - 1 : last if last else None]
    shown = _bounded([f"{number:6}\t{_cut(line)}" for number, line in enumerate(wanted, first)])
    end = first + len(shown) - 1
    more = "" if len(shown) == len(wanted) else f"\n[go on with first_line={end + 1}]"
    return "\n".join([f"{name}, lines {first if shown else 0}-{end} of {len(lines)}", *shown]) + more


def apply_edits(text: str, edits: Sequence[tuple[str, str, bool]]) -> str:
    """All replacements one after the other, or none.

    Args:
        text: the whole file.
        edits: (search, replace, every place).

    Raises: ToolRetry: a search text is not there, or more than once.
    """
    for number, (search, replace, every) in enumerate(edits, 1):
        found = text.count(search) if search else 0
        if found == 0:
            raise ToolRetry(f"Edit {number}: the search text is not in the file. {nearest(text, search)}{NOTHING}")
        if found > 1 and not every:
            lines = ", ".join(map(str, _lines_of(text, search)[:20]))
            raise ToolRetry(
                f"Edit {number}: the search text is there {found} times, at lines {lines}; add lines around it "
                f"until it is unique, or set every_place.{NOTHING}"
            )
        text = text.replace(search, replace)
    return text


NOTHING = " Nothing was changed."


def nearest(text: str, search: str) -> str:
    """The lines most like the one that was looked for."""
    lines = text.split("\n")
    wanted = next((line for line in search.split("\n") if line.strip()), "")
    if not wanted:
        return "The search text is empty."
    close = difflib.get_close_matches(wanted.strip(), {line.strip()[:200] for line in lines}, n=3, cutoff=0.5)
    places = [f"{number:6}\t{_cut(line)}" for number, line in enumerate(lines, 1) if line.strip() in close][:6]
    return "The nearest lines are:\n" + "\n".join(places) + "\n" if places else "Nothing in it is similar."


def _lines_of(text: str, search: str) -> list[int]:
    lines, at = [], text.find(search)
    while at >= 0:
        lines.append(text.count("\n", 0, at) + 1)
        at = text.find(search, at + len(search))
    return lines


def _cut(line: str) -> str:
    return line if len(line) <= LINE_CHARACTERS else f"{line[:LINE_CHARACTERS]} [{len(line)} characters]"


def _bounded(lines: list[str]) -> list[str]:
    taken, characters = 0, 0
    while taken < min(len(lines), SHOWN_LINES) and characters + len(lines[taken]) <= SHOWN_CHARACTERS:
        characters += len(lines[taken])
        taken += 1
    return lines[:taken]
