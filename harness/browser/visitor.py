"""Who looks at a page, as far as the page can tell.

The usual visitor is an ordinary Chromium on a desktop: nothing says that a program drives it. The other one differs
in what an application must not depend on, and is no different in what it may: the language, the day, a window that
is no smaller.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Visitor:
    """A browser, a window and a place. Sent to the worker as it stands."""

    system: str = "X11; Linux x86_64"
    """As in the user agent."""
    platform: str = "Linux"
    width: int = 1280
    height: int = 800
    time_zone: str = "UTC"
    reduced_motion: bool = True
    """Whether the system is set to show no motion, as few are; what moves nevertheless moves quickly either way."""


USUAL = Visitor()
OTHER = Visitor("Windows NT 10.0; Win64; x64", "Windows", 1306, 822, "Atlantic/Reykjavik", reduced_motion=False)
"""Reykjavik keeps UTC all year: another name for the same hours, so that no date moves."""


def agent_of(visitor: Visitor, product: str) -> dict[str, Any]:
    """Parameters of `Emulation.setUserAgentOverride` for a browser such as `HeadlessChrome/156.0.8078.79`."""
    full = product.partition("/")[2]
    major = full.partition(".")[0]
    brands = [{"brand": name, "version": major} for name in ("Chromium", "Google Chrome")]
    return {
        "userAgent": f"Mozilla/5.0 ({visitor.system}) AppleWebKit/537.36 (KHTML, like Gecko) "
        f"Chrome/{major}.0.0.0 Safari/537.36",
        "acceptLanguage": "en-US,en",
        "platform": "Win32" if visitor.platform == "Windows" else "Linux x86_64",
        "userAgentMetadata": {
            "brands": brands,
            "fullVersionList": [{**brand, "version": full} for brand in brands],
            "platform": visitor.platform,
            "platformVersion": "",
            "architecture": "x86",
            "model": "",
            "mobile": False,
        },
    }
