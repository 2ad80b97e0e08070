"""Which disturbances could make an expectation fail, so that one that nothing moves is found out.

Each kind of expectation is disturbed where it looks: a text by swapping the text, not by hiding it, which would move
an expectation that any text fulfils. Pure: what is done to the page is the browser's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.verify.check import Expectation
from harness.verify.judge import Kept

if TYPE_CHECKING:
    from harness.browser.values import Disturbance

ODD = "Zq disturbed 4711"
"""A text that no contract expects."""


@dataclass(frozen=True)
class Move:
    """One disturbance aimed at one expectation."""

    kind: Disturbance
    text: str = ""
    aimed: bool = True
    """Whether it needs the target's locator; else it is about the page, or a ghost kept under `text`."""
    at: str = ""
    """Another name than the target that it is aimed at."""
    to: str = ""
    """The name of a second thing it needs."""


_MOVES: dict[str, tuple[Move, ...]] = {
    "visible": (Move("hide"),),
    "text": (Move("swap_text", ODD),),
    "value": (Move("set_value", ODD),),
    "checked": (Move("toggle_checked"),),
    "unchecked": (Move("toggle_checked"),),
    "enabled": (Move("toggle_enabled"),),
    "disabled": (Move("toggle_enabled"),),
    "focused": (Move("blur"),),
    "order": (Move("reverse_order"),),
    "url": (Move("set_url", "/zq-disturbed-4711", aimed=False),),
    "title": (Move("set_title", ODD, aimed=False),),
    "in_viewport": (Move("scroll_away"),),
    "not_covered": (Move("cover"),),
    "contrast": (Move("fade"),),
    "looks_like": (Move("set_style", "filter=invert(1)"),),
    "in_place_of": (Move("move_across"),),
    "highlighted": (Move("calm"),),
    "selected": (Move("toggle_selected"),),
    "not_selected": (Move("toggle_selected"),),
    "controls_named": (Move("add_unnamed", aimed=False),),
    "no_overflow": (Move("make_wide", aimed=False),),
    "console_clean": (Move("log_error", ODD, aimed=False),),
    "no_failed_requests": (Move("fail_request", aimed=False),),
    "clipboard": (Move("swap_clipboard", ODD, aimed=False),),
}
_KEPT: dict[str, tuple[Move, ...]] = {
    "text": (Move("swap_text", ODD),),
    "value": (Move("set_value", ODD),),
    "count": (Move("add_one"), Move("remove_one")),
}


def moves(expectation: Expectation, memory: Mapping[str, Kept]) -> tuple[Move, ...]:
    """Disturbances that fit an expectation, the most telling first; none for what only acts can bring about."""
    name = expectation.expect
    if name == "hidden":
        return _put_back(expectation)
    if name == "count":
        return _KEPT["count"] if expectation.number else _put_back(expectation)
    if name == "unchanged":
        return _KEPT[expectation.what]
    if name == "changed":
        return _change_back(expectation, memory)
    if name == "download":
        return (Move("swap_download", f"{'name' if expectation.value is None else 'text'}={ODD}", aimed=False),)
    if name == "request":
        return _other_requests(expectation)
    if name == "attribute":
        return (Move("set_attribute", f"{expectation.name}={ODD}"),)
    if name == "style":
        return tuple(Move("set_style", f"{expectation.name}={value}") for value in _other_styles(expectation))
    if name in ("each", "none"):
        return _of_each(expectation)
    if name in ("right_of", "left_of", "below", "above"):
        return (Move("move_across", to=expectation.to or ""),)
    if name == "struck_through":
        return (Move("set_style", "text-decoration=none"), Move("hide"))
    if name == "not_struck_through":
        return (Move("set_style", "text-decoration=line-through"), Move("hide"))
    return _MOVES.get(name, ())


def _of_each(expectation: Expectation) -> tuple[Move, ...]:
    """What is true of each is made untrue, what is true of none is made true; a pattern has no text to put there."""
    that, is_each = expectation.that, expectation.expect == "each"
    if that == "part":
        return (Move("hide" if is_each else "reveal", at=expectation.part or ""),)
    if that == "text":
        return (Move("swap_text", ODD if is_each else expectation.value or ""),)
    if that in ("struck_through", "not_struck_through"):
        is_struck = is_each is (that == "struck_through")
        return (Move("set_style", f"text-decoration={'none' if is_struck else 'line-through'}"),)
    return _MOVES[that or "text"]


def _put_back(expectation: Expectation) -> tuple[Move, ...]:
    return (Move("ghost", expectation.target or "", aimed=False), Move("reveal"))


def _change_back(expectation: Expectation, memory: Mapping[str, Kept]) -> tuple[Move, ...]:
    """Put back what was remembered, and the change must be missed."""
    kept = memory.get(expectation.value or "")
    if expectation.what == "count":
        return (Move("remove_one"), Move("add_one"))
    if kept is None:
        return ()
    return (Move("swap_text", kept.text),) if expectation.what == "text" else (Move("set_value", kept.value),)


def _other_requests(expectation: Expectation) -> tuple[Move, ...]:
    """The request as it was but for what is expected of it."""
    if expectation.value is not None:
        return (Move("swap_request", f"body={ODD}", aimed=False),)
    changed = "method=ZQ" if expectation.number is None else f"status={expectation.number + 1}"
    return (Move("swap_request", changed, aimed=False),)


def _other_styles(expectation: Expectation) -> tuple[str, ...]:
    """Values of which at least one differs from the expected and is valid for most properties."""
    return ("initial", "none", "line-through", "bold", "italic", "hidden", "rgb(1, 2, 3)", "1px", "inherit")
