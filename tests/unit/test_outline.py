"""The map of the code: what is defined where, the files that matter first."""

from __future__ import annotations

import pytest
from inline_snapshot import snapshot

from harness import outline as module
from harness.outline import MAP_TOKENS, SMALL_CHARACTERS, draw, outline
from harness.symbols import symbols

PYTHON = b'''
import flask

@app.get("/notes/<int:number>")
async def show_note(number: int) -> str:
    def inner(): ...
    return ""

class Store(Base):
    """Notes."""
    def __init__(self, path): ...
    @property
    def notes(self) -> list[str]:
        return []
'''
JAVASCRIPT = b"""
import { load } from "./store.js";
app.post("/api/notes", async (request, reply) => { const local = () => 1; });
app.get(variable, handler); cache.get("key");
export default function render(tasks, { filter = "all" } = {}) { function inner() {} }
export const add = async (text) => text.trim();
class View extends Base { #x = 1; draw(canvas) { return 1 } static of() {} }
(() => { function insideAnonymous() {} })();
"""
TYPESCRIPT = b"""
export interface Note { text: string }
type Filter = "all" | "open";
export enum Kind { A, B }
abstract class Shape<T> { abstract area(): number; name(): string { return "" } }
export const Row = ({ note }: { note: Note }): JSX.Element => <p>{note.text}</p>;
"""


@pytest.mark.parametrize(
    ("path", "data", "told"),
    [
        (
            "a.py",
            PYTHON,
            snapshot(
                [
                    "5 : async def show_note(number: int) -> str [GET /notes/<int:number>]",
                    "9 : class Store(Base)",
                    "11 Store: def __init__(self, path)",
                    "13 Store: def notes(self) -> list[str]",
                ]
            ),
        ),
        (
            "a.js",
            JAVASCRIPT,
            snapshot(
                [
                    "3 : POST /api/notes",
                    '5 : function render(tasks, { filter = "all" } = {})',
                    "6 : add = async (text)",
                    "7 : class View extends Base",
                    "7 View: draw(canvas)",
                    "7 View: static of()",
                    "8 : function insideAnonymous()",
                ]
            ),
        ),
        (
            "a.tsx",
            TYPESCRIPT,
            snapshot(
                [
                    "2 : interface Note",
                    "3 : type Filter",
                    "4 : enum Kind",
                    "5 : abstract class Shape<T>",
                    "5 Shape: name(): string",
                    "6 : Row = ({ note }: { note: Note }): JSX.Element",
                ]
            ),
        ),
    ],
)
def test_what_a_file_defines_is_found(path: str, data: bytes, told: list[str]) -> None:
    assert [f"{s.line} {s.owner}: {s.text}" for s in symbols(path, data)] == told


@pytest.mark.parametrize(
    ("path", "data"),
    [("a.txt", PYTHON), ("a.py", b""), ("a.py", b"\0\xff" * 500), ("a.js", b"({[`${" * 5000), ("a.ts", b"<" * 60_000)],
)
def test_what_nobody_can_parse_defines_nothing(path: str, data: bytes) -> None:
    assert symbols(path, data) == []


def filler(name: str, functions: int = 60) -> bytes:
    return b"".join(b"def %s_%d(value):\n    return value + %d\n\n" % (name.encode(), n, n) for n in range(functions))


def tree(**more: bytes) -> dict[str, bytes]:
    sources = {f"lib/part{n}.py": filler(f"part{n}") for n in range(12)}
    return sources | {name.replace("__", "/") + ".py": data for name, data in more.items()}


def order(drawn: str) -> list[str]:
    return [line.split(" (")[0] for line in drawn.splitlines() if not line.startswith(" ")]


WANTED = "The invoice total shows the discount. Verify that the discount is 10 %."


async def test_files_with_the_words_of_the_feature_come_first() -> None:
    money, invoices = b"def apply_discount(price):\n    return price\n", b"class Invoice:\n    x = 1\n"
    sources = tree(app__money=money, app__invoices=invoices)
    drawn = await outline(sources, WANTED, [])
    assert set(order(drawn)[:2]) == {"app/invoices.py", "app/money.py"}
    assert "app/money.py (2 lines)\n  1: def apply_discount(price)" in drawn
    assert drawn == draw(sources, WANTED, [])


def test_a_file_that_such_files_name_comes_before_others() -> None:
    names_it = b"import ledger\n\ndef discount():\n    return ledger.post(1)\n"
    sources = tree(app__money=names_it, zz__ledger=b"def post(amount):\n    return amount\n")
    assert order(draw(sources, WANTED, []))[:2] == ["app/money.py", "zz/ledger.py"]
    sources["app/money.py"] = names_it.replace(b"ledger", b"other")
    assert "zz/ledger.py" not in order(draw(sources, WANTED, []))[:2]


def test_what_was_changed_lately_comes_before_what_was_not() -> None:
    assert order(draw(tree(), WANTED, []))[0] == "lib/part0.py"
    assert order(draw(tree(), WANTED, [["lib/part7.py"], ["lib/part3.py"]]))[:2] == ["lib/part7.py", "lib/part3.py"]


def test_a_test_comes_after_what_it_tests() -> None:
    code = b"def discount(price):\n    return price\n"
    sources = tree(
        app__money=code, tests__test_money=b"import money\n\ndef test_discount_discount_invoice():\n    pass\n"
    )
    assert order(draw(sources, WANTED, []))[0] == "app/money.py"


def test_of_a_long_file_the_symbols_that_tell_most_are_shown() -> None:
    drawn = draw(tree(app__money=filler("step", 200) + b"def invoice_total():\n    pass\n"), WANTED, [])
    assert "601: def invoice_total()" in drawn
    assert "  ... 193 more" in drawn


async def test_a_small_tree_needs_no_map() -> None:
    sources = {"app.py": PYTHON + b"#" * (SMALL_CHARACTERS - len(PYTHON) - 1)}
    assert await outline(sources, WANTED, []) == ""
    assert await outline({}, WANTED, []) == ""
    assert await outline(sources | {"b.py": PYTHON}, WANTED, []) != ""


def test_the_map_takes_no_more_than_its_part() -> None:
    large = {f"lib/part{n}.py": filler(f"part{n}", 200) for n in range(80)}
    assert MAP_TOKENS * 3 < len(draw(large, WANTED, [])) <= MAP_TOKENS * 4
    assert len(draw(tree(), WANTED, [])) <= sum(map(len, tree().values())) / 10


async def test_files_that_nobody_can_parse_or_that_a_program_wrote_hide_no_others() -> None:
    sources = tree(app__money=b"def discount():\n    pass\n") | {
        "a.js": b"({[`${" * 20_000 + b"\n" * 2000,
        "discount.min.js": b"function discount(){};" * 4000,
        "b\udcff\n<<end of data>>.py": b"def discount():\n    pass\n",
    }
    drawn = await outline(sources, WANTED, [])
    assert "app/money.py" in drawn
    assert "min.js" not in drawn


async def test_a_map_that_takes_too_long_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SECONDS", 0.0)
    assert await outline(tree(), WANTED, []) == ""
    monkeypatch.undo()
    assert await outline(tree(), WANTED, []) != "", "else the first says nothing"
