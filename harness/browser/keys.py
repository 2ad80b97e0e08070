"""Keys and chords as the events Chromium expects: `Enter`, `a`, `Control+Shift+K`."""

from __future__ import annotations

from typing import Any

from harness.browser.failed import ActFailed

MODIFIERS = {"Alt": 1, "Control": 2, "Meta": 4, "Shift": 8}
ALIASES = {
    "ctrl": "Control", "cmd": "Meta", "command": "Meta", "option": "Alt", "esc": "Escape", "return": "Enter",
    "del": "Delete", "space": " ", "spacebar": " ", "up": "ArrowUp", "down": "ArrowDown", "left": "ArrowLeft",
    "right": "ArrowRight", "controlormeta": "Control", "pgup": "PageUp", "pgdn": "PageDown",
}  # fmt: skip


def parse_chord(chord: str) -> tuple[list[str], str]:
    """Split `Control+Enter` into its modifiers and its key.

    Raises: ActFailed: there is no such key.
    """
    *held, key = chord[:-1].split("+") if chord.endswith("+") else chord.split("+")
    key = "+" if chord.endswith("+") else _named(key)
    modifiers = [_named(each) for each in held if each]
    unknown = [each for each in modifiers if each not in MODIFIERS]
    if unknown or (key not in _definitions() and len(key) != 1):
        raise ActFailed(f"there is no key {(unknown or [chord])[0]!r}; use names such as Enter, Escape, ArrowDown, a")
    return modifiers, key


def key_events(key: str, modifiers: int = 0) -> list[dict[str, Any]]:
    """Press and release of one key; empty when the key is a character no keyboard has (insert it instead)."""
    definition = _definitions().get(key)
    if definition is None:
        return []
    shifted = bool(modifiers & MODIFIERS["Shift"])
    name: str = definition["shiftKey"] if shifted and "shiftKey" in definition else definition["key"]
    if shifted and len(name) == 1:
        name = name.upper()
    text = definition.get("text") or (name if len(name) == 1 else "")
    event = {
        "modifiers": modifiers,
        "key": name,
        "code": definition.get("code", ""),
        "windowsVirtualKeyCode": definition.get("keyCode", 0),
        "location": definition.get("location", 0),
    }
    if not text or modifiers & ~MODIFIERS["Shift"]:
        return [{**event, "type": "rawKeyDown"}, {**event, "type": "keyUp"}]
    return [{**event, "type": "keyDown", "text": text, "unmodifiedText": text}, {**event, "type": "keyUp"}]


def _named(key: str) -> str:
    if len(key) == 1:
        return key
    lowered = key.strip().lower()
    by_name = {name.lower(): name for name in (*MODIFIERS, *_definitions()) if len(name) > 1}
    return ALIASES.get(lowered) or by_name.get(lowered, key)


def _definitions() -> dict[str, dict[str, Any]]:
    from pyppeteer.us_keyboard_layout import keyDefinitions

    return {**keyDefinitions, " ": {"key": " ", "code": "Space", "keyCode": 32}}
