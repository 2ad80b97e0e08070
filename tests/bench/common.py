"""What the benchmarks share: the way to the tests' own parts, the machine in words, rows of a table.

Importing it puts `tests/` on the path, where the scripted endpoint and the to-do application lie. Packages that only
a comparison needs are never the project's: `foreign` puts them into a directory of their own, once a machine.
"""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

TESTS = Path(__file__).parents[1]
sys.path.append(str(TESTS))


def title(what: str) -> None:
    """What is measured, and where: other work on the machine stretches every figure but a ratio."""
    print(f"{what}; {os.cpu_count()} cores, {platform.machine()}, load {os.getloadavg()[0]:.1f}")


def row(*cells: object) -> None:
    """One line of a table: words left, figures right."""
    print("  ".join(f"{cell!s:<34}" if not n else f"{_text(cell):>11}" for n, cell in enumerate(cells)))


def verdict(name: str, figure: float, bound: float, unit: str = "") -> None:
    """The last line: the figure against its budget."""
    said = "ok" if figure <= bound else "OVER"
    print(f"{name}: {figure:.2f}{unit}, budget {bound:g}{unit}: {said}")


def foreign(name: str, requirements: Sequence[str], *, alone: bool) -> Path:
    """Packages of other people to compare with.

    Args:
        name: of their directory, kept beside our own packages for the next time.
        requirements: for pip.
        alone: an environment of their own, whose python is returned; else a directory for `sys.path`, without
            their dependencies, because ours are what they are to be measured with.
    """
    directory = Path(sys.prefix, "bench", name)
    if not (directory / "complete").exists():
        print(f"putting {' '.join(requirements)} into {directory}")
        _install(directory, requirements, alone)
        (directory / "complete").touch()
    return directory / "bin" / "python" if alone else directory


def _install(directory: Path, requirements: Sequence[str], alone: bool) -> None:
    directory.parent.mkdir(exist_ok=True)
    python, flags = sys.executable, ["--no-deps", "--upgrade", "--target", str(directory)]
    if alone:
        subprocess.run([sys.executable, "-m", "venv", str(directory)], check=True)
        python, flags = str(directory / "bin" / "python"), []
    subprocess.run([python, "-m", "pip", "install", "--quiet", *flags, *requirements], check=True)


def _text(cell: object) -> str:
    return f"{cell:.2f}" if isinstance(cell, float) else str(cell)
