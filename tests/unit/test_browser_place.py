"""Where Chromium lies decides what the sandbox shows of the machine."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.browser.wire import place_of


@pytest.mark.parametrize("executable", ["/usr/bin/chromium", "/opt/google/chrome/google-chrome"])
def test_a_chromium_of_the_system_needs_nothing_more(executable: str) -> None:
    assert place_of(executable) == (executable, [])


def test_a_chromium_elsewhere_brings_its_directory(tmp_path: Path) -> None:
    (tmp_path / "chrome-linux").mkdir()
    program = tmp_path / "chrome-linux" / "chrome"
    program.write_text("")
    (tmp_path / "link").symlink_to(program)
    assert place_of(str(tmp_path / "link")) == (str(program), [program.parent])


def test_of_a_home_only_the_program_is_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    program = tmp_path / "chrome"
    program.write_text("")
    assert place_of(str(program)) == (str(program), [program])
    above = tmp_path.parent / f"{tmp_path.name}-chrome"
    above.write_text("")
    assert place_of(str(above)) == (str(above), [above])
