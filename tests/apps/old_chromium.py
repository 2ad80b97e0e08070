"""A browser of another version than is understood."""

from __future__ import annotations

import sys
from pathlib import Path


def old_chromium(path: Path, product: str) -> Path:
    """A program that starts like a Chromium and says it is another version."""
    path.write_text(
        f"""#!{sys.executable}
import asyncio, json, pathlib, sys
from websockets.asyncio.server import serve

async def answer(connection):
    async for message in connection:
        await connection.send(json.dumps({{"id": json.loads(message)["id"], "result": {{"product": {product!r}}}}}))

async def main():
    profile = next(word.split("=", 1)[1] for word in sys.argv if word.startswith("--user-data-dir="))
    async with serve(answer, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        pathlib.Path(profile, "DevToolsActivePort").write_text(f"{{port}}\\n/devtools/browser/1")
        await asyncio.get_running_loop().create_future()

asyncio.run(main())
""",
        encoding="utf-8",
    )
    path.chmod(0o755)
    return path
