"""What the browser tells: pure values, no transport."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

Disturbance = Literal[
    "hide", "reveal", "ghost", "swap_text", "set_value", "toggle_checked", "toggle_enabled", "blur", "remove_one",
    "add_one", "reverse_order", "set_title", "set_url", "set_attribute", "set_style", "log_error", "fail_request",
    "make_wide", "scroll_away", "swap_download", "swap_clipboard", "swap_request",
    "make_wide", "scroll_away", "cover", "fade", "move_across", "calm", "toggle_selected", "add_unnamed",
]  # fmt: skip
"""Small lies about a page. `set_attribute` and `set_style` take `name=value` as their text."""

Frozen = Literal["handlers", "dom", "storage"]


class _Value(BaseModel):
    model_config = ConfigDict(frozen=True)


class Element(_Value):
    """One element as a person meets it."""

    visible: bool
    why_not: str = ""
    """Empty when visible, else: no box, transparent, clipped, outside the page, covered by <div#x>, too small to read,
    hidden behind dots, same colour as its background, not to be told from what is behind it, in a closed list."""
    text: str = ""
    """Visible text, blanks folded; of a hidden element the text it would show."""
    role: str = ""
    """ARIA role, or Chromium's own word where ARIA has none (LabelText, Date)."""
    name: str = ""
    """Accessible name."""
    value: str | None = None
    """Of fields, and of the one field inside a label; a select's value is the label of its option."""
    checked: bool | None = None
    selected: bool | None = None
    """Of options, tabs, current links and what lies in them; None: nothing tells whether it is chosen."""
    enabled: bool = True
    focused: bool = False
    in_viewport: bool = False
    """At least half of it can be seen without scrolling."""
    struck_through: bool = False
    overflow: bool = False
    """Its content is wider than it is, or cut at its lower edge."""
    box: tuple[float, float, float, float] = (0, 0, 0, 0)
    """x, y, width, height in the viewport."""
    attributes: dict[str, str] = {}
    styles: dict[str, str] = {}
    html: str = ""
    """The outer tag, cut at 200 characters."""
    raw: str | None = None
    """Asked: visible text with its blanks and lines."""
    contrast: float | None = None
    """Asked: WCAG 2 ratio (1 to 21) of its words to what is behind them, the least of them; None: it has no words."""
    covered_by: str | None = None
    """Asked: what lies over some part of it when it is scrolled to; "": all of it is free."""
    standing: tuple[str, ...] | None = None
    """Asked: how it differs from most of its siblings, empty where it does not; None: it has no siblings."""
    parts: int | None = None
    """Asked: how many visible matches of another locator lie in it."""


class Asked(_Value):
    """What one locator's matches are looked at for beyond what is always told."""

    raw: bool = False
    contrast: bool = False
    covered: bool = False
    standing: bool = False
    part: Any = None
    """A locator, as JSON."""


class Observation(_Value):
    """What one locator matches now, visible or not, in document order."""

    elements: tuple[Element, ...] = ()
    total: int = 0
    """How many match; `elements` holds at most 200."""

    @property
    def visible(self) -> tuple[Element, ...]:
        """Those that a person sees."""
        return tuple(element for element in self.elements if element.visible)


class Moment(_Value):
    """What several locators matched at one moment."""

    at_seconds: float
    """Since one began to look."""
    observations: tuple[Observation, ...]
    """In the order of the locators."""


class Watched(_Value):
    """What was seen while a page was looked at."""

    moments: tuple[Moment, ...]
    """Each state that differed from the one before, the last one last."""
    seconds: float
    """How long it was looked at."""


class Dialog(_Value):
    """A native dialog that opened and how it was answered."""

    type: str
    """alert, confirm, prompt or beforeunload."""
    message: str
    answer: str
    """accept, dismiss, or the text entered."""


class Request(_Value):
    """What a page asked a server for."""

    method: str
    url: str
    body: str = ""
    status: int | None = None
    """None: it was not answered."""


class Download(_Value):
    """A file that was handed to the user."""

    name: str
    text: str
    """Its content, cut; bytes that are no text are replaced."""


class PageFacts(_Value):
    """What a page is and what happened in it since the last reset."""

    url: str
    title: str
    console: tuple[str, ...] = ()
    """Errors and uncaught exceptions."""
    dialogs: tuple[Dialog, ...] = ()
    failed_requests: tuple[str, ...] = ()
    """`GET url status` or `GET url reason`; `blocked: foreign host` for other hosts than the application's."""
    unnamed_controls: tuple[str, ...] | None = None
    """Asked: outer tags of visible controls without an accessible name."""
    overflow_x: bool = False
    too_wide: tuple[str, ...] = ()
    """Outer tags of what makes it scroll sideways; three at most."""
    look: str = ""
    """The colours of the body's text and of what is behind it."""
    requests: tuple[Request, ...] = ()
    """Documents, and what scripts asked for."""
    downloads: tuple[Download, ...] = ()
    clipboard: str | None = None
    """None: it was not asked for."""
