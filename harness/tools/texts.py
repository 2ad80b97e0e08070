"""Text of files: decoded so that it can be written back as it was, shown with numbers, edited exactly."""

from __future__ import annotations

import codecs
import difflib
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from harness.errors import ToolFailed, ToolRetry

MARKS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))
LINE_CHARACTERS = 1000
SHOWN_CHARACTERS = 32_000
SHOWN_LINES = 400
UNKNOWN = "latin-1"
"""What is not Unicode is taken for this: every byte is a letter in it, so each can be written back as it was."""
NEAR_LINES = 12
SIMILAR_LINES = 5_000
"""Of a longer file only the first ones are compared letter by letter, which takes a third of a second."""
COMMON = 50
"""A line that is there more often, such as a bracket, does not tell a place."""


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
        """Bytes of another text in the same form.

        Raises: ToolRetry: the form has no such letter, or nobody knows which bytes it would be.
        """
        plain = text.replace("\r\n", "\n").replace("\n", "\r\n") if self.crlf else text
        if self.encoding == UNKNOWN:
            self._refuse_new_letters(plain)
        try:
            return self.mark + plain.encode(self.encoding)
        except UnicodeEncodeError as exc:
            letter = plain[exc.start]
            raise ToolRetry(f"The file is in {self.encoding}, which has no {letter!r}; write it another way.") from exc

    def _refuse_new_letters(self, text: str) -> None:
        """Letters beyond ASCII may go or stay: their bytes are known only where they are in the file already."""
        known = set(self.text)
        new = next((letter for letter in text if not letter.isascii() and letter not in known), "")
        if new:
            raise ToolRetry(
                f"The file is not UTF-8 and shown as {UNKNOWN}; how it would write {new!r} is not known. Write that "
                "another way, or convert the file first: run_command with iconv."
            )


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
    except UnicodeDecodeError as exc:
        if encoding != "utf-8":
            raise ToolFailed(f"It begins as {encoding} text and goes on as something else; use run_command.") from exc
        text, encoding = body.decode(UNKNOWN), UNKNOWN
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
    """Where the file is most like what was looked for."""
    lines, wanted = text.split("\n"), search.strip("\n").split("\n")
    if not search.strip():
        return "The search text is blank."
    start = _likely_start(lines, wanted)
    if start is None:
        return _similar(lines, next(line for line in wanted if line.strip()))
    there = lines[start : start + len(wanted)]
    unlike = next((n for n, (a, b) in enumerate(zip(there, wanted, strict=False)) if a != b), len(there) - 1)
    first = max(start, start + unlike - NEAR_LINES // 2)
    shown = _places(lines, range(first, min(first + NEAR_LINES, start + len(there))))
    ends = " in its end, which is CR LF" if there[unlike].rstrip("\r") == wanted[unlike] else ""
    return f"The nearest lines are these; the first that differs is {start + unlike + 1}{ends}:\n{shown}"


def _likely_start(lines: Sequence[str], wanted: Sequence[str]) -> int | None:
    """Index of the line at which most of the wanted ones are in their place, whatever their indentation."""
    where = defaultdict(list)
    for number, line in enumerate(lines):
        where[line.strip()].append(number)
    votes = Counter(
        found - offset
        for offset, line in enumerate(wanted)
        if line.strip() and len(where.get(line.strip(), ())) <= COMMON
        for found in where.get(line.strip(), ())
        if found >= offset
    )
    return min(votes, key=lambda start: (-votes[start], start)) if votes else None


def _similar(lines: Sequence[str], wanted: str) -> str:
    """Lines that are nearly the same letter by letter."""
    short = [line.strip()[:200] for line in lines[:SIMILAR_LINES]]
    close = difflib.get_close_matches(wanted.strip()[:200], dict.fromkeys(short), n=3, cutoff=0.5)
    found = [number for number, line in enumerate(short) if line in close][:6]
    return f"The nearest lines are:\n{_places(lines, found)}" if found else "Nothing in it is similar."


def _places(lines: Sequence[str], numbers: Sequence[int]) -> str:
    return "".join(f"{number + 1:6}\t{_cut(lines[number])}\n" for number in numbers)


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
