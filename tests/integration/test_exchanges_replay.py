"""Services and programs are asked for real: honest ones pass and are proved, liars are found out."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from apps import notes_program, notes_service
from apps.rooms import open_room

from harness.events import Events
from harness.settings import AppSettings, VerifySettings
from harness.verify.check import Check, Contract
from harness.verify.medium import fails_with_other_texts, prove_meaning
from harness.verify.proof import find_red
from harness.verify.replay import Replayer, Site, open_site

pytestmark = pytest.mark.needs("bwrap")

SETTINGS = VerifySettings(wait_seconds=3.0)
APPS = {"service": notes_service, "program": notes_program}
Open = Callable[[Path, str], Awaitable[Site]]


@pytest.fixture
async def opened(tmp_path: Path) -> AsyncIterator[Open]:
    async with AsyncExitStack() as stack:
        rooms = []

        async def site(tree: Path, kind: Any) -> Site:
            if not rooms:
                rooms.append(await stack.enter_async_context(open_room(tmp_path, tree)))
            data = tmp_path / "data" / tree.name
            return await stack.enter_async_context(open_site(tree, rooms[0], AppSettings(kind=kind), data, None))

        yield site


def check_of(contract: dict[str, Any]) -> Check:
    return Check(contract=Contract.model_validate(contract))


def only(kind: str, *steps: int) -> Check:
    """The whole contract, or some steps of it."""
    contract = APPS[kind].CONTRACT
    return check_of({**contract, "items": [i for i in contract["items"] if not steps or i["step"] in steps]})


@pytest.mark.parametrize("kind", APPS)
async def test_an_honest_one_is_proved_whole_and_works_with_any_text(tmp_path: Path, opened: Open, kind: str) -> None:
    site = await opened(APPS[kind].make(tmp_path / "good"), kind)
    before = await opened(APPS[kind].make_empty(tmp_path / "empty"), kind)
    replayer, check = Replayer(SETTINGS, Events(), tmp_path / "evidence"), only(kind)
    played = await replayer.replay_twice(check, {}, site, purpose="prove")
    assert played.passed, played.reason
    red = await find_red(replayer, check, {}, before)
    proof = await prove_meaning(replayer, check, {}, red, site)
    assert (proof.failed, proof.unproved) == (None, ())
    assert red.failed
    assert await fails_with_other_texts(replayer, check, {}, site, "seed", []) is None


@pytest.mark.parametrize(("kind", "liar"), [(kind, liar) for kind, app in APPS.items() for liar in app.LIARS])
async def test_a_liar_is_found_out(tmp_path: Path, opened: Open, kind: str, liar: str) -> None:
    site = await opened(APPS[kind].make(tmp_path / "liar", liar), kind)
    replayer, check = Replayer(SETTINGS, Events()), only(kind)
    played = await replayer.replay(check, {}, site, purpose="prove")
    varied = await fails_with_other_texts(replayer, check, {}, site, "seed", []) if played.passed else None
    assert not played.passed or varied is not None


LIBRARY = "def of(text):\n    return '-'.join(text.lower().split())\n"
USES = "import slug\nprint(slug.of('Oat Milk Latte'))\n"


@pytest.mark.parametrize(
    ("source", "is_honest"), [(LIBRARY, True), ("def of(text):\n    return 'oat-milk-latte'\n", False)]
)
async def test_a_library_is_used_by_a_small_program_with_any_text(
    tmp_path: Path, opened: Open, source: str, is_honest: bool
) -> None:
    init = "#!/usr/bin/env bash\n[ $1 = prepare ] || PYTHONPATH=src python3 -c 'import slug; print(slug.__name__)'\n"
    site = await opened(notes_service.write(tmp_path / "lib", {"init.sh": init, "src/slug.py": source}), "program")
    check = check_of(
        {
            "feature_id": "F001",
            "items": [
                {"step": 1, "act": "run", "command": ["python3", "use.py"], "files": {"use.py": USES}},
                {"step": 1, "expect": "output", "value": "oat-milk-latte"},
            ],
        }
    )
    replayer = Replayer(SETTINGS, Events())
    assert (await replayer.replay(check, {}, site, purpose="prove")).passed
    varied = await fails_with_other_texts(replayer, check, {}, site, "seed", [])
    assert (varied is None) is is_honest


async def test_a_word_of_the_service_that_happens_to_be_in_a_text_is_left_alone(tmp_path: Path, opened: Open) -> None:
    tree = notes_service.make(tmp_path / "words")
    source = (tree / "service.py").read_text()
    (tree / "service.py").write_text(source.replace('"done": False}', '"state": "done"}'))
    site = await opened(tree, "service")
    items = [
        {"step": 1, "act": "request", "method": "POST", "path": "/notes", "json": {"title": "Get it done"}},
        {"step": 1, "expect": "json", "at": "$.title", "value": "Get it done"},
        {"step": 1, "expect": "json", "at": "$.state", "value": "done"},
    ]
    replayer, check = Replayer(SETTINGS, Events()), check_of({"feature_id": "F001", "items": items})
    assert await fails_with_other_texts(replayer, check, {}, site, "seed", []) is None


async def test_a_project_with_pages_may_have_a_check_of_requests(tmp_path: Path, opened: Open) -> None:
    site = await opened(notes_service.make(tmp_path / "web"), "web")
    check = only("service", 1)
    assert (await Replayer(SETTINGS, Events()).replay(check, {}, site, purpose="verify")).passed
