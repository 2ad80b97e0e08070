"""What the files of an existing project say about how it is built, started and tested: one detector a kind of manifest.

Nothing here runs anything and nothing is believed: what is found is a proposal, which is shown to a person, run in the
sandbox and kept only when the application answers. A command is taken over from a file only where it is made of plain
words; where it is not, the project's own way to call it (`npm run ...`) is, or a model proposes instead.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import PurePosixPath
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

MANIFESTS = (
    *("package.json", "pyproject.toml", "requirements.txt", "requirements-dev.txt", "requirements-test.txt"),
    *("setup.cfg", "tox.ini", "pytest.ini", "Cargo.toml", "go.mod", "Makefile", "Procfile"),
    *("docker-compose.yml", "docker-compose.yaml", "compose.yaml", "compose.yml", "Dockerfile"),
)
"""Read whole by the detectors, at the top of the project; what is below is told by its name alone."""
_PLAIN = re.compile(r"[\w ./:=@,+*-]+")
"""A command that means the same in every shell."""
_WEB = re.compile(r"[\w ./:=@,+${}-]+")
"""The same with variables, such as $PORT."""
_DATA = (
    (re.compile(r"\b(DATA_DIR|DATA_PATH|STORAGE_DIR|UPLOAD_DIR)\b"), "$HARNESS_DATA_DIR"),
    (re.compile(r"\b(DB_PATH|DB_FILE|DATABASE_PATH|DATABASE_FILE|SQLITE_PATH)\b"), "$HARNESS_DATA_DIR/app.db"),
    (re.compile(r"\b(DATABASE_URL)\b(?=[\s\S]*sqlite)"), "sqlite:///$HARNESS_DATA_DIR/app.db"),
)
"""Variables by which an application is commonly told where its data lie, and what they are set to."""
_SCRIPTS = ("start", "serve", "dev")
_SERVERS = ("server.js", "server.mjs", "app.js", "index.js", "src/server.js", "src/index.js")
_PYTHON_SERVERS = ("app.py", "server.py", "main.py", "wsgi.py", "src/app.py", "src/main.py", "app/main.py")
SOURCES = (*_SERVERS, *_PYTHON_SERVERS, "config.py", "settings.py", "config.js", "src/config.js", "src/config.py")
"""Looked into for the port, the data and the kind of application."""
REPORT = "$HARNESS_REPORT"
_NAME = re.compile(r"[A-Za-z0-9][\w.-]*")
"""Of a program."""
_SCRIPT_ENDINGS = ("", ".py", ".sh", ".js", ".mjs", ".rb", ".pl")
_OF_DEVELOPERS = ("bundle", "console", "deploy", "dev", "install", "lint", "rails", "rake", "release", "setup", "test")


class Start(BaseModel):
    """How the application could be started, or a program asked how it is used: lines of a shell script."""

    model_config = ConfigDict(frozen=True)

    because: str
    """The file that says so."""
    prepare: tuple[str, ...] = ()
    serve: tuple[str, ...] = ()
    """The last line stays; of a program it tells how it is used, and ends."""
    phase: Literal["serve", "help"] = "serve"
    exports: tuple[str, ...] = ()
    installs: bool = False
    """Packages are to be installed, for which a registry is needed."""

    def script(self) -> str:
        """As `init.sh`."""
        exports = "".join(f"export {line}\n" for line in self.exports)
        prepare = "\n".join(f"  {line}" for line in self.prepare or (":",))
        *before, last = self.serve
        serve = "\n".join(f"  {line}" for line in (*before, f"exec {last}"))
        return f"""#!/usr/bin/env bash
set -euo pipefail
cd "$(dirname "$0")"
export PORT="${{PORT:-8000}}" HOST=127.0.0.1
export HARNESS_DATA_DIR="${{HARNESS_DATA_DIR:-$PWD/data}}"
{exports}
prepare() {{
{prepare}
}}

{self.phase}() {{
{serve}
}}

case "${{1:-all}}" in
  prepare) prepare ;;
  {self.phase}) {self.phase} ;;
  all) prepare; {self.phase} ;;
  *) echo "usage: $0 [prepare|{self.phase}]" >&2; exit 2 ;;
esac
"""


class Suite(BaseModel):
    """How the project's own tests are run."""

    model_config = ConfigDict(frozen=True)

    command: str
    because: str

    @property
    def names_tests(self) -> bool:
        """Whether it writes a report, by which each test is known."""
        return REPORT in self.command


@dataclass(frozen=True)
class Manifests:
    """The texts the detectors read.

    Args:
        files: all tracked paths.
        texts: those of MANIFESTS and SOURCES that are there.
    """

    files: Collection[str]
    texts: Mapping[str, str]

    def start(self) -> Start | None:
        """The first way to start it that something speaks for; None: a model has to propose one."""
        return self._installed(next(filter(None, (detect(self) for detect in _STARTS)), None))

    def program(self) -> Start | None:
        """The first way to call it as a program that something speaks for; None: a model has to propose one."""
        return self._installed(next(filter(None, (detect(self) for detect in _PROGRAMS)), None))

    def _installed(self, found: Start | None) -> Start | None:
        if found is None:
            return None
        install = [*self._node_install(), *self._python_install()]
        exports = (*(['PATH="$PWD/.venv/bin:$PATH"'] if self._python_install() else []), *self._data())
        prepare = (*install, *found.prepare)
        installs = bool(install) or _EDITABLE in found.prepare
        return found.model_copy(update={"prepare": prepare, "exports": exports, "installs": installs})

    def suites(self) -> list[Suite]:
        """Ways to run its tests, the likeliest first."""
        return [suite for detect in _SUITES for suite in detect(self)]

    def problems(self) -> list[str]:
        """Manifests that cannot be read."""
        broken = [("package.json", self._parsed_package), ("pyproject.toml", self._parsed_project)]
        return [
            f"{name} is not what its name says, so nothing is taken from it." for name, told in broken if told is None
        ]

    @cached_property
    def _parsed_package(self) -> dict[str, Any] | None:
        return _table(self.texts.get("package.json"), json.loads)

    @cached_property
    def _parsed_project(self) -> dict[str, Any] | None:
        return _table(self.texts.get("pyproject.toml"), tomllib.loads)

    @property
    def scripts(self) -> dict[str, str]:
        """Of package.json."""
        return {name: text for name, text in _dict(self._parsed_package, "scripts").items() if isinstance(text, str)}

    @property
    def packages(self) -> set[str]:
        """Names that package.json depends on."""
        kinds = ("dependencies", "devDependencies", "optionalDependencies")
        return {name for kind in kinds for name in _dict(self._parsed_package, kind)}

    @property
    def project(self) -> dict[str, Any]:
        """The `[project]` table of pyproject.toml."""
        return _dict(self._parsed_project, "project")

    @cached_property
    def python(self) -> str:
        """All that the files of a Python project say, in lower case: what is looked for is named there somewhere."""
        return "\n".join(self.texts.get(name, "") for name in MANIFESTS[1:8]).lower()

    def source(self, names: Collection[str], pattern: str) -> str:
        """The first of some sources that says something; empty: none does."""
        return next((n for n in names if re.search(pattern, self.texts.get(n, ""))), "")

    def _node_install(self) -> list[str]:
        if not self.packages:
            return []
        by_lock = {
            "pnpm-lock.yaml": "pnpm install --frozen-lockfile",
            "yarn.lock": "yarn install --frozen-lockfile",
            "package-lock.json": "npm ci --no-audit --no-fund",
        }
        install = next((cmd for lock, cmd in by_lock.items() if lock in self.files), "npm install --no-audit --no-fund")
        return [install, *(["npm run build"] if "build" in self.scripts else [])]

    def _python_install(self) -> list[str]:
        wanted = [n for n in MANIFESTS if n.startswith("requirements") and _requires(self.texts.get(n, ""))]
        install = [f".venv/bin/pip install --quiet -r {name}" for name in wanted]
        extras = [name for name in ("dev", "test", "tests") if name in _dict(self.project, "optional-dependencies")]
        if self.project.get("dependencies") or extras:
            install.append(f".venv/bin/pip install --quiet -e '.[{','.join(extras)}]'" if extras else _EDITABLE)
        if not install:
            return []
        return [*_VENV, *install]

    def _data(self) -> Iterator[str]:
        said = "\n".join(self.texts.get(name, "") for name in SOURCES)
        for pattern, place in _DATA:
            yield from (f'{name}="{place}"' for name in sorted({found[1] for found in pattern.finditer(said)}))


_VENV = ("[ -x .venv/bin/pip ] || python3 -m venv .venv", "printf '*\\n' > .venv/.gitignore")
_EDITABLE = ".venv/bin/pip install --quiet -e ."


def _procfile(at: Manifests) -> Start | None:
    said = re.search(r"^web:\s*(.+?)\s*$", at.texts.get("Procfile", ""), re.MULTILINE)
    if not said or not _WEB.fullmatch(said[1]):
        return None
    return Start(because="Procfile", serve=(said[1].replace("0.0.0.0", "127.0.0.1"),))


def _django(at: Manifests) -> Start | None:
    if "manage.py" not in at.files or "django" not in at.python + at.texts.get("settings.py", ""):
        return None
    serve = 'python3 manage.py runserver "127.0.0.1:$PORT" --noreload'
    return Start(because="manage.py", prepare=("python3 manage.py migrate --noinput",), serve=(serve,))


def _asgi(at: Manifests) -> Start | None:
    pattern = r"(?m)^(\w+)\s*(?::\s*\w+\s*)?=\s*(?:FastAPI|Starlette|Litestar)\("
    if not (name := at.source(_PYTHON_SERVERS, pattern)):
        return None
    found = re.search(pattern, at.texts[name])
    assert found is not None
    served = f'uvicorn {_module(name)}:{found[1]} --host 127.0.0.1 --port "$PORT"'
    return Start(because=name, serve=(f"python3 -m {served}",))


def _flask(at: Manifests) -> Start | None:
    if not (name := at.source(_PYTHON_SERVERS, r"\bFlask\(|\bcreate_app\b")) or "flask" not in at.python:
        return None
    return Start(because=name, serve=(f'python3 -m flask --app {_module(name)} run --host 127.0.0.1 --port "$PORT"',))


def _python_program(at: Manifests) -> Start | None:
    name = at.source(_PYTHON_SERVERS, r"[\"']PORT[\"']")
    return Start(because=name, serve=(f"python3 {name}",)) if name else None


def _node(at: Manifests) -> Start | None:
    if "package.json" not in at.texts:
        return None
    if "next" in at.packages:
        return Start(because="package.json (next)", serve=('npx --no-install next start -H 127.0.0.1 -p "$PORT"',))
    if "vite" in at.packages and "express" not in at.packages and "build" in at.scripts:
        served = 'npx --no-install vite preview --host 127.0.0.1 --port "$PORT" --strictPort'
        return Start(because="package.json (vite)", serve=(served,))
    if script := next((name for name in _SCRIPTS if name in at.scripts), ""):
        return Start(because=f"package.json (scripts.{script})", serve=(f"npm run --silent {script}",))
    return None


def _node_program(at: Manifests) -> Start | None:
    name = at.source(_SERVERS, r"\benv\.PORT\b|env\[[\"']PORT")
    return Start(because=name, serve=(f"node {name}",)) if name else None


def _go(at: Manifests) -> Start | None:
    if "go.mod" not in at.files or "main.go" not in at.files:
        return None
    prepare = ("mkdir -p .build", "printf '*\\n' > .build/.gitignore", "go build -o .build/app .")
    return Start(because="go.mod", prepare=prepare, serve=(".build/app",), installs=True)


def _cargo(at: Manifests) -> Start | None:
    if "src/main.rs" not in at.files or "Cargo.toml" not in at.files:
        return None
    prepare = ("cargo build --release",)
    return Start(because="Cargo.toml", prepare=prepare, serve=("cargo run --release --quiet",), installs=True)


def _make(at: Manifests) -> Start | None:
    targets = _targets(at)
    served = next((name for name in ("serve", "run", "start") if name in targets), "")
    if not served:
        return None
    prepare = tuple(f"make {name}" for name in ("install", "build") if name in targets)
    return Start(because=f"Makefile ({served})", prepare=prepare, serve=(f"make {served}",))


def _pages(at: Manifests) -> Start | None:
    place = next((p for p in ("", "public/", "static/", "site/") if f"{p}index.html" in at.files), None)
    if place is None or any(_is_served(name, place) for name in at.files):
        return None
    below = f" --directory {place.rstrip('/')}" if place else ""
    serve = f'python3 -m http.server "$PORT" --bind 127.0.0.1{below}'
    return Start(because=f"{place}index.html", serve=(serve,))


def _is_served(name: str, pages: str) -> bool:
    """Whether a file is a program that runs where pages are served from, so that they are not all there is."""
    ending = PurePosixPath(name).suffix
    beside = ending in (".js", ".mjs", ".cjs", ".ts") and not name.startswith(pages)
    return ending in (".py", ".go", ".rs", ".rb", ".php", ".java", ".kt", ".cs", ".ex") or beside


_STARTS: tuple[Callable[[Manifests], Start | None], ...] = (
    *(_procfile, _django, _asgi, _flask, _node, _python_program, _node_program, _go, _cargo, _make, _pages),
)


def _python_scripts(at: Manifests) -> Start | None:
    name = next(filter(_NAME.fullmatch, _dict(at.project, "scripts")), "")
    because = "pyproject.toml (project.scripts)"
    prepare = () if any(" -e " in line for line in at._python_install()) else (*_VENV, _EDITABLE)
    return Start(because=because, phase="help", prepare=prepare, serve=(f".venv/bin/{name} --help",)) if name else None


def _node_bin(at: Manifests) -> Start | None:
    package = at._parsed_package or {}
    given = package.get("bin")
    named = given if isinstance(given, dict) else {str(package.get("name", "")).rpartition("/")[2]: given}
    paths = {name: path.removeprefix("./") for name, path in named.items() if isinstance(path, str)}
    sound = ((n, p) for n, p in paths.items() if _NAME.fullmatch(n) and p in at.files and _PLAIN.fullmatch(p))
    if (found := next(sound, None)) is None:
        return None
    name, path = found
    place = f"node_modules/.bin/{name}"
    prepare = (
        "mkdir -p node_modules/.bin",
        "printf '*\\n' > node_modules/.gitignore",
        f"rm -f {place}",
        f'printf \'#!/bin/sh\\nexec node "$(dirname "$0")/../../{path}" "$@"\\n\' > {place}',
        f"chmod +x {place}",
    )
    return Start(because="package.json (bin)", phase="help", prepare=prepare, serve=(f"{place} --help",))


def _bin_file(at: Manifests) -> Start | None:
    """The only one that is no tool for working on the project."""
    beside = [PurePosixPath(name) for name in at.files if re.fullmatch(rf"bin/{_NAME.pattern}", name)]
    found = [path for path in beside if path.suffix in _SCRIPT_ENDINGS and path.stem not in _OF_DEVELOPERS]
    return Start(because=f"{found[0]}", phase="help", serve=(f"./{found[0]} --help",)) if len(found) == 1 else None


_PROGRAMS: tuple[Callable[[Manifests], Start | None], ...] = (_python_scripts, _node_bin, _bin_file)


def _node_tests(at: Manifests) -> Iterator[Suite]:
    script = at.scripts.get("test", "")
    if not script or "no test specified" in script:
        return
    because = "package.json (scripts.test)"
    if (own := re.fullmatch(r"node --test(.*)", script)) and _PLAIN.fullmatch(own[1] or " "):
        options = f'--test-reporter=junit --test-reporter-destination="{REPORT}"'
        yield Suite(command=f"node --test {options}{own[1]}", because=because)
    elif re.fullmatch(r"(npx )?vitest\b.*", script) and _PLAIN.fullmatch(script):
        yield Suite(command=f'npm test -- --run --reporter=junit --outputFile="{REPORT}"', because=because)
    elif re.fullmatch(r"(npx )?jest\b.*", script) and _PLAIN.fullmatch(script):
        yield Suite(command=f'npm test -- --ci --json --outputFile="{REPORT}"', because=because)
    elif re.fullmatch(r"(npx )?mocha\b.*", script) and _PLAIN.fullmatch(script):
        yield Suite(command=f'npm test -- --reporter xunit --reporter-option output="{REPORT}"', because=because)
    else:
        yield Suite(command="npm test", because=because)


def _python_tests(at: Manifests) -> Iterator[Suite]:
    python = ".venv/bin/python" if at._python_install() else "python3"
    tests = [name for name in at.files if re.search(r"(^|/)(test_[^/]*|[^/]*_test)\.py$", name)]
    is_pytest = "pytest" in at.python or any(PurePosixPath(name).name == "conftest.py" for name in at.files)
    if is_pytest and tests:
        yield Suite(command=f'{python} -m pytest -q --junitxml="{REPORT}"', because="pytest")
    elif "manage.py" in at.files and tests:
        yield Suite(command=f"{python} manage.py test", because="manage.py")
    elif tests:
        yield Suite(command=f"{python} -m unittest discover", because=min(tests))


def _go_tests(at: Manifests) -> Iterator[Suite]:
    if "go.mod" in at.files and any(name.endswith("_test.go") for name in at.files):
        yield Suite(command=f'go test -json ./... > "{REPORT}"', because="go.mod")


def _cargo_tests(at: Manifests) -> Iterator[Suite]:
    if "Cargo.toml" in at.files:
        yield Suite(command="cargo test", because="Cargo.toml")


def _make_tests(at: Manifests) -> Iterator[Suite]:
    if "test" in _targets(at):
        yield Suite(command="make test", because="Makefile (test)")


_SUITES = (_node_tests, _python_tests, _go_tests, _cargo_tests, _make_tests)


def _targets(at: Manifests) -> set[str]:
    return set(re.findall(r"(?m)^([A-Za-z][\w-]*)\s*:(?!=)", at.texts.get("Makefile", "")))


def _module(path: str) -> str:
    return path.removesuffix(".py").replace("/", ".")


def _requires(text: str) -> bool:
    return any(line.strip() and not line.lstrip().startswith("#") for line in text.splitlines())


def _table(text: str | None, parse: Callable[[str], Any]) -> dict[str, Any] | None:
    """Empty where there is no such file; None where it is no such file."""
    if text is None:
        return {}
    try:
        found = parse(text)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _dict(table: dict[str, Any] | None, key: str) -> dict[str, Any]:
    found = (table or {}).get(key)
    return found if isinstance(found, dict) else {}
