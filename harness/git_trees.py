"""Trees read as a whole, without a checkout: files of one, and ids of some with names left out."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence

from harness.git import Git

Entry = tuple[bytes, bytes, bytes]
"""Mode, name, id, as a tree object holds them."""


async def contents(git: Git, shas: Sequence[str], prefix: str, without: Sequence[str]) -> dict[str, str]:
    """Compute what `git write-tree` would say of a directory of each commit once names in it are removed.

    Args:
        git: where the commits are.
        shas: of commits.
        prefix: the directory, from the top; empty: the top.
        without: names in it, no paths.
    """
    if not shas:
        return {}
    answer = await git.run_bytes("cat-file", "--batch", stdin="".join(f"{sha}:{prefix}\n" for sha in shas).encode())
    left_out = {name.encode() for name in without}
    kept = [[entry for entry in tree if entry[1] not in left_out] for tree in _trees(answer)]
    return {sha: _id(entries) for sha, entries in zip(shas, kept, strict=True)}


async def read_files(
    git: Git, sha: str, prefix: str, endings: tuple[str, ...], most_bytes: int, all_bytes: int
) -> dict[str, bytes]:
    """Plain files of a commit, by their paths from the top, in order.

    Args:
        git: where the commit is.
        sha: of the commit.
        prefix: the directory they lie in; empty: the top.
        endings: of their names.
        most_bytes: larger ones are left out.
        all_bytes: those beyond so much together are left out.
    """
    where = ("--", f"{prefix}/") if prefix else ()
    rows = [row.partition("\t") for row in await git.paths("ls-tree", "-r", "-l", "-z", "--full-tree", sha, *where)]
    wanted, left = {}, all_bytes
    for facts, _, name in rows:
        mode, _, blob, size = facts.split()
        if mode.startswith("100") and name.endswith(endings) and int(size) <= min(most_bytes, left):
            wanted[name] = blob
            left -= int(size)
    if not wanted:
        return {}
    answer = await git.run_bytes("cat-file", "--batch", stdin="".join(f"{blob}\n" for blob in wanted.values()).encode())
    return dict(zip(wanted, _blobs(answer), strict=True))


def _blobs(answer: bytes) -> Iterator[bytes]:
    """Take the answer of `cat-file --batch` about blobs apart."""
    position = 0
    while position < len(answer):
        end = answer.index(b"\n", position)
        size = int(answer[position:end].split(b" ")[2])
        yield answer[end + 1 : end + 1 + size]
        position = end + size + 2


def _trees(answer: bytes) -> Iterator[list[Entry]]:
    """Take the answer of `cat-file --batch` apart; what is missing is an empty tree."""
    position = 0
    while position < len(answer):
        end = answer.index(b"\n", position)
        header, position = answer[position:end], end + 1
        if header.endswith(b" missing"):
            yield []
            continue
        name, _, size = header.split(b" ")
        yield list(_entries(answer[position : position + int(size)], len(name) // 2))
        position += int(size) + 1


def _entries(tree: bytes, id_bytes: int) -> Iterator[Entry]:
    position = 0
    while position < len(tree):
        blank, end = tree.index(b" ", position), tree.index(b"\0", position)
        yield tree[position:blank], tree[blank + 1 : end], tree[end + 1 : end + 1 + id_bytes]
        position = end + 1 + id_bytes


def _id(entries: Sequence[Entry]) -> str:
    body = b"".join(mode + b" " + name + b"\0" + own for mode, name, own in entries)
    algorithm = hashlib.sha256 if entries and len(entries[0][2]) == 32 else hashlib.sha1
    return algorithm(b"tree %d\0" % len(body) + body).hexdigest()
