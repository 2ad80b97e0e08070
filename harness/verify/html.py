"""Pages for people, of one file each: no network, no script, one style sheet, pictures within the file.

Everything in them that a page, a server, a model or a repository said is escaped, and a Content-Security-Policy allows
nothing but the one style sheet and pictures within the file; so the report of a hostile application is only text and
pictures. `harness verify --html` and `harness report` are made of the same parts (`report_html/parts.html.j2`).
"""

from __future__ import annotations

import base64
import hashlib
import re
from pathlib import Path
from typing import Any

TEMPLATES = Path(__file__).parent / "report_html"
_COMMANDS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
"""Characters that command a terminal or turn the reading direction."""


def render(template: str, **values: Any) -> bytes:
    """A whole page.

    Args:
        template: its name in `report_html/`.
        values: what it shows, raw; the templates escape.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    style = (TEMPLATES / "style.css").read_text(encoding="utf-8")
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"said": said, "head": head}
    environment.globals["style"] = style
    environment.globals["style_digest"] = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    return environment.get_template(template).render(**values).encode(errors="replace")


def said(text: str) -> str:
    """Foreign text without what would make it look like something else; escaping is the template's."""
    return _COMMANDS.sub(" ", text)


def head(reason: str) -> str:
    """A reason without what page and server said, which is shown apart."""
    return reason.partition("\n<<data")[0]
