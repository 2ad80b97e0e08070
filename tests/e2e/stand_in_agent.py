"""A command-line coding agent for tests: reads its brief, asks its endpoint with its key, writes files, says "done".

It stands in for the agents people have: what it knows it has from standard input (or the file it is told), the files it
finds, and the variables it is given. It claims success too early once, as they do.
"""

from __future__ import annotations

import json
import os
import sys
import urllib.request
from pathlib import Path

import_path = str(Path(__file__).parent)
sys.path.insert(0, import_path)

from stand_in_files import ADD, BUTTON, FORGETFUL, INIT, PAGE  # noqa: E402 - it lies beside this file, alone


def main() -> int:
    """Work as the first word says."""
    manner = sys.argv[1]
    brief = Path(sys.argv[2]).read_text() if len(sys.argv) > 2 else sys.stdin.read()
    key = os.environ.get("STANDIN_KEY", "")
    print(f"stand-in: {manner}; my key is {key}; {len(brief)} characters of brief", flush=True)
    if manner == "quota":
        print("error: you have no credit left", file=sys.stderr)
        return 1
    settings = Path.home() / ".standin/settings.json"
    print(f"settings: {settings.read_text() if settings.exists() else 'none'}")
    is_cut = "An earlier run of yours was cut off" in brief
    feature = "F001" if "# Feature F001" in brief else "F002"
    if feature == "F001":
        build_list(manner, "does not pass" in brief, is_cut, key, brief)
    else:
        script = Path("app.js")
        script.write_text(script.read_text().replace("/*BUTTON*/", BUTTON))
    said = {"summary": f"Built {feature} with {key}.", "next": "Look at it."}
    Path(".harness-finish.json").write_text("not json" if manner == "garbled" else json.dumps(said))
    print("All done! Everything works perfectly.")
    return 0


def build_list(manner: str, is_repair: bool, is_cut: bool, key: str, brief: str) -> None:
    """The list of notes; at first it forgets them."""
    Path("init.sh").write_text(INIT)
    Path("index.html").write_text(PAGE)
    if is_cut:
        print(f"found half: {Path('half.txt').exists()}")
    elif manner == "slow":
        Path("half.txt").write_text("half\n")
    ask(f"F001 repair={is_repair} cut={is_cut}", key)
    Path("half.txt").unlink(missing_ok=True)
    is_told = "thrown away" in brief
    if manner == "leak" and not is_told:
        Path("config.bin").write_bytes(b"\0\1" * 5000 + key.encode() + b"\0\2" * 5000)  # git packs what is binary
    is_good = is_repair or manner != "early"
    Path("app.js").write_text(ADD if is_good else FORGETFUL)


def ask(what: str, key: str) -> None:
    """Call the endpoint, through the proxy that the environment names."""
    request = urllib.request.Request(os.environ["STANDIN_URL"], data=what.encode(), headers={"X-Key": key})
    with urllib.request.urlopen(request, timeout=120) as answer:
        print(f"endpoint: {answer.read().decode()}", flush=True)
    try:
        urllib.request.urlopen("http://127.0.0.3:9/", timeout=5)
    except OSError as exc:
        print(f"elsewhere: {exc}")


if __name__ == "__main__":
    sys.exit(main())
