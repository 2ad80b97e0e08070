"""What programs print, made fit for a model: as a terminal would show it in the end, and without what says nothing new.

A progress bar that is drawn over itself leaves its last state, whether it goes back in its line or up over several.
Lines that are printed one below the other and differ only in how far they are, or not at all, are folded. All of it
takes time in proportion to what was printed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import groupby

SHOWN_CHARACTERS = 16_000
FOLDED_LINES = 4
"""From so many on lines are folded; the first and the last stay."""
LONGEST_FOLDED = 400
"""Characters; what is longer is no progress."""
LEFT_OUT = "characters left out"

_DRAWN = re.compile(
    r"(?P<move>\x1b\[(?P<count>\d{0,4})(?P<way>[ABDEFGJK]))"
    r"|\x1b\[[0-?]*[ -/]*[@-~]"  # colours
    r"|\x1b[\]PX^_][^\n]*?(?:\x07|\x1b\\|$)"  # titles, clipboard
    r"|\x1b[ -/]*[0-~]"
    r"|(?P<control>[\n\r\x08])"
    r"|[\x00-\x07\x0b\x0c\x0e-\x1f\x7f\x80-\x9f]"
    r"|(?P<text>[^\x00-\x08\x0a-\x1f\x7f-\x9f]+)",
    re.MULTILINE,
)
_SPINNER = re.compile(r"^\s*[\u2800-\u28ff\u25d0-\u25d3\u25dc-\u25df|/\\-] |(?<= )[\u2800-\u28ff|/\\-]$")
_UNIT = r"[kKMGT]?i?[bB]\b"
_BAR = r"[\u2588-\u258f\u2591-\u2593\u2501]"
_HOW_FAR = re.compile(
    rf"\d ?%|{_BAR}|\[[=#>. -]{{4,}}\]"
    rf"|(?<![\w/.-])\d[\d.]* ?(?:{_UNIT})? ?(?:/|of) ?\d[\d.]* ?(?:{_UNIT}|(?![\w/.-]))"  # 3/40, 1.2 MB of 30 MB
)
_AMOUNT = re.compile(rf"\d[\d.,:]*\s?(?:{_UNIT})?|{_BAR}+|(?<=\[)[=#>. -]{{4,}}(?=\])")


def clean(text: str) -> str:
    """Text without terminal codes, as it stands when all was drawn. What is written cuts what stood behind it."""
    rows: list[list[str]] = [[]]  # of single letters: each is put in once and taken out once
    row = column = 0
    for token in _DRAWN.finditer(text):
        if drawn := token["text"]:
            del rows[row][column:]
            rows[row].extend(drawn)
            column = len(rows[row])
        elif way := token["way"]:
            row, column = _moved(rows, row, column, way, int(token["count"] or "0"))
        elif (control := token["control"]) == "\n":
            row, column = row + 1, 0
            if row == len(rows):
                rows.append([])
        elif control:
            column = 0 if control == "\r" else max(column - 1, 0)
    return "\n".join("".join(letters) for letters in rows)


def _moved(rows: list[list[str]], row: int, column: int, way: str, count: int) -> tuple[int, int]:
    """Where the cursor is after a code, and what the code erases. Whole screens are not erased: they were output."""
    steps = max(count, 1)
    if way in "AF":
        return max(row - steps, 0), 0 if way == "F" else min(column, len(rows[max(row - steps, 0)]))
    if way in "BE":
        row = min(row + steps, len(rows) - 1)
        return row, 0 if way == "E" else min(column, len(rows[row]))
    if way == "D":
        return row, max(column - steps, 0)
    if way == "G":
        return row, min(steps - 1, len(rows[row]))
    if count == 0:
        del rows[row][column:]
        if way == "J":
            del rows[row + 1 :]
    elif way == "K" and count == 2:
        rows[row].clear()
        column = 0
    return row, column


def folded(text: str) -> str:
    """Text in which runs of lines that say the same, or how far something is, are told by first, last and number."""
    return "\n".join(_fold(text.split("\n")))


def _fold(lines: list[str]) -> Iterator[str]:
    for shape, group in groupby(lines, _shape):
        run = list(group)
        if len(run) < FOLDED_LINES or not shape:
            yield from run
        else:
            yield from (run[0], f"[{len(run) - 2} more lines like these]", run[-1])


def _shape(line: str) -> str:
    """The line without what changes while something goes on; a line that is not progress is its own shape."""
    if len(line) > LONGEST_FOLDED:
        return line
    still = _SPINNER.sub("", line)
    return _AMOUNT.sub("#", still) if _HOW_FAR.search(still) else still


def shown(output: str, path: str, dropped_bytes: int = 0) -> tuple[str, bool]:
    """Output as the model sees it: cleaned, folded, the middle left out when long.

    Args:
        path: where all of it can be read, as the model names it.
        dropped_bytes: of the middle, that are not in `output`.

    Returns: the text, and whether anything of the output is only in the file.
    """
    whole = clean(output).strip("\n")
    text = folded(whole)
    is_shorter = text != whole
    if len(text) <= SHOWN_CHARACTERS and not dropped_bytes:
        told = f"{text}\n[read_file {path} has every line]" if is_shorter else text
        return told or "(no output)", is_shorter
    half = SHOWN_CHARACTERS // 2
    left_out = max(len(text) - 2 * half, 0) + dropped_bytes
    return f"{text[:half]}\n[{left_out} {LEFT_OUT}; read_file {path} has all of it]\n{text[-half:]}", True
