"""The way out of the sandbox: named hosts through the proxy, the person's registries for `prepare`, nothing else.

Servers of the machine stand for hosts elsewhere; 127.0.0.2 is one that programs inside do not take for their own.
Case ids are those of the list of hostile cases: NW-1, SH-10.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from harness.errors import SetupError, ShellError
from harness.events import NetworkAsked
from harness.sandbox import egress
from harness.sandbox.hosts import AllowedHost, parse_hosts
from harness.sandbox.policy import Policy
from harness.sandbox.processes import Room
from harness.sandbox.registries import _beside_own, find_registries
from harness.settings import SandboxSettings

pytestmark = pytest.mark.needs("bwrap")

ELSEWHERE = "127.0.0.2"
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\nConnection: close\r\n\r\nreached"


class Server:
    """An HTTP server of the machine that keeps what it was asked."""

    def __init__(self, answer: bytes) -> None:
        self.answer, self.port = answer, 0
        self.asked: list[bytes] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            self.asked.append(await reader.readuntil(b"\r\n\r\n"))
        except asyncio.IncompleteReadError:  # somebody who only tried whether there is a way
            writer.close()
            return
        writer.write(self.answer)
        await writer.drain()
        writer.close()


@asynccontextmanager
async def server(address: str = ELSEWHERE, answer: bytes = ANSWER, port: int = 0) -> AsyncIterator[Server]:
    made = Server(answer)
    async with await asyncio.start_server(made.serve, address, port) as listening:
        made.port = listening.sockets[0].getsockname()[1]
        yield made


@pytest.fixture
def policy(tmp_path: Path) -> Policy:
    (tmp_path / "worktree" / ".git").mkdir(parents=True)
    return Policy(
        worktree=tmp_path / "worktree", scratch=tmp_path / "scratch", data_dir=tmp_path / "data", mode="project+net"
    )


@asynccontextmanager
async def room_with(
    policy: Policy, hosts: Sequence[str] = (), prepare: str = "off", heard: list[NetworkAsked] | None = None
) -> AsyncIterator[Room]:
    told = [] if heard is None else heard
    settings = SandboxSettings.model_validate(
        {"mode": policy.mode, "hosts": list(hosts), "prepare_network": prepare, "command_seconds": 20}
    )
    async with Room.open(policy, settings, policy.scratch.parent / "journal", told.append) as room:
        yield room


GET = """import sys, urllib.request, urllib.error
try:
    print(urllib.request.urlopen(sys.argv[1], timeout=10).read().decode())
except (urllib.error.URLError, OSError) as exc:
    print(exc, getattr(exc, "code", ""))
    print(exc.read().decode() if hasattr(exc, "read") else "")
"""
TUNNEL = """import http.client, sys
site = http.client.HTTPConnection("127.0.0.1", 17999, timeout=10)
site.set_tunnel(sys.argv[1], int(sys.argv[2]))
try:
    site.request("GET", "/")
    print(site.getresponse().read().decode())
except OSError as exc:
    print(exc)
"""


async def get(room: Room, url: str, **options: str) -> str:
    return (await room.run(["python3", "-c", GET, url], **options)).output  # type: ignore[arg-type]


async def test_a_named_host_is_reached_and_no_other(policy: Policy) -> None:
    heard: list[NetworkAsked] = []
    async with server() as named, server() as other:
        async with room_with(policy, [f"{ELSEWHERE}:{named.port}"], heard=heard) as room:
            assert await get(room, f"http://{ELSEWHERE}:{named.port}/a?b=c") == "reached\n"
            refused = await get(room, f"http://{ELSEWHERE}:{other.port}/")
            assert "403" in refused
            assert "it is not among the hosts that are allowed" in refused
            tunnels = [await room.run(["python3", "-c", TUNNEL, ELSEWHERE, str(s.port)]) for s in (named, other)]
            assert tunnels[0].output == "reached\n"
            assert "403" in tunnels[1].output
        assert named.asked[0].startswith(b"GET /a?b=c HTTP/1.1\r\n")
        assert f"host: {ELSEWHERE}:{named.port}".encode() in named.asked[0].lower()
        assert len(named.asked) == 2
        assert other.asked == []
    assert [(asked.port, asked.allowed) for asked in heard] == [(named.port, True), (other.port, False)]


async def test_who_goes_round_the_proxy_reaches_nobody(policy: Policy) -> None:
    """SH-10; the twin is the machine's own network."""
    async with server() as named:
        direct = f"exec 3<>/dev/tcp/{ELSEWHERE}/{named.port} && echo BREACH"
        async with room_with(policy, [f"{ELSEWHERE}:{named.port}"], prepare="on") as room:
            assert "BREACH" not in (await room.run(direct)).output
            assert "BREACH" in (await room.run(direct, network="host")).output


async def test_a_network_without_a_host_is_refused(policy: Policy) -> None:
    """NW-1: an empty list; the twin names a host."""
    with pytest.raises(SetupError, match="no host is named"):
        async with room_with(policy):
            pytest.fail("it opened")
    async with room_with(policy, ["api.example.com"]):
        pass


async def test_without_its_proxy_there_is_no_network(policy: Policy) -> None:
    """NW-1: the proxy is gone; the twin is the test above, where it runs."""
    async with server() as named, room_with(policy, [f"{ELSEWHERE}:{named.port}"]) as room:
        await room._held.aclose()
        with pytest.raises(ShellError):  # nor is anything run beside it
            await get(room, f"http://{ELSEWHERE}:{named.port}/")
        assert named.asked == []


async def test_neither_the_machine_nor_another_room_reaches_the_proxy(policy: Policy, tmp_path: Path) -> None:
    reach = f"exec 3<>/dev/tcp/127.0.0.1/{egress.PORT} && echo reached"
    async with room_with(policy, ["api.example.com"]) as room:
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", egress.PORT), timeout=2)
        other = replace(policy, mode="project", scratch=tmp_path / "other" / "scratch")
        async with Room.open(other, SandboxSettings(), tmp_path / "other-journal") as beside:
            assert "reached" not in (await beside.run(reach)).output
        assert "reached" in (await room.run(reach)).output, "the twin: the room itself does"


class Names:
    """A name server that answers something else each time."""

    def __init__(self, *answers: str) -> None:
        self._answers = list(answers)

    async def __call__(self, host: str, port: int) -> list[str]:
        return [self._answers.pop(0)] if self._answers else []


@asynccontextmanager
async def proxied(hosts: Sequence[AllowedHost], names: egress.Resolve) -> AsyncIterator[int]:
    """The proxy alone, on a port of the machine."""
    listener = socket.create_server(("127.0.0.1", 0))
    async with egress.proxy(listener, hosts, lambda asked: None, names):
        yield int(listener.getsockname()[1])


async def ask(port: int, request: str) -> str:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request.encode())
    answer = await asyncio.wait_for(reader.read(), 20)
    writer.close()
    return answer.decode()


@pytest.mark.parametrize("address", ["127.0.0.2", "::1", "169.254.169.254", "10.0.0.1", "::ffff:127.0.0.2"])
async def test_a_name_that_points_inwards_is_not_followed(address: str) -> None:
    async with server() as inner:
        lines = parse_hosts([f"api.example.com:{inner.port}"])
        async with proxied(lines, Names(address)) as port:
            answer = await ask(port, f"GET http://api.example.com:{inner.port}/ HTTP/1.1\r\nHost: x\r\n\r\n")
        assert answer.startswith("HTTP/1.1 403")
        assert inner.asked == []


async def test_the_twin_that_judges_no_address_follows_it() -> None:
    async with server() as inner:
        lines = [AllowedHost("api.example.com", inner.port, may_be_private=True)]
        async with proxied(lines, Names(ELSEWHERE)) as port:
            answer = await ask(port, f"GET http://api.example.com:{inner.port}/ HTTP/1.1\r\nHost: x\r\n\r\n")
        assert answer.endswith("reached")


async def test_the_address_that_was_judged_is_the_one_connected_to(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rebinding: the name stands for something else when it is asked again."""
    async with server() as first, server("127.0.0.3", ANSWER.replace(b"reached", b"rebound"), first.port) as second:
        lines = [AllowedHost("api.example.com", first.port, may_be_private=True)]
        request = f"GET http://api.example.com:{first.port}/ HTTP/1.1\r\nHost: x\r\n\r\n"
        async with proxied(lines, Names(ELSEWHERE, "127.0.0.3")) as port:
            assert (await ask(port, request)).endswith("reached")
        assert second.asked == []

        names, connect = Names(ELSEWHERE, "127.0.0.3"), asyncio.open_connection

        async def by_name(address: str, port: int) -> object:  # the twin: it is looked up again
            return await connect((await names("", 0))[0] if address == ELSEWHERE else address, port)

        monkeypatch.setattr(egress.asyncio, "open_connection", by_name)
        async with proxied(lines, names) as port:
            reader, writer = await connect("127.0.0.1", port)
            writer.write(request.encode())
            assert (await reader.read()).endswith(b"rebound")
            writer.close()


@pytest.mark.parametrize(
    ("request_text", "status"),
    [
        ("GET / HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        ("GET https://api.example.com/ HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        ("GET ftp://api.example.com/ HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        ("GET http://u:p@api.example.com:443/ HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        ("CONNECT api.example.com HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        ("CONNECT api.example.com:99999 HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        ("CONNECT api.example.com@evil.org:443 HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        ("CONNECT evil.org:443#api.example.com:443 HTTP/1.1\r\nHost: x\r\n\r\n", 403),
        ("CONNECT [::1]:443 HTTP/1.1\r\nHost: x\r\n\r\n", 403),
        ("nonsense\r\n\r\n", 400),
        ("\x16\x03\x01\x00\xa5\x01\r\n\r\n", 400),
        (f"GET http://api.example.com/ HTTP/1.1\r\nHost: x\r\nX: {'y' * 70_000}", 400),
        ("CONNECT api.example.com:443 HTTP/1.1\r\nHost: x\r\n\r\n", 502),
    ],
)
async def test_what_is_no_request_for_a_named_host_is_answered_and_reaches_nobody(
    request_text: str, status: int
) -> None:
    async with proxied(parse_hosts(["api.example.com"]), unknown) as port:
        assert (await ask(port, request_text)).startswith(f"HTTP/1.1 {status}")


async def unknown(host: str, port: int) -> list[str]:
    raise socket.gaierror("no such name")


async def test_a_program_that_asks_for_ever_is_told_of_once(policy: Policy) -> None:
    heard: list[NetworkAsked] = []
    ask_often = "for i in $(seq 30); do exec 3<>/dev/tcp/127.0.0.1/17999; printf 'CONNECT evil.org:443 HTTP/1.1\\r\\n"
    async with room_with(policy, ["api.example.com"], heard=heard) as room:
        await room.run(ask_often + "Host: x\\r\\n\\r\\n' >&3; head -1 <&3; done")
    assert [(asked.host, asked.allowed) for asked in heard] == [("evil.org", False)]


async def test_who_is_refused_for_ever_cannot_reach_an_allowed_host_untold(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(egress, "NOTED", 3)
    heard: list[NetworkAsked] = []
    listener = socket.create_server(("127.0.0.1", 0))
    port = int(listener.getsockname()[1])
    async with server() as named, server() as last:
        lines = [AllowedHost(name, s.port, may_be_private=True) for name, s in (("*.a.example", named), ("b", last))]
        reached = [f"{n}.a.example:{named.port}" for n in range(9)] + [f"b:{last.port}"]
        async with egress.proxy(listener, lines, heard.append, Names(*[ELSEWHERE] * len(reached))):
            for host in [f"evil{n}.org" for n in range(9)] + reached:
                await ask(port, f"GET http://{host}/ HTTP/1.1\r\nHost: x\r\n\r\n")
        assert len(last.asked) == 1
    refused = ["evil0.org", "evil1.org", "evil2.org", "*"]
    assert [asked.host for asked in heard if not asked.allowed] == refused
    assert [asked.host for asked in heard if asked.allowed] == [
        *(f"{n}.a.example" for n in range(3)),
        "*.a.example",
        "b",
    ]
    assert [asked.host for asked in heard if "no more" in asked.reason] == ["*", "*.a.example"]


INDEX = """<a href="http://{files}/files/demo-1.0-py3-none-any.whl">demo</a>"""


def page(text: str) -> bytes:
    return f"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: {len(text)}\r\n\r\n{text}".encode()


async def test_registries_are_what_the_persons_clients_say(monkeypatch: pytest.MonkeyPatch) -> None:
    bad = '<a href="http://[bad"></a><a href="http://127.0.0.1:5432/x"></a>'
    async with server(answer=page(bad + INDEX.format(files="files.corp.example:81"))) as index:
        monkeypatch.setenv("PIP_INDEX_URL", f"http://{ELSEWHERE}:{index.port}/simple")
        monkeypatch.setenv("npm_config_registry", "https://npm.corp.example/registry")
        monkeypatch.setenv("npm_config_@corp:registry", "https://scoped.corp.example")
        hosts = {(host.name, host.port): host.may_be_private for host in await find_registries()}
        assert index.asked[0].startswith(b"GET /simple/pip/ HTTP/1.1")
    assert hosts[ELSEWHERE, index.port], "the index is the person's own, and may lie in their network"
    assert not hosts["files.corp.example", 81], "where it keeps its files only the page says"
    assert ("127.0.0.1", 5432) not in hosts
    monkeypatch.setenv("PATH", "/nowhere")
    assert await find_registries() == (), "the twin: no client, no registry"


async def test_files_may_lie_where_the_index_does_and_at_no_other_port(monkeypatch: pytest.MonkeyPatch) -> None:
    """As behind a gateway to which all names lead; the port beside it is the twin."""

    async def gateway(host: str, port: int) -> list[str]:
        if host == "gone.corp.example":
            raise OSError
        return ["203.0.113.80"]

    monkeypatch.setattr("harness.sandbox.registries.resolve", gateway)
    own = [AllowedHost(f"{name}.corp.example", may_be_private=True) for name in ("index", "gone")]
    here, there = AllowedHost("files.example"), AllowedHost("files.example", 5432)
    *_, found, beside = await _beside_own([*own, here, there])
    assert here.judge("203.0.113.80"), "no address of a host elsewhere"
    assert (found.judge("203.0.113.80"), bool(found.judge("203.0.113.81"))) == ("", True)
    assert beside.judge("203.0.113.80")


async def test_an_index_with_markup_that_nobody_can_parse_is_an_index(monkeypatch: pytest.MonkeyPatch) -> None:
    async with server(answer=page("<![x[ <a href='https://files.corp.example'>")) as index:
        monkeypatch.setenv("PIP_INDEX_URL", f"http://{ELSEWHERE}:{index.port}/simple")
        assert (ELSEWHERE, index.port) in {(host.name, host.port) for host in await find_registries()}
        assert index.asked


@pytest.mark.needs("npm")
async def test_the_registries_of_npm_are_found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "npmrc").write_text(
        "registry=https://npm.corp.example/r/\n@corp:registry=https://scoped.corp.example\n"
    )
    monkeypatch.setenv("npm_config_userconfig", str(tmp_path / "npmrc"))
    names = {host.name for host in await find_registries()}
    assert names >= {"npm.corp.example", "scoped.corp.example"}


async def test_prepare_reaches_the_registries_and_nothing_else(policy: Policy, monkeypatch: pytest.MonkeyPatch) -> None:
    async with server() as registry, server() as other:
        monkeypatch.setenv("PIP_INDEX_URL", f"http://{ELSEWHERE}:{registry.port}/simple")
        async with room_with(replace(policy, mode="project"), prepare="registries") as room:
            asked = len(registry.asked)
            url = f"http://{ELSEWHERE}:{registry.port}/simple"
            assert await get(room, url, network="registries") == "reached\n"
            assert len(registry.asked) == asked + 2, "the index is asked for its hosts, then by prepare"
            assert "403" in await get(room, f"http://{ELSEWHERE}:{other.port}/", network="registries")
            assert "reached" not in await get(room, url), "the twin: a command of the model"
            direct = await room.run(f"exec 3<>/dev/tcp/{ELSEWHERE}/{registry.port}", network="registries")
            assert direct.exit_code != 0
            with pytest.raises(ShellError, match="not allowed"):
                await room.run("true", network="host")
        async with room_with(replace(policy, mode="project")) as room:
            with pytest.raises(ShellError, match="not allowed"):
                await room.run("true", network="registries")
        assert other.asked == []


async def test_what_runs_beside_prepare_does_not_share_its_way_out(
    policy: Policy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that the model left running waits for the moment at which there is a network."""
    async with server() as registry:
        monkeypatch.setenv("PIP_INDEX_URL", f"http://{ELSEWHERE}:{registry.port}/simple")
        lurk = f"until [ -e go ]; do sleep 0.02; done; exec 3<>/dev/tcp/127.0.0.1/{egress.PORT} && echo BREACH"
        there = f"exec 3<>/dev/tcp/127.0.0.1/{egress.PORT} && echo prepared; touch go; "
        there += "until [ -e done ]; do sleep 0.02; done"
        async with room_with(replace(policy, mode="project"), prepare="registries") as room:
            lurking = await room.start(lurk)
            preparing = asyncio.create_task(room.run(there, network="registries"))
            assert await lurking.wait(20)
            (policy.worktree / "done").touch()
            assert "prepared" in (await preparing).output, "the twin: prepare itself has it"
            assert "BREACH" not in lurking.output()


async def test_a_look_changes_nothing(policy: Policy) -> None:
    """Mode plan; the twin is mode project."""
    change = "touch made; echo x >/data/kept && echo data; touch ~/home && echo home"
    for mode, made in (("plan", False), ("project", True)):
        async with room_with(replace(policy, mode=mode)) as room:  # type: ignore[arg-type]
            assert (await room.run(change)).output.splitlines()[-2:] == ["data", "home"]
        assert (policy.worktree / "made").exists() == made
