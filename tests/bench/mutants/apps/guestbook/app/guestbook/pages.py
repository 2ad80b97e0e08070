"""The pages as HTML. Whatever people wrote is escaped here and nowhere else."""

from __future__ import annotations

from html import escape
from pathlib import Path

from guestbook.store import Message, Page

STYLE = (Path(__file__).parent / "style.css").read_text(encoding="utf-8")


def layout(title: str, body: str, *, name: str = "", flash: str = "") -> str:
    """A whole page."""
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(title)} - Guestbook</title>
<link rel="icon" href="data:,">
<style>{STYLE}</style>
</head>
<body>
<header>
<a class="home" href="/">Guestbook</a>
<nav aria-label="Account">{_account(name)}</nav>
</header>
<main>
<h1>{escape(title)}</h1>
{f'<p class="flash" role="status">{escape(flash)}</p>' if flash else ""}
{body}
</main>
</body>
</html>"""


def _account(name: str) -> str:
    if not name:
        return '<a href="/signup">Sign up</a> <a href="/login">Log in</a>'
    return f"""<span>Signed in as {escape(name)}</span>
<form method="post" action="/logout"><button class="plain">Log out</button></form>"""


def messages(page: Page, name: str, form: str, *, draft: str = "", error: str = "") -> str:
    """The list of messages and, for those signed in, the form."""
    shown = "\n".join(_message(message, name) for message in page.messages)
    listed = f'<ol class="messages" reversed>{shown}</ol>' if shown else "<p>No messages yet.</p>"
    return f"{_write(name, form, draft, error)}\n{listed}\n{_pager(page)}"


def _write(name: str, form: str, draft: str, error: str) -> str:
    if not name:
        return '<p class="hint">Log in to write a message.</p>'
    return f"""<form class="box" method="post" action="/post">
<input type="hidden" name="form" value="{form}">
{_error(error)}
<label for="body">Your message</label>
<textarea id="body" name="body" rows="3">{escape(draft)}</textarea>
<button>Post</button>
</form>"""


def _message(message: Message, name: str) -> str:
    edited = ' <span class="edited">(edited)</span>' if message.edited else ""
    edit = f' <a href="/edit/{message.id}">Edit</a>' if message.author == name else ""
    return f"""<li>
<p class="who"><strong>{escape(message.author)}</strong>{edited}{edit}</p>
<p class="text">{escape(message.body)}</p>
</li>"""


def _pager(page: Page) -> str:
    newer = f'<a href="/?page={page.number - 1}">Newer</a>' if page.number > 1 else ""
    older = f'<a href="/?page={page.number + 1}">Older</a>' if page.number < page.last else ""
    where = f"<span>Page {page.number} of {page.last}</span>"
    return f'<nav class="pager" aria-label="Pages">{newer} {where} {older}</nav>'


def edit(message_id: int, body: str, error: str = "") -> str:
    """The form that changes a message."""
    return f"""<form class="box" method="post" action="/edit/{message_id}">
{_error(error)}
<label for="body">Your message</label>
<textarea id="body" name="body" rows="3">{escape(body)}</textarea>
<button>Save</button> <a href="/">Cancel</a>
</form>"""


def credentials(action: str, button: str, name: str = "", error: str = "") -> str:
    """The form of sign-up and log-in."""
    return f"""<form class="box narrow" method="post" action="{action}">
{_error(error)}
<label for="name">Name</label>
<input id="name" name="name" autocomplete="username" value="{escape(name)}">
<label for="password">Password</label>
<input id="password" name="password" type="password" autocomplete="current-password">
<button>{button}</button>
</form>"""


def _error(text: str) -> str:
    return f'<p class="error" role="alert">{escape(text)}</p>' if text else ""
