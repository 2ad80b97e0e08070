"""Serves the guestbook on 127.0.0.1:$PORT, its data under $HARNESS_DATA_DIR."""

import os
from pathlib import Path
from socketserver import ThreadingMixIn
from wsgiref.simple_server import WSGIServer, make_server

from guestbook.store import Store
from guestbook.web import Web


class Server(ThreadingMixIn, WSGIServer):
    """Answers several people at once."""

    daemon_threads = True


if __name__ == "__main__":
    store = Store(Path(os.environ["HARNESS_DATA_DIR"], "guestbook.db"))
    make_server("127.0.0.1", int(os.environ["PORT"]), Web(store, post_seconds=0.3), Server).serve_forever()
