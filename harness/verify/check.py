"""The language of checks: what a person does and sees on pages, as data; `exchanges.items` is that of other projects.

A *contract* is written from the feature's text before the code: acts and expectations in order, whose targets are
names described in words. A *check* is the same contract with each name bound to a locator. Binding never touches an
item, so what is expected cannot change after the code is known. Both are plain JSON; nothing in them is executed as
code, in the page or outside it.

A project keeps one dictionary of bound names, `checks/elements.json`; a check's own `bindings` win over it. What many
checks begin with, such as logging in, is written once in `checks/flows.json`: in files and in what authors write it is
one act `flow`, everywhere else the acts it stands for.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import repeat
from typing import Any, Literal, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, model_validator

from harness.verify.exchanges.items import ITEMS, ExchangeItem, Expected

ActName = Literal[
    "navigate", "reload", "back", "forward", "click", "double_click", "right_click", "hover", "fill", "type", "press",
    "check", "uncheck", "select", "upload", "drag", "answer_dialog", "viewport", "remember", "restart", "flow",
    "switch_tab", "close_tab", "offline", "slow", "clock",
]  # fmt: skip

ExpectName = Literal[
    "visible", "hidden", "text", "value", "checked", "unchecked", "enabled", "disabled", "focused", "count", "order",
    "url", "title", "attribute", "style", "struck_through", "not_struck_through", "unchanged", "changed",
    "in_viewport", "no_overflow", "not_covered", "contrast", "looks_like", "each", "none",
    "right_of", "left_of", "below", "above", "in_place_of", "highlighted", "selected", "not_selected", "controls_named",
    "dialog", "console_clean", "no_failed_requests",
    "download", "clipboard", "request",
]  # fmt: skip

Match = Literal["is", "exact", "contains", "matches"]
Inner = Literal[
    "text", "checked", "unchecked", "struck_through", "not_struck_through", "enabled", "disabled", "selected",
    "not_selected", "part",
]  # fmt: skip

_ACTS: dict[str, tuple[str, ...]] = {
    "navigate": ("value",), "reload": (), "back": (), "forward": (),
    "click": ("target",), "double_click": ("target",), "right_click": ("target",), "hover": ("target",),
    "fill": ("target", "value"), "type": ("value",), "press": ("value",), "check": ("target",), "uncheck": ("target",),
    "select": ("target", "value"), "upload": ("target", "value"), "drag": ("target", "to"),
    "answer_dialog": ("value",), "viewport": ("value",), "remember": ("target", "value"), "restart": (),
    "flow": ("value",),
    "switch_tab": ("value",), "close_tab": (), "offline": ("value",), "slow": ("value",), "clock": ("value",),
}  # fmt: skip
"""What each act cannot do without."""

_EXPECTATIONS: dict[str, tuple[str, ...]] = {
    "visible": ("target",), "hidden": ("target",), "text": ("target", "value"), "value": ("target", "value"),
    "checked": ("target",), "unchecked": ("target",), "enabled": ("target",), "disabled": ("target",),
    "focused": ("target",), "count": ("target", "number"), "order": ("target", "values"), "url": ("value",),
    "title": ("value",), "attribute": ("target", "name", "value"), "style": ("target", "name", "value"),
    "struck_through": ("target",), "not_struck_through": ("target",),
    "unchanged": ("target", "value"), "changed": ("target", "value"),
    "in_viewport": ("target",), "no_overflow": (), "dialog": ("value",), "console_clean": (),
    "no_failed_requests": (), "not_covered": ("target",), "contrast": ("target",), "looks_like": ("target", "value"),
    "each": ("target", "that"), "none": ("target", "that"), "right_of": ("target", "to"), "left_of": ("target", "to"),
    "below": ("target", "to"), "above": ("target", "to"), "in_place_of": ("target", "to"), "highlighted": ("target",),
    "selected": ("target",), "not_selected": ("target",), "controls_named": (),
    "download": ("name",), "clipboard": ("value",), "request": ("name",),
}  # fmt: skip
"""What each expectation cannot do without."""


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


class Locator(_Frozen):
    """How one element is found. All conditions given must hold; it must match one visible element.

    Preferred in this order: role and name, label, text, pattern, alt, title, test id, `inside`, `has`, `around`,
    `beside`; css and nth last.
    Texts compare with blanks folded; `exact` false means contained, without regard to case.
    """

    role: str | None = None
    """ARIA role, explicit or native: button, textbox, listitem, heading, checkbox, link, dialog, row..."""
    name: str | None = None
    """Accessible name."""
    label: str | None = None
    """Text of the label of a form control."""
    text: str | None = None
    """Visible text; without a role the smallest element that holds it."""
    pattern: str | None = None
    """Regular expression (JavaScript) searched in the visible text."""
    placeholder: str | None = None
    alt: str | None = None
    """Text that stands for a picture."""
    title: str | None = None
    """Text of the tooltip that the mouse brings up."""
    test_id: str | None = None
    """data-testid, data-test-id or data-test."""
    css: str | None = None
    """Last resort; never a generated class."""
    exact: bool = True
    inside: Locator | None = None
    """Some ancestor matches this: "in the item that contains X"."""
    has: Locator | None = None
    """Some descendant matches this."""
    around: tuple[Locator, ...] = ()
    """The smallest element that contains a match of each."""
    beside: Locator | None = None
    """What stands right after a match of this, as a value after its label: "the total beside 'Total'"."""
    nth: int | None = None
    """0-based among the matches, -1 the last; recorded as a last resort."""

    @model_validator(mode="after")
    def _finds_something(self) -> Self:
        if not any(
            (
                self.role,
                self.name,
                self.label,
                self.text,
                self.pattern,
                self.placeholder,
                self.alt,
                self.title,
                self.test_id,
                self.css,
                self.around,
                self.beside,
            )
        ):
            raise ValueError(
                "a locator needs at least one of "
                "role, name, label, text, pattern, placeholder, alt, title, test_id, css, around, beside"
            )
        if self.pattern:
            try:
                re.compile(self.pattern)
            except re.error as exc:
                raise ValueError(f"pattern is not a regular expression: {exc}") from exc
        return self

    @property
    def below(self) -> tuple[Locator, ...]:
        """The locators it is made of."""
        return tuple(each for each in (self.inside, self.has, *self.around, self.beside) if each)


class _Item(_Frozen):
    step: int = Field(ge=1)
    """1-based line of the feature's `steps` this belongs to."""
    target: str | None = None
    """A name of `targets`."""
    value: str | None = None
    user: str = Field(default="", alias="as")
    """Whose browser: each name has its own context."""


_ItemT = TypeVar("_ItemT", bound=_Item)


class Act(_Item):
    """Something a person does.

    `value` means: navigate: path; fill, type: text; press: key or chord such as Control+Enter; select: option's
    label; upload: text content of the file (name in `name`); answer_dialog: accept, dismiss or text to enter, for the
    dialogs that the following acts open; viewport: WIDTHxHEIGHT; remember: the name under which `what` is kept; flow:
    its name, and `as` whose browser does it; switch_tab: new, main or part of a title; offline, slow: on or off; clock:
    a date or time, or a step such as +1 day.
    """

    act: ActName
    to: str | None = None
    """drag: the target dropped on."""
    name: str | None = None
    """upload: the file's name."""
    what: Literal["text", "count", "value"] = "text"
    """remember: what is kept."""
    given: bool = False
    """fill, type, upload, answer_dialog: only this very text works: an account or data that is there already, a
    command, a name of the outside world. Else the check is also played with other letters (`verify.variation`)."""

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        return _need(self, self.act, _ACTS[self.act])


class Expectation(_Item):
    """Something a person sees.

    `value` means: text, value, title, dialog: that text; url: path (with query and fragment); attribute, style: the
    value of `name`; unchanged, changed: the name given to `remember`; each, none: what the text is compared with;
    looks_like: the name of the picture; download, request: content of the file, body; clipboard: its text.
    """

    expect: ExpectName
    match: Match = "is"
    """How `value` compares: whole (blanks folded), whole with every blank (exact), contained, or as a regular
    expression."""
    number: int | None = Field(default=None, ge=0)
    """count: how many visible elements match the target; request: the status of its answer."""
    values: tuple[str, ...] = ()
    """order: these texts, each contained in one matching element, in this order."""
    name: str | None = None
    """attribute, style: its name; download: the file's; request: method and path. `*` stands for anything there."""
    what: Literal["text", "count", "value"] = "text"
    """unchanged, changed: what was remembered."""
    to: str | None = None
    """right_of, left_of, below, above, in_place_of: the target it is compared with."""
    that: Inner | None = None
    """each, none: what is true of each match, or of none of them."""
    part: str | None = None
    """each, none: with `that` part: the name of what is visible in it."""
    ratio: float | None = Field(default=None, ge=1, le=21)
    """contrast: the least WCAG 2 ratio; None: 4.5."""
    tolerance: float = Field(default=0.01, ge=0, lt=1)
    """looks_like: the share of pixels that may differ."""
    masks: tuple[str, ...] = ()
    """looks_like: names of what is painted over before the pictures are compared."""
    source: Literal["quoted", "assumed"] = "quoted"
    """Whether the literal stands in the feature's text or was assumed by the author."""

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        if self.that in ("text", "part"):
            _need(self, f"{self.expect} that {self.that}", ("value" if self.that == "text" else "part",))
        if self.expect == "looks_like" and not re.fullmatch(r"[a-z0-9][a-z0-9-]{0,60}", self.value or ""):
            raise ValueError(f"looks_like takes a picture's name of small letters, digits and -, not {self.value!r}")
        return _need(self, self.expect, _EXPECTATIONS[self.expect])

    @property
    def names_seen(self) -> tuple[str, ...]:
        """Names of what must be on the page at the moment it is judged."""
        if self.says_absent:
            return ()
        to = None if self.expect == "in_place_of" else self.to
        part = None if self.expect == "none" else self.part
        return tuple(name for name in (self.target, to, part, *self.masks) if name)

    @property
    def says_absent(self) -> bool:
        """Whether it holds where nothing of its target can be seen."""
        return self.expect == "hidden" or (self.expect == "count" and self.number == 0)


PageItem = Act | Expectation
Item = PageItem | ExchangeItem
AnyExpectation = Expectation | Expected


def is_act(item: Item) -> bool:
    """Whether it does something, and expects nothing."""
    return not isinstance(item, Expectation | Expected)


class Contract(_Frozen):
    """What a feature's check must do and see, from the feature's text alone.

    It is about pages or about exchanges, never about both. The first item of one about pages must open a page
    (`navigate`); browser, data and working directory are empty before it.
    """

    version: Literal[1] = 1
    feature_id: str
    targets: dict[str, str] = Field(default_factory=dict)
    """Name -> what it is, in words a person who sees the page understands."""
    items: tuple[Item, ...] = Field(min_length=2)
    by: Literal["author", "person"] = "author"
    """Who decided what it says. A person's is never written again by an author."""
    accepted: tuple[int, ...] = ()
    """Indexes of expectations that a person takes as they are, although nothing was seen to make them fail."""

    @model_validator(mode="after")
    def _names_are_known(self) -> Self:
        unknown = sorted({name for item in self.items for name in targets_of(item)} - set(self.targets))
        if unknown:
            raise ValueError(f"items name targets that `targets` does not describe: {', '.join(unknown)}")
        return self

    @model_validator(mode="after")
    def _is_of_one_kind(self) -> Self:
        if 0 < sum(isinstance(item, ITEMS) for item in self.items) < len(self.items):
            raise ValueError("a contract is about pages, or about requests and commands, not about both")
        return self

    @property
    def is_about_pages(self) -> bool:
        """Whether a browser plays it; else its items are exchanges."""
        return not isinstance(self.items[0], ITEMS)

    @property
    def page_items(self) -> tuple[PageItem, ...]:
        """The items where they are about pages; else none."""
        return tuple(item for item in self.items if isinstance(item, Act | Expectation))

    def expectations(self) -> Iterator[tuple[int, Expectation]]:
        """Each expectation of pages with its index in `items`."""
        return ((i, item) for i, item in enumerate(self.items) if isinstance(item, Expectation))

    def expected(self) -> Iterator[tuple[int, AnyExpectation]]:
        """Each expectation, of pages or of answers, with its index in `items`."""
        return ((i, item) for i, item in enumerate(self.items) if isinstance(item, Expectation | Expected))

    def groups(self) -> Iterator[list[tuple[int, Item]]]:
        """Runs of items: each act alone, neighbouring expectations of one user together (they share a hold window)."""
        group: list[tuple[int, Item]] = []
        for index, item in enumerate(self.items):
            if group and (is_act(item) or is_act(group[-1][1]) or item.user != group[-1][1].user):
                yield group
                group = []
            group.append((index, item))
        if group:
            yield group

    @property
    def uses_clipboard(self) -> bool:
        """Whether it looks at the clipboard or presses the keys that change and use it."""
        chords = {f"control+{key}" for key in "cxv"}
        pressed = {(i.value or "").lower() for i in self.items if isinstance(i, Act) and i.act == "press"}
        return bool(pressed & chords) or any(e.expect == "clipboard" for _, e in self.expectations())

    def digest(self) -> str:
        """Names this contract's content; 16 hex digits."""
        return hashlib.sha256(self.model_dump_json(by_alias=True).encode()).hexdigest()[:16]


class Flow(_Frozen):
    """Acts that many checks begin with, in one browser: the `as` of the act that names the flow."""

    description: str
    """What it does, in words."""
    targets: dict[str, str] = Field(default_factory=dict)
    """As in a contract."""
    items: tuple[Act, ...] = Field(min_length=2)

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        unknown = sorted({name for act in self.items for name in targets_of(act)} - set(self.targets))
        if unknown:
            raise ValueError(f"acts name targets that `targets` does not describe: {', '.join(unknown)}")
        if any(act.act == "flow" or act.user for act in self.items):
            raise ValueError("a flow consists of acts of one browser and of no other flow")
        return self

    def acts(self, step: int, user: str) -> tuple[Act, ...]:
        """Its acts as those of one step and one user."""
        return tuple(act.model_copy(update={"step": step, "user": user}) for act in self.items)


class UnknownFlow(ValueError):
    """A contract names a flow that nobody wrote."""


class Flows(_Frozen):
    """`checks/flows.json`: what many checks begin with, written once and kept for the whole project."""

    version: Literal[1] = 1
    flows: dict[str, Flow] = Field(default_factory=dict)

    def with_more(self, more: Mapping[str, Flow]) -> Flows:
        """These and more; a name that is there keeps its acts, because other checks stand on them."""
        return self.model_copy(update={"flows": {**more, **self.flows}})

    def expand(self, contract: Contract) -> Contract:
        """The contract with each act `flow` replaced by what it stands for.

        Raises: UnknownFlow: it names one that is not here.
        """
        named = [item.value or "" for item in contract.page_items if _is_flow(item)]
        if not named:
            return contract
        if unknown := [name for name in named if name not in self.flows]:
            raise UnknownFlow(f"there is no flow {unknown[0]!r}; there are: {', '.join(self.flows) or 'none'}")
        targets = {k: v for name in named for k, v in self.flows[name].targets.items()} | contract.targets
        items = tuple(part for item in contract.items for part in self._parts(item))
        places = self._places(contract)
        accepted = tuple(places[index] for index in contract.accepted)
        return contract.model_copy(update={"targets": targets, "items": items, "accepted": accepted})

    def fold(self, contract: Contract, *, any_step: bool = False) -> Contract:
        """The contract in which acts that are a flow's are one act `flow`; `expand` gives it back as it was.

        Args:
            contract: whose expectations stay as they are.
            any_step: also acts that belong to several steps; those of the last are then said to be the flow's.
        """
        items: list[Item] = []
        rest = list(contract.items)
        while rest:
            name = self._begins(rest, any_step)
            taken = len(self.flows[name].items) if name else 1
            last = rest[taken - 1]
            items.append(_flow_act(last, name) if name else last)
            del rest[:taken]
        used = {name for item in items for name in targets_of(item)}
        targets = {name: what for name, what in contract.targets.items() if name in used}
        folded = contract.model_copy(update={"targets": targets, "items": tuple(items)})
        before = {place: index for index, place in enumerate(self._places(folded))}
        return folded.model_copy(update={"accepted": tuple(before[index] for index in contract.accepted)})

    def expand_check(self, check: Check) -> Check:
        """A check as it is played. Raises: UnknownFlow: as `expand`."""
        contract, places = self.expand(check.contract), self._places(check.contract)
        proof = tuple(p.model_copy(update={"item": places[p.item]}) for p in check.proof)
        return check.model_copy(update={"contract": contract, "proof": proof})

    def fold_check(self, check: Check) -> Check:
        """A check as it is kept."""
        contract = self.fold(check.contract)
        before = {place: index for index, place in enumerate(self._places(contract))}
        proof = tuple(p.model_copy(update={"item": before[p.item]}) for p in check.proof)
        return check.model_copy(update={"contract": contract, "proof": proof})

    def _parts(self, item: Item) -> tuple[Item, ...]:
        if isinstance(item, Act) and item.act == "flow":
            return self.flows[item.value or ""].acts(item.step, item.user)
        return (item,)

    def _places(self, contract: Contract) -> list[int]:
        """Where each item of a contract is when it is expanded."""
        lengths = [len(self._parts(item)) for item in contract.items]
        return [sum(lengths[:index]) for index in range(len(lengths))]

    def _begins(self, items: Sequence[Item], any_step: bool) -> str:
        """The longest flow that these items begin with; "" for none."""

        def fits(flow: Flow) -> bool:
            taken = items[: len(flow.items)]
            acts = flow.acts(items[0].step, items[0].user)
            return len(taken) == len(acts) and all(map(_same, acts, taken, repeat(any_step)))

        fitting = [name for name, flow in self.flows.items() if fits(flow)]
        return max(fitting, key=lambda name: len(self.flows[name].items), default="")


def _flow_act(last: Item, name: str) -> Act:
    return Act.model_validate({"step": last.step, "act": "flow", "value": name, "as": last.user})


def _is_flow(item: Item) -> bool:
    return isinstance(item, Act) and item.act == "flow"


def _same(act: Act, item: Item, any_step: bool) -> bool:
    return (item.model_copy(update={"step": act.step}) if any_step else item) == act


class ProofOfMeaning(_Frozen):
    """How one expectation was shown to be able to fail."""

    item: int
    """Index in the contract's items."""
    kind: Literal["red", "perturbed", "person"]
    by: str = ""
    """perturbed: the disturbance that moved it."""


class Check(_Frozen):
    """A contract bound to the application: the replayable proof of one feature, as kept in `checks/<id>.json`."""

    version: Literal[1] = 1
    contract: Contract
    bindings: dict[str, Locator] = Field(default_factory=dict)
    """Names bound for this check only; other names are found in `checks/elements.json`."""
    proof: tuple[ProofOfMeaning, ...] = ()
    amended: dict[str, Check] | None = None
    """Of a feature that waits for a person: the checks, as they would be, of features it changes."""

    def locator(self, name: str, elements: Mapping[str, Locator]) -> Locator | None:
        """The locator of a target; None when it is not bound."""
        return self.bindings.get(name) or elements.get(name)

    def digest(self) -> str:
        """Names what this check does and sees, bindings of its own included, proof and other features excluded."""
        data: dict[str, Any] = self.model_dump(mode="json", by_alias=True, exclude={"proof", "amended"})
        return hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()[:16]


class Element(_Frozen):
    """A thing on the pages of a project that has a name for good."""

    description: str
    """What it is, in words."""
    locator: Locator


class Elements(_Frozen):
    """`checks/elements.json`: names bound once and kept for the whole project."""

    version: Literal[1] = 1
    elements: dict[str, Element] = Field(default_factory=dict)

    def locators(self) -> dict[str, Locator]:
        """Name -> locator."""
        return {name: element.locator for name, element in self.elements.items()}

    def descriptions(self) -> dict[str, str]:
        """Name -> what it is."""
        return {name: element.description for name, element in self.elements.items()}

    def with_more(self, more: Mapping[str, Element]) -> Elements:
        """These and more; a name that is there keeps its binding, because other checks stand on it."""
        return self.model_copy(update={"elements": {**more, **self.elements}})

    def share(self, check: Check) -> tuple[Check, dict[str, Element]]:
        """A check without the names that become everybody's, and those: what is known keeps its own binding."""
        new = {name: locator for name, locator in check.bindings.items() if name not in self.elements}
        own = {name: locator for name, locator in check.bindings.items() if name in self.elements}
        targets = check.contract.targets
        shared = {name: Element(description=targets[name], locator=locator) for name, locator in new.items()}
        return check.model_copy(update={"bindings": own}), shared


def compares_two(expect: str) -> bool:
    """Whether an expectation of this name is about its target and another, named in `to`."""
    return "to" in _EXPECTATIONS.get(expect, ())


def targets_of(item: Item) -> tuple[str, ...]:
    """The target names an item uses; exchanges have none."""
    if isinstance(item, ITEMS):
        return ()
    more = (item.part, *item.masks) if isinstance(item, Expectation) else ()
    return tuple(name for name in (item.target, item.to, *more) if name)


def _need(item: _ItemT, what: str, fields: tuple[str, ...]) -> _ItemT:
    missing = [field for field in fields if getattr(item, field) in (None, ())]
    if missing:
        raise ValueError(f"{what} needs {', '.join(missing)}")
    return item
