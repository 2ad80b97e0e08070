"""`harness ...` as a process of its own that is spared the imports: it is forked from one that has done them.

On two cores half of what a short command costs is importing the same libraries. All else is as at a shell: its own
process, arguments, variables, directory, streams, signals and exit code. Tests of starting, of kills and of terminals
run `python -m harness`.

    the test -> client (this file, without libraries: hands on what it was given) -> server (forks for each)
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import socket
import sys
import threading

OF_INTERPRETERS = re.compile(r"PYTHON\w*|LC_\w+|LANG|LANGUAGE")
"""Variables that are read when an interpreter starts: with others than the server's it is started anew."""
STREAMS = (0, 1, 2)
SET_BY_IMPORTS: dict[str, str] = {}
PASSED_ON = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Warm:
    """The server of this process, started when it is first needed; it ends with this process."""

    address = ""

    def command(self, *words: object) -> list[str]:
        """What subprocess is given to run `harness` with these words."""
        return [sys.executable, "-I", "-S", __file__, self.address or self._start(), *map(str, words)]

    def _start(self) -> str:
        import subprocess
        import tempfile

        self.address = f"{tempfile.mkdtemp(prefix='warm-')}/socket"
        argv = [sys.executable, __file__, "--serve", self.address]
        self.server = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True)
        assert self.server.stdout
        assert self.server.stdout.readline() == b"ready\n"
        return self.address


WARM = Warm()


# --- the client: until `harness` ends ---


def ask(address: str, words: list[str]) -> int:
    """Run one command on the server, with the streams, directory and variables of this process; its exit code."""
    here = os.getcwd()  # noqa: PTH109 (pathlib costs more than all else here)
    asked = {"words": words, "env": dict(os.environ), "directory": here, "python": _interpreter()}
    line = socket.socket(socket.AF_UNIX)
    line.connect(address)
    socket.send_fds(line, [b"."], STREAMS)
    line.sendall(json.dumps(asked).encode() + b"\n")
    told = line.makefile("r")
    begun = json.loads(told.readline())
    if begun is None:
        os.execv(sys.executable, [sys.executable, "-m", "harness", *words])
    for number in PASSED_ON:
        signal.signal(number, lambda number, _: os.kill(begun, number))
    code = int(told.readline())
    if code < 0:
        signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    return code


def _interpreter() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if OF_INTERPRETERS.fullmatch(name)}


# --- the server ---


def serve(address: str) -> None:
    """Fork for each that asks, until the parent ends; returns in the forked process alone, which is to be `harness`."""
    _import_all()
    assert threading.active_count() == 1, "a fork of several threads is none"
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(address)
    listener.listen()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for those that wait
    gc.collect()
    gc.freeze()  # else looking for garbage copies every page that is shared
    os.write(1, b"ready\n")
    while sys.stdin not in (found := select.select([listener, sys.stdin], [], [])[0]):
        assert found == [listener]
        line, _ = listener.accept()
        if os.fork() == 0:
            listener.close()
            return _become(line)
        line.close()
    os.unlink(address)  # noqa: PTH108 (as above)
    os.rmdir(os.path.dirname(address))  # noqa: PTH106, PTH120
    sys.exit(0)


def _import_all() -> None:
    before = dict(os.environ)
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")  # as the door does
    names = ("adopt", "claims", "coding", "doctor", "existing", "gate", "initializer", "memory.recall", "model")
    names += ("parts", "planning", "replaying", "report", "reviewing", "runtime", "sandbox.bubblewrap", "steering")
    names += ("browser.browser", "verify.hall", "verify.standalone", "cli", "cli.run", "cli.verify", "cli.gate")
    for name in names:
        import_module(f"harness.{name}")
    for name in ("langgraph.checkpoint.sqlite.aio", "rich.progress", "rich.table"):
        import_module(name)
    from harness.model.strict import strict_chat_class

    strict_chat_class()
    SET_BY_IMPORTS.update({name: value for name, value in os.environ.items() if name not in before})


def _become(line: socket.socket) -> None:
    """Two processes: one waits and tells the exit code, the other returns, with what it was given."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    _, streams, _, _ = socket.recv_fds(line, 1, len(STREAMS))
    asked = json.loads(line.makefile("r").readline())
    if asked["python"] != _interpreter():
        line.sendall(b"null\n")
        os._exit(0)
    if child := os.fork():
        for stream in streams:
            os.close(stream)
        line.sendall(f"{child}\n".encode())
        _kill_when_left(line, child)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        with contextlib.suppress(BrokenPipeError):
            line.sendall(f"{code}\n".encode())
        os._exit(0)
    line.close()
    for number, stream in zip(STREAMS, streams, strict=True):
        os.dup2(stream, number)
        os.close(stream)
    os.environ.clear()
    os.environ.update({**SET_BY_IMPORTS, **asked["env"]})
    os.chdir(asked["directory"])
    sys.argv = ["harness", *asked["words"]]
    sys.stdin, sys.stdout = os.fdopen(0, closefd=False), os.fdopen(1, "w", closefd=False)
    sys.stderr = os.fdopen(2, "w", buffering=1, closefd=False)


def _kill_when_left(line: socket.socket, child: int) -> None:
    """Wait until the child has ended; when the client is gone first, as after a time limit, it is killed."""
    ended = os.pidfd_open(child)
    if line in select.select([ended, line], [], [])[0] and not line.recv(1):
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)


if __name__ == "__main__":
    if sys.argv[1] != "--serve":
        sys.exit(ask(sys.argv[1], sys.argv[2:]))
    import gc
    import select
    from importlib import import_module

    serve(sys.argv[2])
    from harness.cli import main

    main()
