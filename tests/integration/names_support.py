"""Snippets of pages, and how our roles and names for them compare with those of Chromium's accessibility tree.

Both are read over the same connection: the tree by the protocol, ours from the injected script in its isolated world.
"""

from __future__ import annotations

import html
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from harness.browser.browser import find_chromium
from harness.browser.chromium import Chromium
from harness.browser.page import TabPage

SNIPPETS = [
    "<a href=x>go</a>",
    "<a>no link</a>",
    "<button>Save</button>",
    "<button aria-label='Close'>x</button>",
    "<button><svg><title>Gear</title><g></g></svg></button>",
    "<button><img alt=Bin src=x> Delete</button>",
    "<label>Name <input></label>",
    "<label for=q>Age</label><input id=q type=number>",
    "<input placeholder=Search>",
    "<input type=search aria-label=Find>",
    "<input title=Tip>",
    "<b id=l>Long</b> <b id=m>name</b><input aria-labelledby='l m'>",
    "<input type=submit>",
    "<input type=submit value=Send>",
    "<input type=button value=B>",
    "<input type=reset>",
    "<input type=image alt=Go>",
    "<input type=checkbox id=c><label for=c>Milk</label>",
    "<label><input type=radio> One</label>",
    "<input type=range aria-label=Volume>",
    "<input list=d aria-label=Pick><datalist id=d></datalist>",
    "<label>Colour <select><option>Red<option>Green</select></label>",
    "<select multiple aria-label=Many><option>a</select>",
    "<label>Note<textarea>typed</textarea></label>",
    "<h2>Title <small>sub</small></h2>",
    "<ul><li>one</li></ul>",
    "<nav aria-label=Main>x</nav>",
    "<main><header>h</header><footer>f</footer></main>",
    "<header>h</header>",
    "<footer>f</footer>",
    "<section>plain</section>",
    "<section aria-label=Part>x</section>",
    "<form aria-label=Login>x</form>",
    "<aside>x</aside>",
    "<table><caption>Prices</caption><thead><tr><th>H</th></tr></thead><tbody><tr><td>d</td></tr></tbody></table>",
    "<table><tr><th>r</th><td>d</td></tr></table>",
    "<table role=grid><tr><td>x</td></tr></table>",
    "<img alt=Cat src=x>",
    "<fieldset><legend>Group</legend></fieldset>",
    "<dialog open aria-label=Sure>x</dialog>",
    "<div role=dialog aria-labelledby=t><h2 id=t>T</h2></div>",
    "<div role=tablist><div role=tab>First</div></div>",
    "<div role=button>b</div>",
    "<div role=img aria-label=Pic></div>",
    "<span title=tip>t</span>",
    "<p>para <em>em</em> <strong>s</strong></p>",
    "<ul role=none><li>x</li></ul>",
    "<style>.i::before{content:'* '}</style><button class=i>Star</button>",
    "<button><span hidden>no</span>yes</button>",
    "<button><span aria-hidden=true>x</span> Close</button>",
    "<a href=x><b>a</b><b>b</b></a>",
    "<button><div>a</div><div>b</div></button>",
    "<details open><summary>More</summary>d</details>",
    "<hr><progress></progress><output>o</output>",
    "<time>t</time><mark>m</mark><del>d</del>",
    "<select aria-label=s><optgroup label=G><option>a</option></optgroup></select>",
    "<input type=checkbox role=switch aria-label=Dark>",
    "<label>Upload <input type=file></label>",
    "<div role=alert>bad</div>",
    "<div aria-label=x>y</div>",
    "<button>a<br>b</button>",
    # labels
    "<label>Age <input type=number value=3> years</label>",
    "<label for=z>First</label><label for=z>second</label><input id=z>",
    "<label>Pick <select><option>Red<option selected>Green</select> now</label><input>",
    "<label><input type=checkbox> Call me on <input type=tel value=123></label>",
    "<label for=w><img alt=Mail src=x></label><input id=w>",
    "<input aria-label='  '  title=Tip placeholder=Ph>",
    "<input placeholder=Ph title=Tip>",
    "<textarea placeholder='Your note'></textarea>",
    "<label for=v hidden>Secret</label><input id=v>",
    "<label>Size <meter value=0.5>half</meter></label>",
    # aria-labelledby chains and hidden parts
    "<span id=a1 aria-label=One>x</span><button aria-labelledby=a1>y</button>",
    "<button id=self aria-label=Delete aria-labelledby='self what'>x</button><b id=what>Milk</b>",
    "<div id=h hidden>Hidden words</div><input aria-labelledby=h>",
    "<div hidden><span id=h2>Deep <i hidden>no</i> words</span></div><button aria-labelledby=h2>x</button>",
    "<span id=c1 aria-labelledby=c2>one</span><span id=c2>two</span><button aria-labelledby=c1>b</button>",
    "<button aria-labelledby=missing>Save</button>",
    "<button aria-labelledby=missing aria-label=Close>x</button>",
    "<p id=d>Describes</p><button aria-describedby=d>Go</button>",
    "<button><span style='visibility:hidden'>no</span>yes</button>",
    "<button><span style='display:none'>no</span>yes</button>",
    "<a href=x><span class=sr style='position:absolute;width:1px;height:1px;overflow:hidden'>Read more</span></a>",
    "<div aria-hidden=true><button>Gone</button></div>",
    "<button>Save <span role=none>it</span></button>",
    "<h1><span aria-label=Star>*</span> Title</h1>",
    # images
    "<img src=x>",
    "<img alt='' src=x>",
    "<img alt='' title=Tip src=x>",
    "<img title=Tip src=x>",
    "<a href=x><img alt=Home src=x></a>",
    "<a href=x title=Profile><img alt='' src=x></a>",
    "<figure><img alt=Cat src=x><figcaption>A cat</figcaption></figure>",
    "<figure aria-label=Chart>x</figure>",
    "<img src=x usemap=#m alt=Map><map name=m><area href=y alt=Zone></map>",
    "<button aria-label=Menu><i class=icon></i></button>",
    # svg
    "<svg role=img aria-label=Logo><path d=''/></svg>",
    "<svg><title>Chart</title><path d=''/></svg>",
    "<svg role=img aria-labelledby=st><title id=st>Pie</title><path d=''/></svg>",
    "<svg aria-hidden=true><path d=''/></svg>",
    "<svg><text>Words</text></svg>",
    "<button><svg aria-hidden=true><path d=''/></svg><span>Add</span></button>",
    "<button title=Add><svg><path d=''/></svg></button>",
    "<a href=x><svg aria-label=Back><path d=''/></svg></a>",
    # tables
    "<table><tr><th scope=row>r</th><td>d</td></tr></table>",
    "<table><thead><tr><th>A</th><th scope=col>B</th></tr></thead><tr><td>1</td><td><hr></td></tr></table>",
    "<table aria-label=Prices><tr><td>1</td></tr></table>",
    "<table summary=Sum><tr><td>1</td></tr></table>",
    "<table role=presentation><tr><td>1</td></tr></table>",
    "<table title=Tip><tr><th>h</th></tr></table>",
    "<div role=grid><div role=row><div role=gridcell>c</div></div></div>",
    "<div role=table><div role=row><div role=columnheader>h</div></div></div>",
    # custom elements and shadow trees
    "<my-button role=button>Go</my-button>",
    "<my-thing>words</my-thing>",
    "<div id=s1></div><script>s1.attachShadow({mode:'open'}).innerHTML='<button>Inner</button>'</script>",
    "<my-card><span>Slotted</span></my-card><script>document.querySelector('my-card').attachShadow({mode:'open'})"
    ".innerHTML='<button><slot></slot> now</button>'</script>",
    "<div id=s2></div><script>s2.attachShadow({mode:'open'}).innerHTML="
    "'<label for=i>Name</label><input id=i><b id=l>By id</b><input aria-labelledby=l>'</script>",
    "<button><my-icon></my-icon>Save</button><script>document.querySelector('my-icon').attachShadow({mode:'open'})"
    ".innerHTML='<span>disk</span>'</script>",
    # groups, details, dialogs, menus, tabs
    "<fieldset><legend>Size</legend><label><input type=radio name=s> S</label></fieldset>",
    "<fieldset aria-label=Own><legend>Size</legend></fieldset>",
    "<fieldset title=Tip></fieldset>",
    "<details><summary>More</summary>d</details>",
    "<details open><summary><h3>Head</h3></summary><p>d</p></details>",
    "<dialog open><h2>Sure?</h2><button>Yes</button></dialog>",
    "<dialog open aria-labelledby=dt><h2 id=dt>Delete <b>all</b></h2></dialog>",
    "<div role=alertdialog aria-label=Stop>x</div>",
    "<ul role=menu><li role=menuitem>Cut</li><li role=menuitemcheckbox aria-checked=true>Wrap</li></ul>",
    "<ul role=listbox aria-label=L><li role=option aria-selected=true>One</li></ul>",
    "<div role=tablist><button role=tab aria-selected=true>A</button></div><div role=tabpanel aria-label=A>p</div>",
    "<div role=radiogroup aria-label=R><span role=radio aria-checked=false>r</span></div>",
    "<div role=tree><div role=treeitem>t</div></div>",
    "<div role=progressbar aria-label=Load aria-valuenow=3></div>",
    "<div role=slider aria-label=Vol aria-valuenow=3 tabindex=0></div>",
    "<div role=tooltip>Tip</div>",
    "<div role=status>Saved</div>",
    "<div role=navigation aria-labelledby=nh><h2 id=nh>Site</h2></div>",
    "<div role=group aria-label=G>g</div>",
    "<div contenteditable aria-label=Text>typed</div>",
    "<div contenteditable>typed</div>",
    "<div role=textbox aria-label=Own>typed</div>",
    "<div role=combobox aria-label=Who>Ann</div>",
    "<button role=switch aria-checked=true>Dark</button>",
    "<div role=foo>unknown</div>",
    "<div role='foo button'>fallback</div>",
    "<div role=heading aria-level=3>Own</div>",
    "<button role=none>Focusable</button>",
    "<img role=presentation alt=Cat src=x>",
    # text in names
    "<button>  two \n words </button>",
    "<button>a<span>b</span> <span>c</span></button>",
    "<button><p>a</p>b</button>",
    "<button><span style='display:inline-block'>a</span><span style='display:inline-block'>b</span></button>",
    "<button><span style='display:flex'>a</span>b</button>",
    "<button style='text-transform:uppercase'>save</button>",
    "<style>.j::after{content:' (new)'}</style><a href=x class=j>News</a>",
    "<style>.k::before{content:'\\f00d';font-family:x}</style><button class=k aria-label=Close></button>",
    "<style>.m::before{content:'x' / 'Close'}</style><button class=m></button>",
    "<button>Find <input value=in></button>",
    "<a href=x>Go<sup>1</sup></a>",
    "<abbr title=World>W</abbr><q>q</q><kbd>k</kbd><var>v</var><dfn>d</dfn><cite>c</cite><small>s</small>",
    "<dl><dt>t</dt><dd>d</dd></dl><ol><li>1</li></ol><menu><li>m</li></menu>",
    "<iframe title=Map srcdoc=x></iframe><video title=V></video><audio controls></audio><canvas>c</canvas>",
    "<input type=date aria-label=D><input type=time aria-label=T><input type=color aria-label=C>",
    "<input type=email aria-label=E><input type=password aria-label=P><input type=tel><input type=url>",
    "<select size=3 aria-label=S><option>a</select>",
    "<h2 aria-label=Own>Text</h2><p aria-label=No>para</p>",
    "<address>a</address><search>s</search><hgroup><h1>h</h1></hgroup><section title=Sec>s</section>",
    "<article><header>h</header></article><aside aria-label=Ads>a</aside><form>f</form>",
]

_SHOW = "document.body.replaceChildren(document.createRange().createContextualFragment(%s))"
_OURS = """(() => {
  const all = [];
  const walk = (root) => { for (const el of root.querySelectorAll("*")) {
    if (!["script", "style", "br"].includes(el.localName)) all.push(el);
    if (el.shadowRoot) walk(el.shadowRoot);
  } };
  walk(document.body);
  all.forEach((el, n) => el.setAttribute("data-n", n));
  return all.map((el) => [harness.roleOf(el), harness.nameOf(el), el.cloneNode(false).outerHTML]);
})()"""


@dataclass(frozen=True)
class Compared:
    """One element of a snippet, as both see it."""

    snippet: str
    tag: str
    role: str
    name: str
    our_role: str
    our_name: str

    @property
    def agrees(self) -> bool:
        """Same role and name; where ARIA has no role both use Chromium's own word."""
        return (self.role, self.name) == (self.our_role, self.our_name)

    def __str__(self) -> str:
        return f"{self.tag}: {self.role} {self.name!r}, ours {self.our_role} {self.our_name!r}"


@asynccontextmanager
async def open_tab() -> AsyncIterator[TabPage]:
    """A tab driven from this process, so that the protocol can be spoken to directly."""
    chromium = await Chromium.start(find_chromium())
    try:
        page = TabPage(chromium)
        await page.open()
        await page._go("data:text/html,<!doctype html><body>", 5.0)
        await page.world.settled_call("page")
        yield page
    finally:
        await chromium.stop()


async def compare(page: TabPage, snippet: str) -> list[Compared]:
    """Every element of a snippet that Chromium's accessibility tree holds."""
    send = page.target.send
    await send("Runtime.evaluate", {"expression": _SHOW % json.dumps(snippet)})
    context = {"expression": _OURS, "contextId": page.world.context, "returnByValue": True}
    ours = (await send("Runtime.evaluate", context))["result"]["value"]
    tree = (await send("Accessibility.getFullAXTree"))["nodes"]
    known = {node["backendDOMNodeId"]: node for node in tree if "backendDOMNodeId" in node and not node["ignored"]}
    document = await send("DOM.getDocument", {"depth": -1, "pierce": True})
    compared = []
    for number, backend in _numbered(document["root"]):
        if node := known.get(backend):
            role, name, tag = ours[number]
            said = [" ".join(str(node.get(key, {}).get("value", "")).split()) for key in ("role", "name")]
            compared.append(Compared(snippet, html.unescape(tag), said[0], said[1], role, name))
    return compared


def _numbered(node: dict[str, Any]) -> list[tuple[int, int]]:
    attributes = node.get("attributes", [])
    pairs = dict(zip(attributes[::2], attributes[1::2], strict=True))
    found = [(int(pairs["data-n"]), node["backendNodeId"])] if "data-n" in pairs else []
    for child in (*node.get("children", ()), *node.get("shadowRoots", ())):
        found += _numbered(child)
    return found
