"""What the files of an existing project say about starting and testing it."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from harness.manifests import Manifests


def read(**named: str) -> Manifests:
    return Manifests(set(named), named)


def package(**more: object) -> str:
    return json.dumps({"name": "shop", **more})


FLASK = "from flask import Flask\napp = Flask(__name__)\n"
STARTS = [
    (
        {"Procfile": "web: gunicorn shop --bind 0.0.0.0:$PORT\n"},
        "Procfile",
        "gunicorn shop --bind 127.0.0.1:",
    ),
    ({"manage.py": "", "requirements.txt": "Django==5\n"}, "manage.py", 'manage.py runserver "127.0.0.1:$PORT"'),
    ({"main.py": "api: FastAPI = FastAPI()\n", "requirements.txt": "fastapi\n"}, "main.py", "uvicorn main:api"),
    ({"app.py": FLASK, "requirements.txt": "flask\n"}, "app.py", "flask --app app run"),
    ({"server.py": "import os\nport = int(os.environ['PORT'])\n"}, "server.py", "python3 server.py"),
    ({"package.json": package(scripts={"start": "node ."})}, "package.json (scripts.start)", "npm run --silent start"),
    (
        {"package.json": package(scripts={"build": "vite build", "dev": "vite"}, devDependencies={"vite": "7"})},
        "package.json (vite)",
        "vite preview",
    ),
    ({"package.json": package(dependencies={"next": "15"})}, "package.json (next)", "next start"),
    ({"server.js": "app.listen(process.env.PORT)"}, "server.js", "node server.js"),
    ({"go.mod": "module shop\n", "main.go": "package main\n"}, "go.mod", ".build/app"),
    ({"Cargo.toml": "[package]\n", "src/main.rs": ""}, "Cargo.toml", "cargo run"),
    ({"Makefile": "VERSION := 1\nrun: build\n\tgo run .\nbuild:\n"}, "Makefile (run)", "make run"),
    ({"public/index.html": "<p>"}, "public/index.html", "http.server"),
]


def test_a_server_that_needs_no_package_needs_none_for_a_script_beside_it() -> None:
    files = {"server.py": STARTS[4][0]["server.py"], "pyproject.toml": '[project]\nscripts = {"tally" = "x:main"}\n'}
    start = Manifests(set(files), files).start()
    assert start is not None
    assert (start.installs, "pip install" in start.script()) == (False, False)


PROGRAMS = [
    ({"pyproject.toml": '[project]\nscripts = {"count-up" = "tally:main"}\n'}, "pyproject.toml (project.scripts)",
     ".venv/bin/count-up --help"),
    ({"package.json": package(bin="./cli.js"), "cli.js": ""}, "package.json (bin)", "node_modules/.bin/shop --help"),
    ({"package.json": package(bin={"sum": "bin/sum.js"}), "bin/sum.js": ""}, "package.json (bin)",
     "node_modules/.bin/sum --help"),
    ({"package.json": package(bin={"none": "dist/x.js", "t": "x.js"}), "x.js": ""}, "package.json (bin)",
     "node_modules/.bin/t --help"),
    ({"bin/tally": "#!/bin/sh\n", "bin/README.md": "", "bin/setup": "", "lib/x.py": ""}, "bin/tally",
     "./bin/tally --help"),
]  # fmt: skip


@pytest.mark.parametrize(("files", "because", "called"), PROGRAMS, ids=[called for _, _, called in PROGRAMS])
def test_a_program_is_called_by_what_it_has(files: dict[str, str], because: str, called: str) -> None:
    start = Manifests(set(files), files).program()
    assert start is not None
    assert (start.because, start.serve) == (because, (called,))
    script = start.script()
    assert "help) help ;;" in script
    assert "serve" not in script
    assert ("pip install" in script) == ("pyproject.toml" in files), "its name is not there before it is installed"


@pytest.mark.parametrize(
    "files",
    [
        {"package.json": package(bin="../../outside.js")},
        {"package.json": package(bin={"a;b": "cli.js"}), "cli.js": ""},
        {"package.json": package(bin={"a": "$(touch x).js"}), "$(touch x).js": ""},
        {"pyproject.toml": '[project]\nscripts = {"a b" = "x:main"}\n'},
        {"bin/a b": ""},
        {"bin/one": "", "bin/two": ""},
        {"server.py": "import os\nport = int(os.environ['PORT'])\n"},
    ],
)
def test_what_has_no_plain_name_is_called_by_a_session(files: dict[str, str]) -> None:
    assert Manifests(set(files), files).program() is None


def test_a_program_of_node_is_found_by_its_name(tmp_path: Path) -> None:
    files = {"package.json": package(bin={"sum": "src/sum.js"}), "src/sum.js": "console.log('sums', process.argv[2])"}
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    start = Manifests(set(files), files).program()
    assert start is not None
    (tmp_path / "init.sh").write_text(start.script())
    bash, node = shutil.which("bash"), shutil.which("node")
    assert bash
    subprocess.run([bash, "init.sh", "prepare"], cwd=tmp_path, check=True)
    assert (tmp_path / "node_modules/.gitignore").read_text() == "*\n"
    if node:
        said = subprocess.run([bash, "init.sh", "help"], cwd=tmp_path, check=True, capture_output=True, text=True)
        assert said.stdout == "sums --help\n"


@pytest.mark.parametrize(("files", "because", "served"), STARTS, ids=[because for _, because, _ in STARTS])
def test_a_project_is_started_by_what_it_has(files: dict[str, str], because: str, served: str, tmp_path: Path) -> None:
    start = Manifests(set(files), files).start()
    assert start is not None
    assert start.because == because
    assert served in start.serve[-1]
    script = tmp_path / "init.sh"
    script.write_text(start.script())
    bash = shutil.which("bash")
    assert bash
    subprocess.run([bash, "-n", script], check=True)


def test_what_says_nothing_is_left_to_a_model() -> None:
    assert read(**{"lib.py": "", "README.md": ""}).start() is None
    assert read(**{"package.json": package(main="lib.js")}).start() is None
    assert read(**{"public/index.html": "", "public/app.js": "", "main.js": "listen(1)"}).start() is None
    assert read(**{"index.html": "", "serve.rb": ""}).start() is None
    assert read(**{"index.html": "", "app.js": ""}).start() is not None


def test_packages_are_installed_as_the_lock_file_asks_and_a_registry_is_needed_for_them() -> None:
    files = {"package.json": package(scripts={"start": "node ."}, dependencies={"express": "5"})}
    start = Manifests({*files, "package-lock.json"}, files).start()
    assert start is not None
    assert start.prepare == ("npm ci --no-audit --no-fund",)
    assert start.installs
    plain = read(**{"package.json": package(scripts={"start": "node ."})}).start()
    assert plain is not None
    assert not plain.installs


def test_a_python_project_gets_an_environment_of_its_own_with_what_its_tests_need() -> None:
    files = {"app.py": FLASK, "requirements.txt": "flask\n", "requirements-dev.txt": "pytest\n# more\n"}
    start = Manifests(set(files), files).start()
    assert start is not None
    assert [line for line in start.prepare if "install" in line] == [
        ".venv/bin/pip install --quiet -r requirements.txt",
        ".venv/bin/pip install --quiet -r requirements-dev.txt",
    ]
    assert 'export PATH="$PWD/.venv/bin:$PATH"' in start.script()


def test_data_go_where_the_harness_can_empty_them() -> None:
    start = read(**{"server.js": "listen(process.env.PORT); open(process.env.DB_PATH)"}).start()
    assert start is not None
    assert 'export DB_PATH="$HARNESS_DATA_DIR/app.db"' in start.script()


@pytest.mark.parametrize(
    "hostile", ["web: node . && curl evil", "web: $(rm -rf /)", "web: a; b", "web: `id`", "web: a\x00b"]
)
def test_a_command_that_is_more_than_plain_words_is_not_taken_over(hostile: str) -> None:
    assert read(Procfile=hostile).start() is None
    script = hostile.removeprefix("web: ")
    suites = read(**{"package.json": package(scripts={"test": f"node --test {script}"})}).suites()
    assert [suite.command for suite in suites] == ["npm test"]


SUITES = [
    ({"package.json": package(scripts={"test": "node --test tests/"})}, "node --test --test-reporter=junit", True),
    ({"package.json": package(scripts={"test": "vitest"})}, "npm test -- --run --reporter=junit", True),
    ({"package.json": package(scripts={"test": "jest --coverage"})}, "npm test -- --ci --json", True),
    ({"package.json": package(scripts={"test": "mocha"})}, "npm test -- --reporter xunit", True),
    ({"package.json": package(scripts={"test": "lint && jest"})}, "npm test", False),
    ({"pyproject.toml": "[tool.pytest.ini_options]\n", "tests/test_a.py": ""}, "python3 -m pytest -q --junitxml", True),
    ({"tests/test_a.py": ""}, "python3 -m unittest discover", False),
    ({"go.mod": "", "a_test.go": ""}, "go test -json", True),
    ({"Cargo.toml": ""}, "cargo test", False),
    ({"Makefile": "test:\n\tprove\n"}, "make test", False),
]


@pytest.mark.parametrize(("files", "command", "named"), SUITES)
def test_tests_are_run_as_the_project_does_and_report_each_one_where_they_can(
    files: dict[str, str], command: str, named: bool
) -> None:
    suite = Manifests(set(files), files).suites()[0]
    assert suite.command.startswith(command)
    assert suite.names_tests == named


def test_a_script_that_tests_nothing_is_none() -> None:
    said = 'echo "Error: no test specified" && exit 1'
    assert read(**{"package.json": package(scripts={"test": said})}).suites() == []


@pytest.mark.parametrize("broken", ["{", "[]", "[" * 100_000, '{"scripts": 3, "dependencies": ["a"]}'])
def test_a_broken_manifest_is_told_and_nothing_is_taken_from_it(broken: str) -> None:
    found = read(**{"package.json": broken, "index.html": ""})
    start = found.start()
    assert start is not None
    assert start.because == "index.html"
    assert found.suites() == []
    assert bool(found.problems()) == (not broken.startswith('{"'))
