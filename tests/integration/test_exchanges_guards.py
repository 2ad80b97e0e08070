"""What keeps a judged service or program from more than being judged, each with what happens where it is missing."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from apps import notes_program, notes_service
from apps.rooms import open_room

from harness.events import Events
from harness.sandbox.processes import Room
from harness.settings import AppSettings, VerifySettings
from harness.verify.app import AppNotStarted
from harness.verify.check import Check, Contract
from harness.verify.exchanges.files import FILE_BYTES, gather, lay_down
from harness.verify.exchanges.proof import prove_exchanges
from harness.verify.playing import ReplayResult
from harness.verify.proof import Red
from harness.verify.replay import Replayer, Site, open_site

pytestmark = pytest.mark.needs("bwrap")
REPLAYER = Replayer(VerifySettings(wait_seconds=1.0), Events())


@pytest.fixture
async def room(tmp_path: Path) -> AsyncIterator[Room]:
    async with open_room(tmp_path, notes_program.make(tmp_path / "tree")) as opened:
        yield opened


@pytest.fixture
async def program(tmp_path: Path, room: Room) -> AsyncIterator[Site]:
    async with open_site(tmp_path / "tree", room, AppSettings(kind="program"), tmp_path / "data", None) as site:
        yield site


@pytest.fixture
async def service(tmp_path: Path, room: Room) -> AsyncIterator[Site]:
    tree = notes_service.make(tmp_path / "service")
    async with open_site(tree, room, AppSettings(kind="service"), tmp_path / "served", None) as site:
        yield site


async def played(site: Site, *items: dict[str, Any]) -> ReplayResult:
    contract = Contract.model_validate({"feature_id": "F001", "items": [{"step": 1, **item} for item in items]})
    return await REPLAYER.replay(Check(contract=contract), {}, site, purpose="verify")


def shell(script: str) -> dict[str, Any]:
    return {"act": "run", "command": ["bash", "-c", script]}


ENDS_WELL = {"expect": "exit_code", "number": 0}


async def test_no_shell_reads_arguments(program: Site) -> None:
    words = ["$(touch pwned)", "a; touch pwned", "`id`", "*", "it's", '"', "\n"]
    result = await played(
        program,
        {"act": "run", "command": ["python3", "-c", "import json, sys; print(json.dumps(sys.argv[1:]))", *words]},
        {"expect": "json_order", "at": "$[*]", "values": words},
        {"expect": "json_count", "at": "$[*]", "number": len(words)},
        {"expect": "file", "name": "pwned"},
    )
    assert result.items[2].held
    assert result.items[-1].held is False


async def test_nothing_of_one_play_is_there_in_the_next(program: Site) -> None:
    script = (
        'ls ~ /tmp "$HARNESS_DATA_DIR" . | grep -q left && exit 1; touch left ~/left /tmp/left "$HARNESS_DATA_DIR/left"'
    )
    for _ in range(2):
        result = await played(program, shell(script), ENDS_WELL)
        assert result.passed, result.reason
    twice = await played(program, shell(script), ENDS_WELL, shell(script), ENDS_WELL)
    assert not twice.passed, "within one play it lasts"


async def test_the_project_can_only_be_read_by_what_runs(program: Site) -> None:
    result = await played(program, shell('test -r "{project}/bin/notes" && ! touch "{project}/new"'), ENDS_WELL)
    assert result.passed, result.reason
    assert (await program.instance._room.run("touch /project/new")).exit_code == 0, "its sandbox alone would let it"


async def test_what_runs_reaches_no_network_and_no_file_of_the_person(tmp_path: Path, program: Site) -> None:
    connect = "import socket; socket.create_connection(('1.1.1.1', 443), 2)"
    result = await played(
        program,
        {"act": "run", "command": ["python3", "-c", connect]},
        {"expect": "errors", "match": "matches", "value": "Network is unreachable|Errno"},
        {"expect": "exit_code", "number": 1},
        shell(f"test -e {tmp_path}"),
        {"expect": "exit_code", "number": 1},
    )
    assert result.passed, result.reason


async def test_a_program_that_does_not_end_is_ended_and_told(program: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("harness.verify.program.RUN_SECONDS", 0.5)
    result = await played(program, shell("sleep 60 & cat"), ENDS_WELL, shell("sleep 60"), ENDS_WELL)
    assert "it did not end within" in result.reason, result.reason


@pytest.mark.parametrize(
    ("written", "said"),
    [
        (r'{"n": "\ud800"}', "\ufffd"),
        (r'{"n": "a\u0000b"}', "cannot hold the character NUL"),
        (json.dumps({"n": "long" * 30_000}), "cannot be longer than 100000 bytes"),
    ],
)
async def test_no_output_of_a_program_ends_the_run(tmp_path: Path, program: Site, written: str, said: str) -> None:
    items = [
        {"act": "run", "command": ["cat"], "stdin": written},
        {"act": "remember", "name": "n", "at": "$.n"},
        {"act": "run", "command": ["echo", "{n}"]},
        {"expect": "output", "value": "x"},
    ]
    contract = Contract.model_validate({"feature_id": "F001", "items": [{"step": 1, **item} for item in items]})
    replayer = replace(REPLAYER, evidence_dir=tmp_path / "evidence")
    result = await replayer.replay(Check(contract=contract), {}, program, purpose="verify")
    assert said in result.reason
    assert said in json.loads(Path(result.evidence, "result.json").read_text())["reason"]


@pytest.mark.parametrize("instead", ["", "; mkfifo ../work", "; echo x > ../work", "; ln -s / ../work"])
async def test_a_working_directory_that_is_gone_fails_the_check(program: Site, instead: str) -> None:
    result = await played(program, shell(f"rm -r ../work{instead}"), {"expect": "no_file", "name": "a"})
    assert result.passed, result.reason
    if "ln" not in instead:
        result = await played(program, shell(f"rm -r ../work{instead}"), shell("true"), ENDS_WELL)
        assert "the working directory is gone" in result.reason
    assert (await played(program, shell("touch a"), {"expect": "file", "name": "a"})).passed


def test_files_of_any_name_and_depth_are_gathered(tmp_path: Path) -> None:
    (tmp_path / os.fsdecode(b"\xff")).write_text("x")
    assert gather(tmp_path) == {"\ufffd": "x"}
    place = os.open(tmp_path, os.O_RDONLY)
    for _ in range(2_000):  # deeper than a path can be written, and than a walk goes that calls itself
        os.mkdir("d", dir_fd=place)
        inner = os.open("d", os.O_RDONLY, dir_fd=place)
        os.close(place)
        place = inner
    os.close(place)
    try:
        assert gather(tmp_path) == {"\ufffd": "x"}
    finally:
        subprocess.run(["rm", "-rf", tmp_path / "d"], check=True)


async def test_links_that_lead_out_are_neither_written_nor_read_through(tmp_path: Path, program: Site) -> None:
    secret = tmp_path / "secret"
    secret.write_text("secret")
    result = await played(
        program,
        shell(f"ln -s {secret} seen; ln -s {tmp_path} out; mkfifo pipe; head -c {FILE_BYTES + 1} /dev/zero > big"),
        ENDS_WELL,
        {"expect": "file", "name": "seen"},
    )
    assert result.items[-1].held is False
    again = await played(
        program, shell(f"ln -s {tmp_path} out"), {**shell("true"), "files": {"out/new": "x"}}, ENDS_WELL
    )
    assert "could not be laid down" in again.reason
    assert not (tmp_path / "new").exists()


def test_a_writer_that_follows_links_would_have_led_out(tmp_path: Path) -> None:
    work, outside = tmp_path / "work", tmp_path / "outside"
    work.mkdir()
    outside.mkdir()
    (work / "out").symlink_to(outside)
    (work / "seen").symlink_to(outside / "secret")
    (work / "out" / "secret").write_text("x")
    assert (work / "seen").read_text() == "x"
    assert gather(work) == {}
    with pytest.raises(OSError, match="out"):
        lay_down(work, {"out/new": "x"})
    lay_down(work, {"seen": "mine", "a/b": "c"})
    assert (outside / "secret").read_text() == "x"
    assert gather(work) == {"seen": "mine", "a/b": "c"}
    os.mkfifo(work / "pipe")
    assert gather(work) == {"seen": "mine", "a/b": "c"}


async def test_a_service_is_asked_on_its_own_port_alone(service: Site) -> None:
    result = await played(
        service,
        {"act": "request", "method": "GET", "path": "/elsewhere"},
        {"expect": "status", "value": "302"},
        {"act": "remember", "name": "there", "header": "location"},
        {"act": "request", "method": "GET", "path": "{there}"},
        {"expect": "status", "value": "200"},
    )
    assert "is no address of this service" in result.reason


@pytest.mark.parametrize("title", ["../admin?x=1#y", "a/b", "ü %2F {id}", "\r\nX-Evil: 1"])
async def test_what_was_remembered_stays_data_in_paths_bodies_and_headers(service: Site, title: str) -> None:
    result = await played(
        service,
        {"act": "request", "method": "POST", "path": "/notes", "json": {"title": title}},
        {"act": "remember", "name": "title", "at": "$.title"},
        {"act": "request", "method": "POST", "path": "/notes", "json": {"title": "{title}"}},
        {"expect": "json", "at": "$.title", "value": "{title}"},
        {"act": "request", "method": "GET", "path": "/notes/{title}"},
        {"expect": "status", "value": "404"},
        {"act": "request", "method": "GET", "path": "/notes?search={title}"},
        {"expect": "json_count", "at": "$[*]", "number": 2},
    )
    assert result.passed, result.reason


async def test_each_user_has_cookies_of_their_own_and_the_next_play_has_none(service: Site) -> None:
    login = {"act": "request", "method": "POST", "path": "/login", "form": {"user": "Ada"}, "as": "ada"}
    asks = {"act": "request", "method": "GET", "path": "/me"}
    unknown = {"expect": "status", "value": "401"}
    first = await played(service, login, {**asks, "as": "ada"}, {"expect": "status", "value": "200", "as": "ada"})
    assert first.passed, first.reason
    assert (await played(service, {**asks, "as": "ada"}, {**unknown, "as": "ada"})).passed
    assert (await played(service, login, asks, unknown)).passed


async def test_a_service_that_never_answers_is_told_so(tmp_path: Path, room: Room) -> None:
    tree = notes_service.make(tmp_path / "slow")
    source = (tree / "service.py").read_text()
    (tree / "service.py").write_text(
        source.replace('if place == "/me":', 'if place == "/me":\n            time.sleep(60)')
    )
    async with open_site(tree, room, AppSettings(kind="service"), tmp_path / "slow-data", None) as site:
        result = await played(
            site, {"act": "request", "method": "GET", "path": "/me"}, {"expect": "status", "value": "200"}
        )
        assert "no answer within 1 s" in result.reason
        assert (
            await played(site, {"act": "request", "method": "GET", "path": "/"}, {"expect": "status", "value": "200"})
        ).passed


DRIPS = """if place == "/me":
            for _ in range(600):
                self.wfile.write(b"X-Drip: 1\\r\\n") if _ else self.wfile.write(b"HTTP/1.0 200 OK\\r\\n")
                self.wfile.flush()
                time.sleep(0.3)
        if place == "/me":"""


async def test_headers_that_come_a_line_at_a_time_end_the_request_and_not_the_run(tmp_path: Path, room: Room) -> None:
    tree = notes_service.make(tmp_path / "drips")
    source = (tree / "service.py").read_text()
    (tree / "service.py").write_text(source.replace('if place == "/me":', DRIPS, 1))
    async with open_site(tree, room, AppSettings(kind="service"), tmp_path / "drips-data", None) as site:
        me = {"act": "request", "method": "GET", "path": "/me"}
        result = await played(site, me, {"expect": "status", "value": "200"})
        assert "no answer within 1 s" in result.reason, result.reason


async def test_a_stream_without_end_is_left_after_its_parts(tmp_path: Path, room: Room) -> None:
    tree = notes_service.make(tmp_path / "endless")
    source = (tree / "service.py").read_text()
    (tree / "service.py").write_text(source.replace("range(1, 4)", "iter(int, 1)"))
    async with open_site(tree, room, AppSettings(kind="service"), tmp_path / "endless-data", None) as site:
        events = {"act": "request", "method": "GET", "path": "/events", "parts": 3}
        assert (await played(site, events, {"expect": "streamed", "number": 3})).passed


async def test_a_program_that_does_not_tell_how_it_is_used_does_not_start(tmp_path: Path, room: Room) -> None:
    for how, said in (("exit 3", "ended with exit code 3"), ("true", "told nothing")):
        tree = notes_service.write(
            tmp_path / said[:4], {"init.sh": f"#!/usr/bin/env bash\n[ $1 = prepare ] || {how}\n"}
        )
        with pytest.raises(AppNotStarted, match=said):
            async with open_site(tree, room, AppSettings(kind="program"), tmp_path / "d", None):
                pass


async def test_what_nothing_moves_is_shown_by_acts_that_are_swallowed_or_goes_back(service: Site) -> None:
    items = [
        {"act": "request", "method": "POST", "path": "/notes", "json": {"title": "Buy oat milk"}},
        {"act": "request", "method": "GET", "path": "/notes"},
        {"expect": "body", "match": "matches", "value": r"^\[\{"},
        {"expect": "body", "match": "matches", "value": ".*"},
    ]
    contract = Contract.model_validate({"feature_id": "F001", "items": [{"step": 1, **item} for item in items]})
    proof = await prove_exchanges(REPLAYER, Check(contract=contract), Red(), service)
    assert [(each.item, each.by) for each in proof.items] == [(2, "swap text")]
    assert proof.unproved == (3,)


POSTED = [
    {"act": "request", "method": "POST", "path": "/notes", "json": {"title": "Buy oat milk"}},
    {"act": "remember", "name": "id", "at": "$.id"},
]


@pytest.mark.parametrize(
    ("items", "how"),
    [
        (
            [
                {"act": "request", "method": "DELETE", "path": "/notes/{id}"},
                {"act": "request", "method": "GET", "path": "/notes"},
                {"expect": "json_none", "at": "$[*].title", "value": "Buy oat milk"},
            ],
            "swallow",
        ),
        (
            [
                {"act": "request", "method": "POST", "path": "/notes", "json": {"title": "Walk the dog"}},
                {"act": "request", "method": "GET", "path": "/notes/{id}"},
                {"expect": "json_absent", "at": "$.error"},
            ],
            "lose data",
        ),
    ],
)
async def test_what_is_absent_is_shown_by_the_act_that_made_it_so(
    service: Site, items: list[dict[str, Any]], how: str
) -> None:
    whole = [{"step": 1, **item} for item in [*POSTED, *items]]
    contract = Contract.model_validate({"feature_id": "F001", "items": whole})
    proof = await prove_exchanges(REPLAYER, Check(contract=contract), Red(), service)
    assert [each.by for each in proof.items] == [how]
