"""What is looked at on the page for a group of expectations: their targets, and whatever else some of them ask for.

One round trip for all of a group; a picture, and the page's facts, only where an expectation is about them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from harness.verify.check import Expectation, Locator, targets_of
from harness.verify.judge import Likeness, visible_of
from harness.verify.kept import Kept
from harness.verify.pictures import likeness

if TYPE_CHECKING:
    from harness.browser.browser import Page
    from harness.browser.values import Asked, Observation

_Found = Mapping[tuple[int, str], "Observation"]
"""By index of the expectation, and "target" or "to"."""


@dataclass(frozen=True)
class Sought:
    """One expectation and how its names are found."""

    index: int
    expectation: Expectation
    locators: Mapping[str, Locator | None]
    """Name -> locator, of every name it uses."""

    @classmethod
    def of(cls, index: int, expectation: Expectation, resolve: Callable[[str], Locator | None]) -> Sought:
        """Find its names."""
        return cls(index, expectation, {name: resolve(name) for name in targets_of(expectation)})

    @property
    def bound(self) -> bool:
        """Whether it can be judged at all."""
        return None not in self.locators.values()

    def named(self, name: str | None) -> Locator | None:
        """The locator of one of its names."""
        return self.locators.get(name) if name else None


@dataclass
class Sketches:
    """Compares pictures in one play, and takes those that are missing where that is wanted."""

    pictures: Kept = field(default_factory=Kept)
    takes: bool = False
    """Whether a picture that was never taken is taken now: only where a check is authored."""
    drafts: dict[str, bytes] = field(default_factory=dict)
    """Name -> what this play took."""

    async def compare(self, page: Page, sought: Sought, feature_id: str) -> Likeness:
        """How the target looks now, against what is kept. A new picture counts when the page looks like it again."""
        name = sought.expectation.value or ""
        target, masks = sought.named(sought.expectation.target), sought.expectation.masks
        assert target is not None  # it was seen
        now = await page.picture(target, [mask for each in masks if (mask := sought.named(each))])
        if not now:
            return Likeness(1.0, "it is outside the window, so no picture can be taken of it")
        kept = self.pictures.get(feature_id, name)
        if kept is None and self.takes:
            kept, self.drafts[name] = self.drafts.get(name), now
            return Likeness(1.0, "its picture was taken just now") if kept is None else likeness(now, kept)
        if kept is None:
            return Likeness(1.0, f"there is no picture checks/pictures/{feature_id}/{name}.png to compare with")
        return likeness(now, kept)


@dataclass(frozen=True)
class Seen:
    """What was seen for one expectation."""

    target: Observation | None = None
    to: Observation | None = None
    likeness: Likeness | None = None


@dataclass(frozen=True)
class Glance:
    """One state of the page."""

    at_seconds: float
    """Since one began to look."""
    seen: Mapping[int, Seen]
    """By index of the expectation; those that cannot be judged are left out."""


async def look(page: Page, group: Sequence[Sought], sketches: Sketches, feature_id: str) -> Mapping[int, Seen]:
    """Look at the page once for all of a group."""
    glances, _ = await watch(page, group, sketches, feature_id, 0)
    return glances[-1].seen


async def watch(
    page: Page, group: Sequence[Sought], sketches: Sketches, feature_id: str, seconds: float
) -> tuple[list[Glance], float]:
    """Look at the page for some time; a picture is compared once, at the end.

    Returns: each state that differed from the one before, the last one last, and how many seconds it were.
    """
    asked = [sought for sought in group if sought.bound]
    found, watched = await _watch(page, asked, seconds)
    last, alike = found[-1][1], {}
    for sought in asked:
        if sought.expectation.expect == "looks_like" and len(visible_of(last.get((sought.index, "target")))) == 1:
            alike[sought.index] = await sketches.compare(page, sought, feature_id)
    return [Glance(at, {s.index: _seen(s.index, each, alike) for s in asked}) for at, each in found], watched


def _seen(index: int, found: _Found, alike: Mapping[int, Likeness]) -> Seen:
    target = found.get((index, "target"))
    return Seen(target, found.get((index, "to")), alike.get(index) if len(visible_of(target)) == 1 else None)


async def _watch(page: Page, group: Sequence[Sought], seconds: float) -> tuple[list[tuple[float, _Found]], float]:
    places: list[tuple[int, str]] = []
    locators: list[Locator] = []
    asked: dict[int, Asked] = {}
    for sought in group:
        for kind, name in (("target", sought.expectation.target), ("to", sought.expectation.to)):
            if locator := sought.named(name):
                if kind == "target" and (more := _asked(sought)):
                    asked[len(locators)] = more
                places.append((sought.index, kind))
                locators.append(locator)
    if not locators and not (group and seconds):
        return [(0.0, {})], 0.0
    attributes = [s.expectation.name for s in group if s.expectation.expect == "attribute" and s.expectation.name]
    styles = [s.expectation.name for s in group if s.expectation.expect == "style" and s.expectation.name]
    watched = await page.watch(locators, seconds, attributes=attributes, styles=styles, asked=asked)
    found: list[tuple[float, _Found]] = []
    for each in watched.moments:
        found.append((each.at_seconds, dict(zip(places, each.observations, strict=True))))
    return found, watched.seconds


def _asked(sought: Sought) -> Asked | None:
    """What is told of a target only where it is asked for."""
    from harness.browser.values import Asked

    expectation = sought.expectation
    part = sought.named(expectation.part)
    asked = Asked(
        raw=expectation.match == "exact",
        contrast=expectation.expect == "contrast",
        covered=expectation.expect == "not_covered",
        standing=expectation.expect == "highlighted",
        part=part.model_dump(mode="json", exclude_none=True) if part else None,
    )
    return None if asked == Asked() else asked
