"""What kind of project a specification asks for: pages, a service without pages, or a program.

A proposal, by the words of the text alone: it is told when it is made, kept in `harness.toml`, and the person's to
change. Where a page is spoken of, it is a web application, whatever else it has.
"""

from __future__ import annotations

import re
import tomllib

from harness.settings import Kind

_WITHOUT = re.compile(
    r"\b(without|no|not|never|instead of)\s+(an?\s+|any\s+)?((web|html|user|graphical)\s+)*"
    r"(pages?|browsers?|interface|ui|gui|frontend)\b",
    re.IGNORECASE,
)
_PAGES = re.compile(
    r"\b((web|home)?pages?|web ?sites?|web apps?|web applications?|browsers?|buttons?|click(s|ed)?|check ?box(es)?"
    r"|ui|frontend)\b",
    re.IGNORECASE,
)
"""What only a page has: a CSV file has a heading too, and a program may write HTML."""
_SERVICE = re.compile(
    r"\b(((http|rest|restful|json|web)[- ]?)?apis?|(http|web)[- ]services?|endpoints?|micro-?services?|status codes?"
    r"|openapi|webhooks?)\b|\b(GET|POST|PUT|PATCH|DELETE) `?/",
    re.IGNORECASE,
)
_PROGRAM = re.compile(
    r"\b(command[- ]?lines?|cli|terminals?|stdin|stdout|stderr|standard (input|output|error)|exit (code|status)s?"
    r"|sub-?commands?|librar(y|ies)|(command|shell) scripts?)\b",
    re.IGNORECASE,
)


_CALLED_PROGRAM = re.compile(
    r"\b(command[- ]?line (program|tool|application|app|utility|client|interface)s?|cli)\b", re.IGNORECASE
)


def proposed_kind(text: str) -> Kind:
    """The kind of what a text asks for.

    `web` unless it speaks of no page and of requests or commands, or calls itself a command-line program before it
    speaks of one.
    """
    text = _WITHOUT.sub(" ", text)
    if page := _PAGES.search(text):
        return "program" if _CALLED_PROGRAM.search(text, 0, page.start()) else "web"
    service, program = len(_SERVICE.findall(text)), len(_PROGRAM.findall(text))
    if not service and not program:
        return "web"
    return "program" if program > service else "service"


def with_kind(harness_toml: str, kind: Kind) -> str:
    """A project's settings that say its kind; as they are where they do, and of a web application need not.

    Args:
        harness_toml: the file's text; empty: there is none.
        kind: what it is to say.
    """
    app = tomllib.loads(harness_toml).get("app", {})
    line = f'kind = "{kind}"'
    if app.get("kind", "web") == kind:
        return harness_toml
    if "kind" in app:
        return re.sub(r"(?m)^\s*kind\s*=.*$", line, harness_toml, count=1)
    if app:
        return re.sub(r"(?m)^\[app\][^\n]*$", lambda found: f"{found[0]}\n{line}", harness_toml, count=1)
    before = f"{harness_toml.rstrip()}\n\n" if harness_toml.strip() else ""
    return f"{before}[app]\n{line}\n"
