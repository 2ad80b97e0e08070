"""The person's display, for a browser with a window: found, checked, and shown to the browser alone.

Only X displays of this machine that have a socket file: the sandbox has no network to reach another one by, and
nothing but the browser's own process is given the socket.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from harness.errors import SetupError

SOCKETS = Path("/tmp/.X11-unix")
_LOCAL = re.compile(r"(?:unix)?:(\d+)(?:\.\d+)?")
_REMEDY = "Run it in a session with a window system, or under `xvfb-run`, or leave out --headed."


@dataclass(frozen=True)
class Display:
    """Where windows open."""

    name: str
    """As `DISPLAY` says it."""
    socket: Path
    authority: Path | None
    """The file that lets us in; None where none is needed."""

    @property
    def env(self) -> dict[str, str]:
        """What the browser needs to know."""
        authority = {"XAUTHORITY": str(self.authority)} if self.authority else {}
        return {"DISPLAY": self.name, **authority}

    @property
    def files(self) -> list[Path]:
        """What of the machine the browser must see for it."""
        return [self.socket, *([self.authority] if self.authority else [])]


def find_display(env: Mapping[str, str] = os.environ, sockets: Path = SOCKETS) -> Display:
    """The display of this session.

    Raises: SetupError: there is none that can be used.
    """
    name = env.get("DISPLAY", "")
    if not name:
        raise SetupError("There is no display to open a window on (DISPLAY is not set).", _REMEDY)
    local = _LOCAL.fullmatch(name)
    if not local:
        raise SetupError(f"The display {name!r} is not one of this machine.", _REMEDY)
    socket = sockets / f"X{local[1]}"
    if not socket.exists():
        raise SetupError(f"The display {name!r} does not answer: there is no {socket}.", _REMEDY)
    authority = Path(env.get("XAUTHORITY") or Path.home() / ".Xauthority")
    return Display(name, socket, authority if authority.is_file() else None)
