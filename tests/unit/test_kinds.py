"""The kind of a project is proposed from its text, and written where a person finds it."""

from __future__ import annotations

import tomllib

import pytest

from harness.kinds import proposed_kind, with_kind
from harness.survey import _is_page


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("A JSON API: POST /notes adds a note, GET /notes lists them.", "service"),
        ("An HTTP service without a web page, with endpoints for notes.", "service"),
        ("A command-line tool that counts names; it prints to standard output.", "program"),
        ("A Python library that makes slugs.", "program"),
        ("A CLI that calls an API, reads stdin and ends with an exit code.", "program"),
        ("A command-line program. `tally list --csv` prints the heading `name,count` and a tab.", "program"),
        ("A command-line tool that fetches web pages and prints their titles.", "program"),
        ("A web application with a command-line tool beside it.", "web"),
        ("A page with a button that calls POST /notes.", "web"),
        ("An app for notes.", "web"),
        ("A web application with a REST API.", "web"),
    ],
)
def test_a_text_that_speaks_of_a_page_is_of_one_and_else_by_its_words(text: str, kind: str) -> None:
    assert proposed_kind(text) == kind


@pytest.mark.parametrize(
    "before", ["", "[gate]\ncommands = ['x']\n", "[app]  # mine\nserve = 'x'\n\n[gate]\n", "[app]\nkind = 'web'\n"]
)
def test_the_kind_is_written_into_what_is_there(before: str) -> None:
    after = tomllib.loads(with_kind(before, "service"))
    assert after.pop("app")["kind"] == "service"
    assert {k: v for k, v in tomllib.loads(before).items() if k != "app"} == after
    assert with_kind(with_kind(before, "service"), "service") == with_kind(before, "service")


def test_a_web_application_needs_no_file() -> None:
    assert with_kind("", "web") == ""


@pytest.mark.parametrize(
    ("name", "is_page"),
    [
        ("templates/list.html", True),
        ("src/App.TSX", True),
        ("index.php", True),
        ("docs/index.html", False),
        ("tests/fixtures/page.html", False),
        ("mail/welcome.j2", False),
        ("server.py", False),
    ],
)
def test_pages_of_the_application_are_told_from_those_of_documents_and_tests(name: str, is_page: bool) -> None:
    assert _is_page(name) == is_page
