# ruff: noqa: E501 (a page is a line)
"""Pages that show nothing where there seems to be something, and honest ones that look alike."""

from __future__ import annotations

import json
from typing import Any

from harness.browser.page import TabPage

_LOT = (
    'background-image:url("data:image/svg+xml,%3Csvg xmlns=%27http://www.w3.org/2000/svg%27 width=%279%27 '
    'height=%279%27%3E%3Crect width=%279%27 height=%279%27 fill=%27COLOUR%27/%3E%3C/svg%3E")'
)
_WHITE, _BLACK = _LOT.replace("COLOUR", "white"), _LOT.replace("COLOUR", "black")
_ICON = _LOT.replace("COLOUR", "red") + ";background-repeat:no-repeat;padding-left:20px"

HIDDEN = [
    "<p id=x style='color:#fff'>Milk</p>",
    "<p id=x style='color:#f4f4f4'>Milk</p>",
    "<p id=x style='color:oklch(1 0 0)'>Milk</p>",
    "<p id=x style='color:color(srgb 1 1 1)'>Milk</p>",
    "<p id=x style='color:rgba(0,0,0,.02)'>Milk</p>",
    "<p id=x style='color:#fff;text-shadow:0 0 2px #fff'>Milk</p>",
    "<p id=x style='-webkit-text-fill-color:white'>Milk</p>",
    "<div style='background:rgba(0,0,0,.5)'><p id=x style='color:rgb(128,128,128)'>Milk</p></div>",
    "<p id=x style='color:#123;background:linear-gradient(#123,#124)'>Milk</p>",
    f"<p id=x style='color:#fff;{_WHITE}'>Milk</p>",
    f"<p id=x style='color:#fff;{_ICON}'>Milk</p>",
    "<li id=x style='color:#fff'>Milk <button>Delete</button></li>",
    "<label id=x style='color:#fff'><input type=checkbox> Milk</label>",
    "<button id=x style='color:#fff;background:#fff'>Save</button>",
    "<div style='position:relative;height:40px;background:#000'></div>"
    "<p id=x style='margin-top:-30px;position:relative'>Milk</p>",
    "<p id=x style='opacity:.03'>Milk</p>",
    "<div style='opacity:.2'><div style='opacity:.2'><p id=x>Milk</p></div></div>",
    "<div style='filter:opacity(0)'><p id=x>Milk</p></div>",
    "<p id=x style='filter:brightness(0) invert(1)'>Milk</p>",
    "<div style='background:#888;filter:contrast(0)'><p id=x>Milk</p></div>",
    "<div style='background:#fff'><p id=x style='mix-blend-mode:screen'>Milk</p></div>",
    "<p id=x style='mask-image:linear-gradient(transparent,transparent)'>Milk</p>",
    "<p id=x style='font-size:0'>Milk</p>",
    "<p id=x style='font-size:1px'>Milk</p>",
    "<p id=x style='transform:scale(0)'>Milk</p>",
    "<p id=x style='transform:scale(.05)'>Milk</p>",
    "<p id=x style='zoom:.05'>Milk</p>",
    "<p id=x style='transform:rotateX(180deg);backface-visibility:hidden'>Milk</p>",
    "<p id=x style='transform:rotateY(90deg)'>Milk</p>",
    "<p id=x style='text-indent:-9999px'>Milk</p>",
    "<p id=x style='text-indent:9999px;overflow:hidden;white-space:nowrap'>Milk</p>",
    "<p id=x style='-webkit-text-security:disc'>Milk</p>",
    "<div style='height:0;overflow:hidden'><p id=x>Milk</p></div>",
    "<div style='overflow:hidden;height:20px'><p id=x style='margin-top:40px'>Milk</p></div>",
    "<div style='overflow:hidden;height:20px;position:relative'><p id=x style='position:absolute;top:40px'>Milk</p></div>",
    "<p id=x style='clip-path:inset(100%)'>Milk</p>",
    "<p id=x style='clip-path:circle(0)'>Milk</p>",
    "<p id=x style='clip-path:polygon(0 0,0 0,0 0)'>Milk</p>",
    "<div style='clip-path:inset(50%)'><p id=x>Milk</p></div>",
    "<p id=x style='position:absolute;clip:rect(0,0,0,0)'>Milk</p>",
    "<p id=x style='position:absolute;left:-5000px'>Milk</p>",
    "<p id=x style='position:absolute;top:-5000px'>Milk</p>",
    "<p id=x style='position:fixed;top:200vh'>Milk</p>",
    "<p id=x style='position:fixed;left:200vw'>Milk</p>",
    "<style>html,body{overflow:hidden;height:100%}</style><p id=x style='position:absolute;top:200vh'>Milk</p>",
    "<p id=x>Milk</p><div style='position:fixed;inset:0;background:#fff'></div>",
    "<p id=x>Milk</p><div style='position:fixed;inset:0;background:rgba(255,255,255,.75)'></div>"
    "<div style='position:fixed;inset:0;background:rgba(255,255,255,.75)'></div>",
    "<p id=x style='position:relative'>Milk<span style='position:absolute;inset:0;background:#fff'></span></p>",
    "<p id=x style='width:1000px'>Milk</p>"
    "<div style='position:absolute;left:0;top:0;width:80px;height:60px;background:#fff'></div>",
    "<style>.c{position:relative}.c::after{content:'';position:absolute;inset:0;background:#fff}</style>"
    "<div class=c><p id=x>Milk</p></div>",
    "<style>#x{position:relative}#x::before{content:'';position:absolute;inset:0;background:#fff}</style><p id=x>Milk</p>",
    f"<p id=x>Milk</p><div style='position:fixed;inset:0;{_WHITE}'></div>",
    "<p id=x>Milk</p><canvas style='position:fixed;left:0;top:0' width=600 height=300></canvas>"
    "<script>const c = document.querySelector('canvas').getContext('2d'); c.fillStyle = '#fff'; c.fillRect(0, 0, 600, 300)</script>",
    "<p id=x style='visibility:collapse'>Milk</p>",
    "<p id=x style='color:transparent;background:linear-gradient(#fff,#fff);background-clip:text'>Milk</p>",
    "<img id=x style='filter:opacity(0)' width=40 height=40>",
]

SEEN = [
    "<p id=x style='color:#ccc'>Milk</p>",
    "<p id=x style='color:#d9d9d9;text-decoration:line-through'>Milk</p>",
    "<h1 id=x style='color:transparent;background:linear-gradient(90deg,red,blue);background-clip:text'>Milk</h1>",
    "<h1 id=x style='-webkit-text-fill-color:transparent;background:#024;-webkit-background-clip:text'>Milk</h1>",
    "<p id=x style='color:#fff;text-shadow:0 0 4px #000'>Milk</p>",
    "<p id=x style='color:transparent;text-shadow:0 0 0 #000'>Milk</p>",
    "<p id=x style='color:#fff;-webkit-text-stroke:1px #000'>Milk</p>",
    "<p id=x style='color:#fff;background:linear-gradient(#026,#148)'>Milk</p>",
    f"<p id=x style='color:#fff;{_BLACK}'>Milk</p>",
    f"<li id=x style='{_ICON}'>Milk</li>",
    f"<div style='position:relative;height:80px'><div style='position:absolute;inset:0;{_BLACK}'></div>"
    "<h1 id=x style='position:absolute;color:#fff'>Milk</h1></div>",
    "<div style='position:relative'><div style='background:#000;height:60px'></div>"
    "<p id=x style='position:absolute;top:0;color:#fff'>Milk</p></div>",
    "<style>.i::before{content:'\\2605'}</style><i id=x class=i></i>",
    "<button id=x aria-label=Close><svg width=12 height=12><path d='M0 0L12 12' stroke=#000 /></svg></button>",
    "<button id=x><svg width=12 height=12><rect width=12 height=12 /></svg><span style='position:absolute;width:1px;"
    "height:1px;overflow:hidden;clip:rect(0,0,0,0)'>Delete</span></button>",
    "<label><input id=x type=checkbox style='position:absolute;opacity:0;width:1px;height:1px'><span>Milk</span></label>",
    "<style>input{appearance:none;width:16px;height:16px;border:1px solid #000}</style><input id=x type=checkbox>",
    "<div style='height:30px;overflow:auto'><p id=x style='margin:0 0 0'>Milk</p><p>Rest</p></div>",
    "<div style='height:30px;overflow:auto'><div style='height:300px'></div><p id=x>Milk</p></div>",
    "<div style='overflow:hidden;height:60px'><div style='overflow:auto;height:60px'><div style='height:300px'></div>"
    "<p id=x>Milk</p></div></div>",
    "<header style='position:sticky;top:0;background:#fff'>Head</header><p id=x>Milk</p><div style='height:3000px'></div>",
    "<div style='height:3000px'></div><p id=x>Milk</p>",
    "<p id=x>Milk</p><div style='position:fixed;inset:0'></div>",
    "<p id=x>Milk</p><div style='position:fixed;inset:0;background:rgba(0,0,0,.4)'></div>",
    "<p id=x>Milk</p><svg style='position:fixed;inset:0;width:100%;height:100%'><path d='M0 200L500 200' stroke=red /></svg>",
    "<div style='position:relative'><label id=x style='position:absolute;top:4px;left:4px'>Milk</label>"
    "<input style='position:relative;background:transparent'></div>",
    "<div style='transform-style:preserve-3d'><p id=x style='backface-visibility:hidden'>Milk</p></div>",
    "<p id=x style='filter:drop-shadow(0 0 2px #999)'>Milk</p>",
    "<p id=x style='filter:brightness(.8)'>Milk</p>",
    "<p id=x style='filter:contrast(0)'>Milk</p>",
    "<div style='mask-image:linear-gradient(#000 80%,transparent)'><p id=x>Milk</p></div>",
    "<img id=x style='clip-path:circle(50%)' width=40 height=40 src=\"data:image/svg+xml,%3Csvg "
    "xmlns='http://www.w3.org/2000/svg'%3E%3Crect width='99' height='99' fill='red'/%3E%3C/svg%3E\">",
    "<style>body::before{content:'';position:fixed;inset:0;background:#eef;z-index:-1}</style><p id=x>Milk</p>",
    "<style>.b{position:relative}.b::after{content:'';position:absolute;inset:0;background:rgba(0,0,0,.05)}</style>"
    "<button id=x class=b>Save</button>",
    "<div id=x style='height:0'>Milk</div>",
    "<table><tr id=x><td>Milk</td></tr></table>",
    "<p id=x style='width:60px;overflow:hidden;text-overflow:ellipsis;white-space:nowrap'>Milk and a lot more</p>",
    "<p id=x style='color:#fff;background:#06c;transition:all .3s'>Milk</p>",
    "<div style='display:contents'><p id=x>Milk</p></div>",
    "<input id=x style='color:#fff' value=v>",
    "<progress id=x value=.5></progress>",
]

_SHOW = (
    "(() => { const fresh = document.createElement('body');"
    "document.body.replaceWith(fresh); fresh.append(document.createRange().createContextualFragment(%s)) })()"
)


async def look(page: TabPage, body: str) -> dict[str, Any]:
    """What is told of the element `#x` of a page."""
    await page.target.send("Runtime.evaluate", {"expression": _SHOW % json.dumps(body)})
    (seen,) = await page.frames.observe([{"css": "#x"}], [], [], [None])
    element: dict[str, Any] = seen["elements"][0]
    return element
