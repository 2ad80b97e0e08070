"""The coder's way to memory: ask what earlier sessions learned, and leave a note for later ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from harness.memory.ingest import DOCUMENT
from harness.memory.recollection import DOCUMENTS_HEADER, HEADER
from harness.memory.record import Kind, make_record
from harness.tools.tool import Arguments, Tool

if TYPE_CHECKING:
    from harness.memory.recall import Memory
    from harness.memory.recollection import Recollection


class RecallArguments(Arguments):
    """What to look for."""

    query: str = Field(min_length=1, description="what you want to know, in your own words")
    kinds: list[Kind] = Field(default_factory=list, description="only these kinds; empty: all")


class NoteArguments(Arguments):
    """What later sessions should know."""

    text: str = Field(min_length=1, description="one fact, one to three sentences")
    kind: Literal["note", "decision"] = Field(default="note", description="decision: a choice and why; note: a fact")
    files: list[str] = Field(default_factory=list, description="paths the fact is about")


def memory_tools(memory: Memory, *, project: str, thread_id: str, session_id: str, feature_id: str) -> list[Tool]:
    """`recall` and `note`, for one session."""

    async def recall(args: RecallArguments) -> str:
        found = await memory.recall(args.query, kinds=args.kinds or None)
        return quote(found)

    async def note(args: NoteArguments) -> str:
        record = make_record(
            project,
            args.kind,
            args.text,
            source=f"session {session_id}",
            thread=thread_id,
            session=session_id,
            feature=feature_id,
            files=args.files,
        )
        await memory.remember([record])
        return "Noted."

    return [
        Tool("recall", "Searches what earlier sessions learned, by meaning.", RecallArguments, recall),
        Tool("note", "Leaves one fact for later sessions.", NoteArguments, note),
    ]


def quote(found: Recollection, header: str = HEADER) -> str:
    """Recalled records marked as such: quoted data, and of no weight when recorded conversations are compared."""
    text = found.render(header).replace("</recalled", "<\\/recalled") or "Nothing is remembered about that."
    return f"<recalled>\n{text}\n</recalled>"


async def quote_documents(
    memory: Memory, about: str, count: int = 6, token_budget: int = 900, *, is_patient: bool = False
) -> str:
    """What documents of the user say about something, quoted; empty where none was added or none speaks of it.

    Args:
        is_patient: wait some seconds, if need be, until memory knows meaning.
    """
    if not await memory.documents():
        return ""
    if is_patient:
        await memory.wait()
    found = await memory.recall(about, k=count, kinds=["knowledge"], feature=DOCUMENT, token_budget=token_budget)
    return quote(found, DOCUMENTS_HEADER) if found.hits else ""
