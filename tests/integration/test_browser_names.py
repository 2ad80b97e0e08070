"""Our roles and accessible names agree with those Chromium computes itself."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from browser_support import PlainRoom, Site

from harness.browser.browser import Browser
from harness.browser.values import Element
from harness.settings import VerifySettings
from harness.verify.check import Locator

pytestmark = pytest.mark.needs("chromium")

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
]

ORACLE = """<script>addEventListener('load', () => {
  const all = [...document.body.querySelectorAll('*')].map((el) => [el, el.computedRole, el.computedName]);
  for (const [el, role, name] of all) { el.dataset.oracleRole = role; el.dataset.oracleName = name } })</script>"""
ASKED = ("data-oracle-role", "data-oracle-name")


def _differs(element: Element) -> str:
    role, name = (element.attributes[each] for each in ASKED)
    is_internal = element.role[:1].isupper() and role in ("", "generic")  # where ARIA has no role: Chromium's own word
    if (role == element.role or is_internal) and name == element.name:
        return ""
    return f"{element.html}: {role} {name!r}, ours {element.role} {element.name!r}"


@pytest.fixture
def talkative_chromium(tmp_path: Path) -> str:
    """A Chromium that tells pages the roles and names it computes."""
    program = tmp_path / "chromium"
    program.write_text(
        f'#!/bin/sh\nexec {shutil.which("chromium")} --enable-blink-features=ComputedAccessibilityInfo "$@"\n'
    )
    program.chmod(0o755)
    return str(program)


async def test_roles_and_names_agree_with_chromium(talkative_chromium: str):
    site = Site()
    browser = await Browser.start(PlainRoom(), VerifySettings(chromium=talkative_chromium))
    try:
        page = await browser.new_page()
        await page.reset(site.url)
        seen: list[Element] = []
        for number, snippet in enumerate(SNIPPETS):
            site.pages = {f"/{number}": f"<!doctype html>{ORACLE}<body>{snippet}"}
            await page.act("navigate", value=f"/{number}")
            (observation,) = await page.observe([Locator(css="body *")], attributes=ASKED)
            seen += [element for element in observation.elements if "data-oracle-role" in element.attributes]
    finally:
        await browser.close()
        site.close()
    differences = [difference for element in seen if (difference := _differs(element))]
    assert len(seen) > 100
    assert len(differences) <= 0.03 * len(seen), "\n".join(differences)
