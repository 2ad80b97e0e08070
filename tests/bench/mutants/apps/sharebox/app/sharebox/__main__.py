"""Serves the lists on 127.0.0.1:$PORT, their data under $HARNESS_DATA_DIR."""

import os
from http.server import ThreadingHTTPServer
from pathlib import Path

from sharebox.api import Api
from sharebox.server import handler
from sharebox.store import Store

if __name__ == "__main__":
    api = Api(Store(Path(os.environ["HARNESS_DATA_DIR"], "sharebox.db")))
    web = Path(__file__).parents[1] / "web"
    ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), handler(api, web)).serve_forever()
