"""What was remembered, put in the place of its name: as data, escaped where it is put, never read again for braces."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote, urlsplit

from pydantic import JsonValue

from harness.browser.failed import ActFailed
from harness.verify.exchanges.answer import as_text
from harness.verify.exchanges.items import Expected, Request, Run, mapped

_NAME = re.compile(r"\{([a-z][a-z0-9_]*)\}")
_IN_PATH = "/?&=:%+,;@!$'()*~-._"
"""Left as they stand in a path; all else is data and is escaped."""


@dataclass(frozen=True)
class Filling:
    """What names stand for at one moment."""

    kept: Mapping[str, JsonValue]
    base_url: str
    """Of the service; what was remembered must not lead elsewhere."""

    def request(self, act: Request) -> Request:
        """A request as it is sent. Raises: ActFailed: it leads to another host."""
        form = None if act.form is None else {name: self._in_text(text) for name, text in act.form.items()}
        return act.model_copy(
            update={
                "path": self._in_path(act.path),
                "headers": {name: self._in_text(text) for name, text in act.headers.items()},
                "body": mapped(act.body, self._in_json),
                "form": form,
                "text": None if act.text is None else self._in_text(act.text),
            }
        )

    def run(self, act: Run) -> Run:
        """A command as it is run."""
        return act.model_copy(
            update={
                "command": tuple(map(self._in_text, act.command)),
                "env": {name: self._in_text(text) for name, text in act.env.items()},
                "files": {name: self._in_text(text) for name, text in act.files.items()},
                "stdin": self._in_text(act.stdin),
            }
        )

    def expected(self, item: Expected) -> Expected:
        """An expectation as it is judged."""
        if item.expect in ("unchanged", "changed", "golden"):  # its value is a name itself
            return item
        values = tuple(mapped(each, self._in_json) for each in item.values)
        return item.model_copy(update={"value": mapped(item.value, self._in_json), "values": values})

    def _in_text(self, text: str) -> str:
        """Names that nothing was remembered under are texts in braces."""
        return _NAME.sub(lambda m: m[0] if (kept := self.kept.get(m[1])) is None else as_text(kept), text)

    def _in_json(self, text: str) -> JsonValue:
        """A text that is one name becomes what was remembered, of its own type."""
        whole = _NAME.fullmatch(text)
        kept = self.kept.get(whole[1]) if whole else None
        return self._in_text(text) if kept is None else kept

    def _in_path(self, path: str) -> str:
        """A whole address must be of this service; a part is escaped, so that it stays one part."""
        whole = _NAME.fullmatch(path)
        if whole and (kept := self.kept.get(whole[1])) is not None:
            return self._own_address(as_text(kept))

        def part(found: re.Match[str]) -> str:
            kept = self.kept.get(found[1])
            return found[0] if kept is None else quote(as_text(kept), safe="")

        return quote(_NAME.sub(part, path), safe=_IN_PATH)

    def _own_address(self, address: str) -> str:
        parts, own = urlsplit(address), urlsplit(self.base_url)
        if parts.netloc and parts.netloc != own.netloc:
            raise ActFailed(f"{address[:200]!r} is no address of this service")
        if not parts.path.startswith("/"):
            raise ActFailed(f"{address[:200]!r} is no address that begins with /")
        return quote(parts.path + (f"?{parts.query}" if parts.query else ""), safe=_IN_PATH)
