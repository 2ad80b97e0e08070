"""What is told of files that cannot be parsed."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.tools import syntax
from harness.tools.syntax import MOST_BYTES, errors_in, syntax_errors


@pytest.mark.parametrize(
    ("path", "text", "told"),
    [
        ("a.py", "def f(:\n    return 1\n", "line 1"),
        ("a.py", "x = 1\ny = [1, 2\nz = 3\n", "line 2"),
        ("a.js", "const a = 1;\nfunction f() {\n  return (1 + 2;\n}\n", "line 3"),
        ("a.jsx", "const A = () => <p>{1</p>;\n", "line 1"),
        ("a.ts", "const a: number = ;\n", "line 1"),
        ("a.tsx", "export const A = (p: { n: number }) => <p>{p.n</p>;\n", "line 1"),
        ("a.json", '{"a": 1,, "b": 2}', "line 1"),
        ("a.html", "<ul>\n<li>one\n</div>\n</ul>\n", "line 3"),
        ("a.css", "p { color: red; }\n.b { color: blue; }}\n", "line 2"),
        ("a.css", "p { color: red; }\n.b { color: blue;\n", "line 2"),
    ],
)
async def test_the_line_that_cannot_be_parsed_is_told(path: str, text: str, told: str) -> None:
    assert told in await syntax_errors(path, text)


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("a.py", "async def f():\n    match x:\n        case [1, *_]:\n            return f'{x!r}'\n"),
        ("a.js", "export const f = async ({ a = 1, ...b }) => a?.b ?? (await b);\nclass A { #x = 1; static y; }\n"),
        ("a.jsx", "const A = () => <><p className='x'>{1}</p></>;\n"),
        ("a.ts", "type A<T> = { [K in keyof T]?: T[K] };\nconst a = 1 as const satisfies number;\n"),
        ("a.tsx", "export const A = ({ n }: { n: number }) => <p>{n}</p>;\n"),
        ("a.json", '{"a": [1, 2, {"b": null}]}'),
        ("a.html", "<!doctype html><html lang=en><ul><li>one<li>two</ul><p>a<br>b<script>if (1 < 2) f()</script>"),
        ("a.html", "<div><p>x & y < 3</p><input disabled value=a></div>"),
        ("a.css", ":root { --a: 1px; }\n@media (width > 1px) { a:is(.b, .c) { color: var(--a); } }\n"),
        ("a.txt", "((("),
        ("noname", "((("),
        ("a.py", ""),
        ("a.js", "(" * (MOST_BYTES + 1)),
    ],
)
async def test_what_can_be_parsed_or_nobody_can_tell_is_silent(path: str, text: str) -> None:
    assert await syntax_errors(path, text) == ""


async def test_many_errors_are_cut() -> None:
    told = await syntax_errors("a.json", "{" + ",,\n" * 40 + "}")
    assert len(told.splitlines()) <= 7


def test_a_file_that_takes_too_long_gets_no_hint_and_holds_up_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    text = b"<a b={<c ${`" * 4000
    monkeypatch.setattr(syntax, "PARSE_SECONDS", -1.0)
    assert errors_in(".tsx", text) == ""
    monkeypatch.undo()
    assert "cannot be parsed" in errors_in(".tsx", b"<a b={<c ${`"), "else the first says nothing"


async def test_a_parser_that_falls_over_is_no_hint_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A crash in the harness would come again at each resume, since the call that was cut is carried out anew."""
    program = tmp_path / "program.py"
    for act, told in {"os.kill(os.getpid(), 11)": "", "print('line 1')": "line 1\n"}.items():
        program.write_text(f"import os, sys; sys.stdin.read(); {act}")
        monkeypatch.setattr(syntax, "__file__", str(program))
        assert await syntax_errors("a.json", "{,") == told


async def test_no_text_is_parsed_in_the_harness(monkeypatch: pytest.MonkeyPatch) -> None:
    def crash(suffix: str) -> None:
        raise SystemExit(suffix)

    monkeypatch.setattr(syntax, "_parser", crash)
    assert "line 1" in await syntax_errors("a.json", "{,")
    with pytest.raises(SystemExit):
        errors_in(".json", b"{,")  # the twin that does
