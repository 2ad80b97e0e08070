"""A small to-do application, ways to break it that a person would notice, and its checks.

`make(directory)` copies the good application; `make(directory, "hidden by css")` a broken one. The checks are written
by hand in the language of `harness.verify.check`, as an author would write and bind them.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.verify.check import Check, Contract, Locator

SOURCE = Path(__file__).parent / "todo"
EMPTY = "<!doctype html><title>To-do</title><link rel=icon href='data:,'><h1>To-do</h1><p>Nothing here yet.</p>"


@dataclass(frozen=True)
class Variant:
    """One edit of the good application and what it does to the checks."""

    file: str
    old: str
    new: str
    fails: dict[str, int]
    """Feature -> the step whose item fails first; empty: everything still passes."""


VARIANTS = {
    "hidden by css": Variant("style.css", "#list li span {", "#list li { opacity: 0; } #list li span {", {"add": 3}),
    "white on white": Variant("style.css", "#list li span {", "#list li span { color: #fff;", {"add": 3}),
    "handler lost": Variant("app.js", '.addEventListener("submit"', '.addEventListener("sent"', {"add": 3}),
    "not persisted": Variant("app.js", "  save();\n", "", {"keep": 3}),
    "wrong filter": Variant("app.js", "return !todo.done;", "return todo.done;", {"filter": 3}),
    "counter off by one": Variant("app.js", "`${open} ", "`${open + 1} ", {"add": 4}),
    "never struck through": Variant("style.css", "text-decoration: line-through", "", {"complete": 3}),
    "delete deletes nothing": Variant("app.js", "other !== todo", "true", {"delete": 3}),
    "blank is added": Variant("app.js", "if (text) ", "", {"add": 5}),
    "asks first": Variant("app.js", '"click", () => change', '"click", () => confirm("Delete it?") && change', {}),
    "rendered late": Variant("app.js", "  save();\n  render();", "  save();\n  setTimeout(render, 700);", {}),
}


def make(directory: Path, variant: str = "") -> Path:
    """Copy the application, broken in one way or good."""
    shutil.copytree(SOURCE, directory, dirs_exist_ok=True)
    if variant:
        edit = VARIANTS[variant]
        path = directory / edit.file
        text = path.read_text(encoding="utf-8")
        assert edit.old in text, f"{variant}: {edit.file} holds no {edit.old!r}"
        path.write_text(text.replace(edit.old, edit.new), encoding="utf-8")
    return directory


def make_empty(directory: Path) -> Path:
    """The application before any feature: it starts and shows a heading."""
    make(directory)
    (directory / "index.html").write_text(EMPTY, encoding="utf-8")
    return directory


TARGETS = {
    "field": 'the text box "New to-do"',
    "add": 'the button "Add"',
    "items": "the items of the list",
    "milk": 'the item "Buy milk"',
    "milk text": 'the words "Buy milk"',
    "milk box": 'the checkbox of "Buy milk"',
    "milk delete": 'the delete button of "Buy milk"',
    "dog": 'the item "Walk the dog"',
    "left": "the number of items left",
    "active": 'the filter "Active"',
    "completed": 'the filter "Completed"',
    "all": 'the filter "All"',
}
_MILK = Locator(role="listitem", has=Locator(text="Buy milk"))
ELEMENTS = {
    "field": Locator(role="textbox", name="New to-do"),
    "add": Locator(role="button", name="Add"),
    "items": Locator(role="listitem", inside=Locator(role="list")),
    "milk": _MILK,
    "milk text": Locator(text="Buy milk", inside=Locator(role="listitem")),
    "milk box": Locator(role="checkbox", inside=_MILK),
    "milk delete": Locator(role="button", name="Delete", inside=_MILK),
    "dog": Locator(role="listitem", has=Locator(text="Walk the dog")),
    "left": Locator(pattern=r"^\d+ items? left$"),
    "active": Locator(role="link", name="Active"),
    "completed": Locator(role="link", name="Completed"),
    "all": Locator(role="link", name="All"),
}
STEPS = {
    "add": [
        "Open the page; the list is empty",
        'Type "Buy milk" and press Enter',
        'The item "Buy milk" appears and the field is empty',
        'The line below says "1 item left"',
        "A blank to-do is not added",
    ],
    "complete": [
        'Add "Buy milk"',
        "Check its box",
        "It is checked and struck through",
        'The line below says "0 items left"',
    ],
    "filter": [
        'Add "Buy milk" and "Walk the dog", complete "Buy milk"',
        "Choose Active",
        'Only "Walk the dog" is shown',
        'Choose Completed: only "Buy milk" is shown',
        "Choose All: both are shown in the order they were added",
    ],
    "keep": ['Add "Buy milk" and complete it', "Reload the page", '"Buy milk" is still there, still checked'],
    "delete": ['Add "Buy milk"', "Click its Delete button", 'It is gone and the line says "0 items left"'],
}


def _adds(step: int, text: str) -> list[dict[str, Any]]:
    return [
        {"step": step, "act": "fill", "target": "field", "value": text},
        {"step": step, "act": "press", "target": "field", "value": "Enter"},
    ]


_OPEN = {"step": 1, "act": "navigate", "value": "/"}
_ITEMS: dict[str, list[dict[str, Any]]] = {
    "add": [
        _OPEN,
        {"step": 1, "expect": "hidden", "target": "milk"},
        {"step": 1, "expect": "count", "target": "items", "number": 0},
        *_adds(2, "Buy milk"),
        {"step": 3, "expect": "visible", "target": "milk"},
        {"step": 3, "expect": "visible", "target": "milk text"},
        {"step": 3, "expect": "value", "target": "field", "value": ""},
        {"step": 4, "expect": "text", "target": "left", "value": "1 item left"},
        *_adds(5, "   "),
        {"step": 5, "expect": "count", "target": "items", "number": 1},
        {"step": 5, "expect": "console_clean"},
    ],
    "complete": [
        _OPEN,
        *_adds(1, "Buy milk"),
        {"step": 1, "expect": "unchecked", "target": "milk box"},
        {"step": 2, "act": "check", "target": "milk box"},
        {"step": 3, "expect": "checked", "target": "milk box"},
        {"step": 3, "expect": "struck_through", "target": "milk text"},
        {"step": 4, "expect": "text", "target": "left", "value": "0 items left"},
    ],
    "filter": [
        _OPEN,
        *_adds(1, "Buy milk"),
        *_adds(1, "Walk the dog"),
        {"step": 1, "act": "check", "target": "milk box"},
        {"step": 2, "act": "click", "target": "active"},
        {"step": 3, "expect": "visible", "target": "dog"},
        {"step": 3, "expect": "hidden", "target": "milk"},
        {"step": 4, "act": "click", "target": "completed"},
        {"step": 4, "expect": "visible", "target": "milk"},
        {"step": 4, "expect": "hidden", "target": "dog"},
        {"step": 5, "act": "click", "target": "all"},
        {"step": 5, "expect": "order", "target": "items", "values": ["Buy milk", "Walk the dog"]},
    ],
    "keep": [
        _OPEN,
        *_adds(1, "Buy milk"),
        {"step": 1, "act": "check", "target": "milk box"},
        {"step": 1, "expect": "checked", "target": "milk box"},
        {"step": 2, "act": "reload"},
        {"step": 3, "expect": "visible", "target": "milk"},
        {"step": 3, "expect": "checked", "target": "milk box"},
    ],
    "delete": [
        _OPEN,
        *_adds(1, "Buy milk"),
        {"step": 1, "expect": "visible", "target": "milk"},
        {"step": 2, "act": "click", "target": "milk delete"},
        {"step": 3, "expect": "hidden", "target": "milk"},
        {"step": 3, "expect": "text", "target": "left", "value": "0 items left"},
    ],
}


def contract(feature_id: str) -> Contract:
    """What one feature must do and see."""
    return Contract.model_validate({"feature_id": feature_id, "targets": TARGETS, "items": _ITEMS[feature_id]})


CHECKS = {feature_id: Check(contract=contract(feature_id)) for feature_id in _ITEMS}
