"""Which hosts fit a line, and which addresses a name may stand for."""

from __future__ import annotations

import pytest

from harness.errors import SetupError
from harness.sandbox.egress import environment
from harness.sandbox.hosts import AllowedHost, find, hosts_of, parse_hosts


@pytest.mark.parametrize(
    ("line", "host", "port", "fits"),
    [
        ("api.example.com", "api.example.com", 443, True),
        ("api.example.com", "API.Example.COM.", 443, True),
        ("api.example.com", "api.example.com", 80, False),
        ("api.example.com", "api.example.com.evil.org", 443, False),
        ("api.example.com", "evil-api.example.com", 443, False),
        ("api.example.com:8443", "api.example.com", 8443, True),
        ("*.example.org", "a.b.example.org", 443, True),
        ("*.example.org", "example.org", 443, False),
        ("*.example.org", ".example.org", 443, False),
        ("*.example.org", "badexample.org", 443, False),
        ("b\u00fccher.example:80", "xn--bcher-kva.example", 80, True),
        ("10.0.0.5:5432", "10.0.0.5", 5432, True),
        ("[::1]:80", "[0:0:0:0:0:0:0:1]", 80, True),
        ("127.0.0.1:80", "2130706433", 80, False),
        ("127.0.0.1:80", "127.1", 80, False),
    ],
)
def test_a_host_fits_by_its_whole_name_and_port(line: str, host: str, port: int, fits: bool) -> None:
    assert bool(find(parse_hosts([line]), host, port)) == fits


@pytest.mark.parametrize("line", ["*", "*.", "a.*.com", "**.com", "host:0", "host:70000", ":443", ""])
def test_a_line_that_is_no_host_is_refused(line: str) -> None:
    with pytest.raises(SetupError, match="no host that can be allowed"):
        parse_hosts([line])


PRIVATE = ["127.0.0.1", "10.1.2.3", "192.168.0.1", "172.16.0.1", "100.64.0.1", "::1", "fd00::1", "::ffff:127.0.0.1"]
PRIVATE += ["64:ff9b::7f00:1", "2002:7f00:1::", "192.0.2.1", "240.0.0.1"]
PRIVATE += ["64:ff9b:1::7f00:1", "64:ff9b:1::5db8:d822", "fec0::1", "::7f00:1", "::5db8:d822", "::ffff:0:7f00:1"]
PRIVATE += ["192.0.0.8", "5f00::1"]
NOWHERE = ["169.254.169.254", "fe80::1", "fe80::1%eth0", "0.0.0.0", "::", "224.0.0.1", "::ffff:169.254.169.254"]
NOWHERE += ["64:ff9b:1::a9fe:a9fe", "::a9fe:a9fe", "::ffff:0:a9fe:a9fe"]
PUBLIC = ["93.184.216.34", "2606:2800:220:1::1", "64:ff9b::5db8:d822", "::ffff:93.184.216.34"]


@pytest.mark.parametrize("address", [*PRIVATE, *NOWHERE, *PUBLIC])
def test_a_name_never_stands_for_this_machine_or_its_network(address: str) -> None:
    assert bool(AllowedHost("api.example.com").judge(address)) == (address not in PUBLIC)
    own = AllowedHost("registry.corp.example", may_be_private=True)
    assert bool(own.judge(address)) == (address in NOWHERE), "the twin: a registry of the person's own network may"


def test_an_address_that_a_person_wrote_down_is_meant() -> None:
    (line,) = parse_hosts(["10.0.0.5:5432"])
    assert line.judge("10.0.0.5") == ""
    assert line.judge("10.0.0.6") != ""


def test_registries_are_hosts_with_the_port_of_their_scheme() -> None:
    urls = [
        "https://Pypi.example/simple",
        "http://devpi.corp:3141/root",
        "file:///opt/wheels",
        "/opt/wheels",
        "git+ssh:x",
    ]
    assert [(h.name, h.port, h.may_be_private) for h in hosts_of([*urls, *urls])] == [
        ("pypi.example", 443, True),
        ("devpi.corp", 3141, True),
    ]


def test_what_a_page_of_an_index_names_is_a_host_elsewhere() -> None:
    index = "https://pypi.corp/simple"
    links = ["https://pypi.corp/files/a.whl", "https://files.example/b.whl", "https://pypi.corp:5432/", "//x"]
    found = {(host.name, host.port): host for host in hosts_of([index], links)}
    assert {place: host.may_be_private for place, host in found.items()} == {
        ("pypi.corp", 443): True,
        ("files.example", 443): False,
        ("pypi.corp", 5432): False,
    }
    assert found["files.example", 443].judge("10.0.0.1") != ""
    assert hosts_of([index, "https://files.example"], links)[1].judge("10.0.0.1") == "", "the twin: it is set up so"


@pytest.mark.parametrize(
    "link", ["http://127.0.0.1:5432/x", "https://[fd00::1]/x", "http://8.8.8.8/", "https://*.com/"]
)
def test_a_link_to_an_address_or_to_many_names_is_no_host(link: str) -> None:
    assert hosts_of([], [link]) == ()
    assert hosts_of([], ["https://files.example/x"]) != (), "the twin: one name"


@pytest.mark.parametrize("broken", ["http://[bad", "http://a.example:99999/", "http://a.example:b/"])
def test_what_is_no_url_is_left_out_and_the_others_count(broken: str) -> None:
    assert [host.name for host in hosts_of([broken, "https://b.example"], [broken, "https://c.example"])] == [
        "b.example",
        "c.example",
    ]


def test_programs_ask_their_own_loopback_directly_unless_a_registry_lies_there() -> None:
    assert environment(parse_hosts(["a.example"]))["NO_PROXY"] == "localhost,127.0.0.1,::1"
    assert environment(hosts_of(["http://localhost:3141/"]))["NO_PROXY"] == "127.0.0.1,::1"
