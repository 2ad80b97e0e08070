"""The documents of one tab as a person sees them: as one page.

Each frame has the script in a world of its own, same site or not, and is asked on its own; what stands around it is
told with each question (`Place.stage`). Here the answers become one: matches are counted over all frames, boxes and
points are those of the tab, what covers a frame covers what is in it. Frames without a box are not looked at. `has`,
`around` and `beside` hold within one document, `inside` also between a frame's element and what the frame shows.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from harness.browser import pixels
from harness.browser.failed import ActFailed
from harness.browser.world import NAME, Handle, World, WorldGone, source

if TYPE_CHECKING:
    from harness.browser.target import Target

MOST_FRAMES = 20
"""Documents looked at, the main one included; a page of advertisements must not take all the time."""
MOST_ELEMENTS = 200
SETTLE_SECONDS = 5.0
LOOK_SECONDS = 0.05

Point = tuple[float, float]
Locator = dict[str, Any]
_T = TypeVar("_T")


@dataclass
class Place:
    """One document and where it is shown."""

    world: World
    parent: Place | None = None
    owner: Handle | None = None
    """The frame's element in the document around it."""
    stage: dict[str, Any] = field(default_factory=dict)
    """What `stageOf` told of it."""

    async def call(self, name: str, *args: Any, limit: float = 5.0) -> Any:
        """`World.call`, telling a frame first where it is shown."""
        if self.parent is None:
            return await self.world.call(name, *args, limit=limit)
        return await self.world.call("staged", self.stage, name, *args, limit=limit)

    def up(self, x: float, y: float) -> Point:
        """A point of this document in the one around it."""
        stage = self.stage
        return stage["x"] + x * stage["sx"], stage["y"] + y * stage["sy"]

    def in_tab(self, x: float, y: float) -> Point:
        """A point of this document in the tab."""
        return self.parent.in_tab(*self.up(x, y)) if self.parent else (x, y)

    async def questions(self) -> list[dict[str, Any]]:
        """What only pixels tell of the last look, in boxes of the tab: left, top, right, bottom."""
        asked: list[dict[str, Any]] = await self.call("asked")
        return [{**each, "boxes": [self.box_in_tab(box) for box in each["boxes"]]} for each in asked]

    def box_in_tab(self, box: Sequence[float]) -> list[float]:
        """Left, top, right and bottom in the tab."""
        return [*self.in_tab(*box[:2]), *self.in_tab(*box[2:])]

    async def from_above(self, ask: str, points: Sequence[Point]) -> list[str]:
        """What lies over each point in the documents around this one; empty for nothing."""
        if self.parent is None or not points:
            return [""] * len(points)
        above = [self.up(x, y) for x, y in points]
        here: list[str] = await self.parent.call(ask, self.owner, above)
        further = await self.parent.from_above(ask, above)
        return [one or other for one, other in zip(here, further, strict=True)]


class Frames:
    """All documents of one tab."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self.main = World(target, target.target_id)
        self.aimed = self.main
        """Where the element stands that an act aims at."""
        self._worlds = {self.main.frame_id: self.main}
        self._parents: dict[str, str] = {}
        self._origins: dict[str, str] = {}
        self._page_worlds: dict[int, str] = {}
        self._owners: dict[tuple[str, int], Handle] = {}
        self._disturbed: list[list[World]] = []
        self.has_foreign = False
        """Whether a document of another site was shown in it, whose storage is hard to reach."""
        target.on("Runtime.executionContextCreated", self._created)
        target.on("Runtime.executionContextDestroyed", lambda e: self._destroyed(e["executionContextId"]))
        target.on("Runtime.executionContextsCleared", lambda _: self._cleared())
        target.on("Page.frameAttached", lambda e: self._attached(e["frameId"], e["parentFrameId"]))
        target.on("Page.frameDetached", lambda e: self._detached(e["frameId"]))
        target.on("Page.frameNavigated", self._navigated)

    async def install(self) -> None:
        """Have every new document of the tab start with the script."""
        script = {"source": source(), "worldName": NAME, "runImmediately": True}
        await self._target.send("Page.addScriptToEvaluateOnNewDocument", script)

    # --- what there is ---

    def has(self, frame_id: str) -> bool:
        """Whether a frame is one of these."""
        return frame_id in self._worlds

    async def places(self, inside: Sequence[Locator] = ()) -> list[Place]:
        """The main document and every frame that has a box, a frame after what is around it.

        Args:
            inside: locators of things around what is looked for; a frame is told in which of them it stands.
        """
        places = [Place(self.main)]
        for place in places:  # grows while it is walked
            children = [child for child, parent in self._parents.items() if parent == place.world.frame_id]
            for child in children[: MOST_FRAMES - len(places)]:
                if (found := await self._placed(place, child, inside)) is not None:
                    places.append(found)
        return places

    async def _placed(self, parent: Place, child: str, inside: Sequence[Locator]) -> Place | None:
        try:
            owner = await self._owner(parent.world, child)
            stage = await parent.call("stageOf", owner, list(inside))
            await self._worlds[child].ready()
        except (WorldGone, KeyError):  # it went away, or is one that cannot be asked
            return None
        return None if stage["why"] == "no box" else Place(self._worlds[child], parent, owner, stage)

    async def _owner(self, parent: World, child: str) -> Handle:
        from pyppeteer.errors import NetworkError

        key = (child, await parent.ready())
        if key not in self._owners:
            try:
                node = await self._target.send("DOM.getFrameOwner", {"frameId": child})
            except NetworkError as exc:
                raise WorldGone(str(exc)) from exc
            self._owners[key] = await parent.handle(node["backendNodeId"])
        return self._owners[key]

    async def _steadily(self, work: Callable[[], Awaitable[_T]]) -> _T:
        """Do the work again when a document was replaced meanwhile."""
        end = asyncio.get_running_loop().time() + SETTLE_SECONDS
        while True:
            try:
                return await work()
            except WorldGone:
                if asyncio.get_running_loop().time() > end:
                    raise ActFailed("the page keeps being replaced by another") from None
                await asyncio.sleep(0.02)

    # --- looking ---

    async def observe(self, locators: list[Locator], *asked: list[Any]) -> list[dict[str, Any]]:
        """What each locator matches now, over all documents; `asked` is handed on to the script."""
        return await self._steadily(lambda: self._observe(locators, *asked))

    async def _observe(self, locators: list[Locator], *asked: list[Any]) -> list[dict[str, Any]]:
        places = await self.places(_insides(locators))
        if len(places) == 1:
            return await pixels.settle(self._target, places[0], await self.main.call("observe", locators, *asked))
        plain = [_without_nth(locator) for locator in locators]
        answers = [await self._seen_from_tab(place, plain, *asked) for place in places]
        return [_merged(locator, found) for locator, *found in zip(locators, *answers, strict=True)]

    async def _seen_from_tab(self, place: Place, *question: Any) -> list[dict[str, Any]]:
        answers = await pixels.settle(self._target, place, await place.call("observe", *question))
        for element in (each for answer in answers for each in answer["elements"] if place.parent):
            points = element.pop("points")
            over = await place.from_above("covers", points)
            if over and all(over):
                element.update(visible=False, in_viewport=False, why_not=f"covered by {over[0]}")
            x, y, width, height = element["box"]
            left, top, right, bottom = place.box_in_tab((x, y, x + width, y + height))
            element["box"] = [round(number, 1) for number in (left, top, right - left, bottom - top)]
        return answers

    async def watch(self, seconds: float, locators: list[Locator], *asked: list[Any]) -> dict[str, Any]:
        """What each locator matches now, and in each other state during the next seconds; as `Watched`."""
        if seconds and len(await self._steadily(self.places)) == 1:
            return await self._steadily(lambda: self._watch(seconds, locators, *asked))
        clock = asyncio.get_running_loop().time
        started = now = clock()
        moments = [{"at_seconds": 0.0, "observations": await self.observe(locators, *asked)}]
        while (left := started + seconds - clock()) > 0:  # several documents are looked at one after another
            await asyncio.sleep(min(left, LOOK_SECONDS))
            now = clock()
            moments.append({"at_seconds": now - started, "observations": await self.observe(locators, *asked)})
        return {"moments": moments, "seconds": clock() - started if seconds else 0.0}

    async def _watch(self, seconds: float, locators: list[Locator], *asked: list[Any]) -> dict[str, Any]:
        """In the document itself. Of what is over no picture can be taken: what only pixels could judge is left out."""
        watched: dict[str, Any] = await self.main.call("watch", seconds, locators, *asked, limit=10.0 + seconds)
        *past, last = watched["moments"]
        moments = [each for each in past if not pixels.are_open(each["observations"])] + [last]
        for moment in moments:
            moment["observations"] = await pixels.settle(self._target, Place(self.main), moment["observations"])
        return {**watched, "moments": moments}

    async def snapshot(self, max_bytes: int, first_ref: int) -> dict[str, Any]:
        """The tab in indented lines, what a frame shows below its element; refs count on over the documents."""
        return await self._steadily(lambda: self._snapshot(max_bytes, first_ref))

    async def _snapshot(self, max_bytes: int, first_ref: int) -> dict[str, Any]:
        places = await self.places()
        lines: list[str] = []
        for place in places:
            answer = await place.call("snapshot", max_bytes // len(places), first_ref, limit=10.0)
            first_ref = answer["next"]
            at, indent = await _line_of(place, lines)
            lines[at:at] = [indent + line for line in answer["text"].splitlines()]
        return {"text": "\n".join(lines), "next": first_ref}

    async def settle(self, calm_ms: float, since_ms: float, limit_ms: float) -> tuple[bool, bool]:
        """Wait until all documents are loaded and were quiet for a moment.

        Args:
            calm_ms: the moment.
            since_ms: how long ago the last act was, for it counts from there.
            limit_ms: how long that is waited for.

        Returns: whether they are, and whether they were at once.
        Raises: WorldGone: the main document was replaced.
        """
        others = [world for key, world in list(self._worlds.items())[:MOST_FRAMES] if key in self._parents]
        quiet, limit = (calm_ms, since_ms, limit_ms), limit_ms / 1000 + 2
        calls = [world.call("settle", *quiet, limit=limit) for world in (self.main, *others)]
        main, *rest = await asyncio.gather(*calls, return_exceptions=True)
        if isinstance(main, BaseException):
            raise main
        told = [main, *(answer for answer in rest if isinstance(answer, dict))]
        return all(each["calm"] for each in told), all(each["at_once"] for each in told)

    # --- aiming ---

    async def aim(self, target: str | Locator, purpose: str, value: str | None = None) -> dict[str, Any]:
        """Where to point in the tab, or the reason why not; `aimed` is the document that holds it from then on.

        The keyboard is made ready too, where the purpose needs it: for `fill` with the value.

        Raises: WorldGone: a document was replaced meanwhile.
        """
        places = await self.places(_insides([target]) if isinstance(target, dict) else ())
        if len(places) == 1:
            self.aimed = self.main
            return dict(await self.main.call("aimReadily", target, purpose, value))
        answer = await self._aim_among(places, target, purpose)
        return answer if "reason" in answer else {**answer, **await self.aimed.call("readied", purpose, value)}

    async def _aim_among(self, places: list[Place], target: str | Locator, purpose: str) -> dict[str, Any]:
        if isinstance(target, str):
            return await self._aim_by_ref(places, target, purpose)
        place, found = await _the_one(places, target)
        return dict(found) if place is None else await self._aim_in(place, found, purpose)

    async def _aim_by_ref(self, places: list[Place], ref: str, purpose: str) -> dict[str, Any]:
        answer: dict[str, Any] = {}
        for place in places:
            answer = await self._aim_in(place, ref, purpose)
            if answer["state"] != "stale":
                break
        return answer

    async def _aim_in(self, place: Place, target: str | Locator, purpose: str) -> dict[str, Any]:
        answer: dict[str, Any] = await place.call("aim", target, purpose)
        self.aimed = place.world
        if "points" not in answer:
            return answer
        points = answer["points"]
        over = await place.from_above("hits", points)
        free = [point for point, cover in zip(points, over, strict=True) if not cover]
        if not free:
            return {"state": "covered", "reason": f"{answer['shown']} is covered by {over[0]}"}
        x, y = place.in_tab(*free[0])
        return {**answer, "x": x, "y": y}

    # --- disturbing ---

    async def disturb(
        self, kind: str, locator: Locator | None, text: str, ghost: Any, to: Locator | None = None
    ) -> bool:
        """Make the page lie once, in each document that has something to lie about."""
        places = await self._steadily(lambda: self.places(_insides([locator]) if locator else ()))
        asked = places if locator else places[:1]
        done = [place.world for place in asked if await place.call("disturb", kind, locator, text, ghost, to)]
        if done:
            self._disturbed.append(done)
        return bool(done)

    async def undo(self) -> None:
        """Take the last disturbance back."""
        for world in reversed(self._disturbed.pop() if self._disturbed else []):
            await world.settled_call("undo")

    async def keep_ghost(self, locator: Locator) -> Any:
        """A copy of the visible match, or None."""
        for place in await self._steadily(lambda: self.places(_insides([locator]))):
            if ghost := await place.call("keepGhost", locator):
                return ghost
        return None

    async def everywhere(self, name: str, *args: Any) -> list[Any]:
        """Call one function in every document, hidden ones too; what went away meanwhile has no answer."""
        answers = [await self.main.settled_call(name, *args)]
        for key in [key for key in self._worlds if key in self._parents][:MOST_FRAMES]:
            try:
                answers.append(await self._worlds[key].call(name, *args))
            except (WorldGone, KeyError):
                continue
        return answers

    async def in_page(self, expression: str) -> None:
        """Run an expression of ours in the page's own world of every document."""
        from pyppeteer.errors import NetworkError

        for context in list(self._page_worlds):
            try:
                await self._target.send("Runtime.evaluate", {"expression": expression, "contextId": context})
            except NetworkError:
                continue  # its document is gone

    # --- what the browser tells ---

    def _created(self, event: dict[str, Any]) -> None:
        context = event["context"]
        aux = context.get("auxData") or {}
        if aux.get("isDefault"):
            self._page_worlds[context["id"]] = aux["frameId"]
        elif context.get("name") == NAME:
            self._world(aux["frameId"]).context = context["id"]

    def _destroyed(self, context: int) -> None:
        self._page_worlds.pop(context, None)
        for world in self._worlds.values():
            if world.context == context:
                world.context = None

    def _cleared(self) -> None:
        self._page_worlds.clear()
        self._owners.clear()
        for world in self._worlds.values():
            world.context = None

    def _world(self, frame_id: str) -> World:
        return self._worlds.setdefault(frame_id, World(self._target, frame_id))

    def _attached(self, frame_id: str, parent_id: str) -> None:
        self._parents[frame_id] = parent_id
        self._world(frame_id)

    def _detached(self, frame_id: str) -> None:
        for child in [child for child, parent in self._parents.items() if parent == frame_id]:
            self._detached(child)
        self._parents.pop(frame_id, None)
        if frame_id != self.main.frame_id:
            self._worlds.pop(frame_id, None)

    def _navigated(self, event: dict[str, Any]) -> None:
        frame = event["frame"]
        if parent := frame.get("parentId"):
            self._attached(frame["id"], parent)
            self.has_foreign |= frame.get("securityOrigin", "").startswith("http") and (
                _site(frame["securityOrigin"]) != _site(self._origins.get(self.main.frame_id, ""))
            )
        else:
            self._disturbed.clear()
        self._origins[frame["id"]] = frame.get("securityOrigin", "")


def _site(origin: str) -> str:
    """An origin without its port: what storage is divided by."""
    scheme, _, place = origin.partition("://")
    return f"{scheme}://{place.rpartition(':')[0] or place}"


async def _line_of(place: Place, lines: list[str]) -> tuple[int, str]:
    """Where a document's lines go and how deep: below the line of its frame, which is left out when that was cut."""
    if place.parent is None:
        return 0, ""
    ref = f"[{await place.parent.call('refOf', place.owner)}]"
    at = next((index for index, line in enumerate(lines) if ref in line and "iframe" in line), None)
    if at is None:
        return len(lines), ""
    depth = len(lines[at]) - len(lines[at].lstrip())
    return at + 1, " " * (depth + 2)


async def _the_one(places: list[Place], locator: Locator) -> tuple[Place | None, Any]:
    """The document that holds the one match and the locator within it, or None and the answer that says why not."""
    plain = _without_nth(locator)
    counts = [await place.call("locate", plain) for place in places]
    key = "seen" if any(count["seen"] for count in counts) else "found"
    holders = [(place, count) for place, count in zip(places, counts, strict=True) if count[key]]
    if (nth := locator.get("nth")) is not None:
        return _the_nth([(place, count[key]) for place, count in holders], plain, nth) or (places[0], locator)
    if len(holders) <= 1:
        return (holders[0][0] if holders else places[0]), plain
    total = sum(count[key] for _, count in holders)
    tags = " | ".join(tags for _, count in holders if (tags := count["tags"])) or "none of them visible"
    state = "ambiguous" if key == "seen" else "hidden"
    return None, {"state": state, "reason": f"{total} elements match in {len(holders)} frames: {tags}"}


def _the_nth(holders: list[tuple[Place, int]], plain: Locator, nth: int) -> tuple[Place, Locator] | None:
    left = nth if nth >= 0 else nth + sum(count for _, count in holders)
    for place, count in holders:
        if 0 <= left < count:
            return place, {**plain, "nth": left}
        left -= count
    return None


def _merged(locator: Locator, found: Sequence[dict[str, Any]]) -> dict[str, Any]:
    elements = [element for answer in found for element in answer["elements"]]
    total = sum(answer["total"] for answer in found)
    if (nth := locator.get("nth")) is not None:
        seen = [element for element in elements if element["visible"]] or elements
        elements = [seen[nth]] if -len(seen) <= nth < len(seen) else []
        total = len(elements)
    return {"elements": elements[:MOST_ELEMENTS], "total": total}


def _without_nth(locator: Locator) -> Locator:
    return {key: value for key, value in locator.items() if key != "nth"}


def _insides(locators: Sequence[Any]) -> list[Locator]:
    return [inside for locator in locators for inside in _insides_of(locator)]


def _insides_of(locator: Locator) -> Iterator[Locator]:
    if inside := locator.get("inside"):
        yield inside
    for part in (locator.get("inside"), locator.get("has"), *locator.get("around", ()), locator.get("beside")):
        if part:
            yield from _insides_of(part)
