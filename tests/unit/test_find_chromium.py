"""Which browser is taken: the one that is named, or the first on PATH that can start inside the sandbox."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.browser import browser
from harness.browser.browser import find_chromium
from harness.errors import SetupError

ASKS_FOR_THE_SNAP = (
    '#!/bin/sh\nif ! [ -x /snap/bin/chromium ]; then echo "requires the chromium snap" >&2; exit 1; fi\n'
)


@pytest.fixture
def path_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PATH", str(tmp_path))
    return tmp_path


def program(path: Path, text: str = "#!/bin/sh\n") -> str:
    path.write_text(text, encoding="utf-8")
    path.chmod(0o755)
    return str(path)


def test_a_snap_is_passed_over(path_dir: Path) -> None:
    program(path_dir / "chromium-browser", ASKS_FOR_THE_SNAP)
    (path_dir / "chromium").symlink_to(program(path_dir / "snap"))
    chrome = program(path_dir / "google-chrome")
    assert find_chromium() == chrome


def test_without_telling_a_snap_it_would_be_taken(path_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(browser, "_is_snap", lambda _: False)
    asks = program(path_dir / "chromium-browser", ASKS_FOR_THE_SNAP)
    program(path_dir / "google-chrome")
    assert find_chromium() == asks


def test_where_only_a_snap_is_there_it_is_told_what_to_install(path_dir: Path) -> None:
    program(path_dir / "chromium-browser", ASKS_FOR_THE_SNAP)
    with pytest.raises(SetupError, match="is a snap") as refused:
        find_chromium()
    assert "Google Chrome" in refused.value.remedy


def test_none_is_told(path_dir: Path) -> None:
    with pytest.raises(SetupError, match="No Chromium was found"):
        find_chromium()
