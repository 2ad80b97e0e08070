"""Text of PDF and HTML files: a program of its own, with little memory and time, since anybody may have made the file.

What comes out is plain text with a `#` before each heading, a `-` before each item of a list, and of a PDF a heading
for each page. What a reader does not see (scripts, styles, templates) is left out.
"""

from __future__ import annotations

import io
import re
import resource
import sys
from html.parser import HTMLParser

CPU_SECONDS = 60
MOST_PAGES = 3_000
MOST_CHARACTERS = 4_000_000
"""Of the text; a bomb grows until it meets this, the memory or the time."""
_UNSEEN = frozenset({"script", "style", "template", "noscript", "svg", "math", "head", "title", "iframe", "object"})
_HEADINGS = {f"h{level}": f"\n\n{'#' * level} " for level in range(1, 7)}
_BLOCKS = frozenset(
    {
        *("address", "article", "aside", "blockquote", "body", "br", "caption", "dd", "details", "div", "dl", "dt"),
        *("fieldset", "figcaption", "figure", "footer", "form", "header", "hr", "legend", "main", "nav", "ol", "p"),
        *("pre", "section", "summary", "table", "td", "th", "tr", "ul"),
    }
)


class _Reader(HTMLParser):
    """Gathers what a reader sees; wrong markup is no error."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.said: list[str] = []
        self._unseen: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in _UNSEEN:
            self._unseen.append(tag)
        self._begin(_HEADINGS.get(tag) or ("\n- " if tag == "li" else "\n\n" if tag in _BLOCKS else ""))

    def handle_endtag(self, tag: str) -> None:
        if tag in self._unseen:
            del self._unseen[self._unseen.index(tag) :]
        self._begin("\n\n" if tag in _BLOCKS or tag in _HEADINGS else "")

    def handle_data(self, data: str) -> None:
        if not self._unseen:
            self.said.append(re.sub(r"\s+", " ", data))

    def _begin(self, mark: str) -> None:
        if mark and not self._unseen:
            self.said.append(mark)


def html_text(data: bytes) -> str:
    """What a reader sees of a page."""
    reader = _Reader()
    reader.feed(data.decode("utf-8", errors="replace"))
    reader.close()
    return "".join(reader.said)


def pdf_text(data: bytes) -> str:
    """The text of all pages.

    Raises: ValueError: it needs a password, or has no text; pypdf's errors: it is broken.
    """
    from pypdf import PdfReader

    reader = PdfReader(io.BytesIO(data))
    if reader.is_encrypted and not reader.decrypt(""):
        raise ValueError("it is closed with a password")
    pages: list[str] = []
    for number, page in enumerate(reader.pages, 1):
        if number > MOST_PAGES or sum(map(len, pages)) > MOST_CHARACTERS:
            break
        if text := page.extract_text().strip():
            pages.append(f"# page {number}\n\n{text}")
    if not pages:
        raise ValueError("there is no text in it, perhaps pictures of pages")
    return "\n\n".join(pages)


READERS = {"html": html_text, "pdf": pdf_text}


def main() -> None:
    """Read the kind in a line and then the file from standard input, write its text to standard output."""
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))
    kind, _, data = sys.stdin.buffer.read().partition(b"\n")
    sys.stdout.buffer.write(READERS[kind.decode()](data)[:MOST_CHARACTERS].encode(errors="replace"))


if __name__ == "__main__":
    main()
