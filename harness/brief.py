"""What a session is told: the first message of a fresh context, and the evidence when an attempt failed.

The brief replaces history: the feature, the contract in words, what the last sessions left, what memory brings. It is
cut to a budget and holds foreign text only as quoted data.
"""

from __future__ import annotations

from collections.abc import Sequence

from harness.features import Feature, Totals
from harness.progress import SessionEntry
from harness.prompts import fence
from harness.settings import Kind

BRIEF_TOKENS = 6000
_CHARACTERS_PER_TOKEN = 4
_LIMIT = BRIEF_TOKENS * _CHARACTERS_PER_TOKEN
_FILES_SHOWN = 80
_SUMMARY = 1200
"""Characters of what a session said at its end."""
_CONVENTIONS = 6000
"""Characters of the project's conventions."""
_MAP = "Files that seem to matter most here, with the lines at which something is defined; others may matter more."
_INSIDE = (
    "The project is one directory of a larger repository:\n{inside}\nThe others can be read (`run_command`); only what "
    "you change in your own is kept."
)
CONVENTIONS = ("AGENTS.md", "CLAUDE.md")
"""Where a project says how it is worked on; the first that is there counts."""

_VERIFIED: dict[Kind, str] = {
    "web": "In a real browser, on empty data",
    "service": "By requests to the running service, on empty data",
    "program": "By running it in an empty directory, with an empty home",
}
MEND = "Servers that you started run again. Mend the application, see it work, and call finish."
"""What a coder is asked after a failed verdict."""
_WHY_AGAIN = {False: "It was reopened", True: "It was said to be there, so look at what is before you build anew"}


def render_brief(
    feature: Feature,
    spec_lines: str,
    contract_words: str,
    totals: Totals,
    entries: Sequence[SessionEntry],
    subjects: Sequence[str],
    files: Sequence[str],
    recalled: str,
    conventions: str = "",
    outline: str = "",
    documents: str = "",
    kind: Kind = "web",
    inside: str = "",
) -> str:
    """Put the first message together.

    Args:
        feature: what to build.
        spec_lines: lines of the specification it covers.
        contract_words: what the check will do and see.
        totals: how far the list is.
        entries: the last sessions, oldest first.
        subjects: of the last commits, newest first.
        files: paths in the tree.
        recalled: quoted records.
        conventions: what the project's own file for coding agents says; empty: it has none.
        outline: what is defined where; empty: the tree is small. It is told where there is room for all of it.
        documents: what documents of the user say about the feature, quoted; empty: none was added.
        kind: of the project.
        inside: the project's directory in a larger repository; empty: the repository is all its own.
    """
    steps = "\n".join(f"{number}. {step}" for number, step in enumerate(feature.steps, 1))
    assumed = "; what is assumed does not stand in the text" if "(assumed)" in contract_words else ""
    parts = [
        f"# Feature {feature.id}: build it\n\n{feature.description}\n\nSteps a user will take:\n{steps}",
        f"{_WHY_AGAIN[feature.is_refuted]}: {fence(feature.reason, 'the harness')}"
        if feature.is_reopened or feature.is_refuted
        else "",
        f"Lines of the specification:\n{fence(spec_lines, 'spec.md')}" if spec_lines else "",
        f"# How it will be verified\n\n{_VERIFIED[kind]}, exactly so{assumed}:\n\n{contract_words}",
        f"# How this project is worked on\n\n{fence(conventions[:_CONVENTIONS], 'its own file for coding agents')}"
        if conventions
        else "",
        f"# Where the project stands\n\n{totals}.",
        f"Last commits:\n{fence(_lines(subjects), 'git log')}" if subjects else "",
        f"Last sessions:\n{fence(_sessions(entries), 'progress.json')}" if entries else "",
        f"Files:\n{fence(_lines(files[:_FILES_SHOWN], len(files)), 'git ls-files')}" if files else "The tree is empty.",
        _INSIDE.format(inside=fence(inside, "git")) if inside else "",
        f"# From the user's documents\n\n{documents}" if documents else "",
        f"# What earlier sessions learned\n\n{recalled}",
    ]
    text = _cut("\n\n".join(part for part in parts if part))
    drawn = f"\n\n# Map of the code\n\n{_MAP}\n{fence(outline, 'the last commit')}" if outline else ""
    return text + drawn if len(text) + len(drawn) <= _LIMIT else text


def render_evidence(
    reason: str, repairs_left: int, contract_words: str = "", answer: str = "", mend: str = MEND
) -> str:
    """The message after a failed verdict.

    Args:
        reason: what failed.
        repairs_left: in this session, after this one.
        contract_words: the contract that took the place of the one in the brief; empty: that one stands.
        answer: what came of the coder's dispute; empty: there was none.
        mend: what the coder is asked to do.
    """
    left = {0: "This is the last repair of this session.", 1: "One more repair is left after this."}.get(
        repairs_left, f"{repairs_left} more repairs are left after this."
    )
    replaced = (
        f"A second author read the text anew. It is verified like this now:\n\n{contract_words}\n\n"
        if contract_words
        else ""
    )
    told = [answer, mend, left]
    heading = "# The harness verified the feature, and it does not pass"
    return f"{heading}\n\n{reason}\n\n{replaced}{' '.join(filter(None, told))}"


def _sessions(entries: Sequence[SessionEntry]) -> str:
    lines = (
        f"{e.feature} {e.outcome}: {_short(e.summary)}" + (f" Next: {_short(e.next)}" if e.next else "")
        for e in entries
    )
    return "\n".join(lines)


def _short(text: str) -> str:
    return text if len(text) <= _SUMMARY else f"{text[:_SUMMARY]} ..."


def _lines(names: Sequence[str], total: int = 0) -> str:
    more = [f"... and {total - len(names)} more"] if total > len(names) else []
    return "\n".join([*names, *more])


def _cut(text: str) -> str:
    return text if len(text) <= _LIMIT else text[:_LIMIT] + "\n[the rest of the brief was cut]"
