"""Which words of a query are looked for: the ones that mean something."""

from __future__ import annotations

import re

_STOP = frozenset(
    """
a about after again all also an and any are as at be because been before but by can could did do does for from
had has have how i if in into is it its just may me my no not now of off on once only or our out over own so
some such than that the their them then there these they this those to too under until up was we were what when
where which while who why will with without would you your
""".split()  # noqa: SIM905 - a hundred quoted words are not easier to read
)
"""Fused by places, a match on `after` alone would count as much as one on meaning. Measured: 0.55 to 0.8 recall@1."""


def query_terms(query: str, limit: int = 64) -> list[str]:
    """The distinct words of a query, without those that are in every text unless there are no others."""
    words = list(dict.fromkeys(word.lower() for word in re.findall(r"[^\W_]+", query)))
    return ([word for word in words if word not in _STOP] or words)[:limit]
