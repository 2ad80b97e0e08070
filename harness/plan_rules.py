"""What a plan must hold before it becomes a feature list: rules that code can keep.

A feature needs a step that sees something, dependencies must not go round in a circle, and the same feature must not
stand in the list twice in other words. The answers are sentences, because they go back to the model that planned.
"""

from __future__ import annotations

import difflib
import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from harness.features import Feature

_QUOTED = re.compile(r"\"[^\"]*\"|“[^”]*”|`[^`]*`|(?<!\w)'[^']*'(?!\w)")
_SEEING = re.compile(
    r"\b(see|sees|seen|verif(?:y|ies|ied)|check(?:s|ed)?|confirm(?:s|ed)?|ensure[sd]?|expect(?:s|ed)?|assert(?:s|ed)?"
    r"|observe[sd]?|notice[sd]?|find|finds|look(?:s)? (?:at|for)|show(?:s|n|ing)?|display(?:s|ed)?|appear(?:s|ed)?"
    r"|disappear(?:s|ed)?|vanish(?:es|ed)?|visible|hidden|gone|remain(?:s|ed)?|stay(?:s|ed)?|contain(?:s|ed)?"
    r"|read(?:s)?|list(?:s|ed)|become[sd]?|turn(?:s|ed)? (?:into|red|green|grey|gray)|should|must|is|are|no longer"
    r"|still|now)\b",
    re.IGNORECASE,
)
_PLAINLY = re.compile(
    r"\b(see|sees|verif(?:y|ies)|checks|check (?:that|whether|if|for)|confirms?|ensures?|expects?|asserts?|observes?"
    r"|notices?|shows|is shown|are shown|displays|displayed|appears?|disappears?|vanish(?:es)?|visible|gone|remains?"
    r"|no longer|still)\b",
    re.IGNORECASE,
)
_ACTING = re.compile(
    r"(?:then |and |now )?(add|check|choose|clear|click|complete|create|delete|double|drag|edit|enter|fill|focus|given"
    r"|go|hover|load|log|make|mark|move|navigate|open|pick|press|refresh|reload|remove|resize|restart|right|save|scroll"
    r"|search|select|set|sign|start|submit|tap|tick|toggle|try|type|uncheck|untick|upload|use|visit|wait|when|with"
    r"|write)\b",
    re.IGNORECASE,
)
_ENGLISH = re.compile(r"\b(the|and|to|of|with|that|it)\b", re.IGNORECASE)


def sees(step: str) -> bool:
    """Whether a step says that something is to be seen; words in quotation marks are the page's, not the step's."""
    return bool(_SEEING.search(_QUOTED.sub(" ", step)))


def must_be_seen(step: str) -> bool:
    """Whether a step asks for an expectation: it says so plainly, or it tells how things are instead of what to do."""
    own = _QUOTED.sub(" ", step).strip()
    return bool(_PLAINLY.search(own)) or (sees(step) and not _ACTING.match(own))


def plan_problems(features: Sequence[Feature]) -> list[str]:
    """All that is wrong with a plan, in words for its author; empty when it may be kept."""
    problems = [
        f"{f.id}: no step says what a person sees. Add a step such as 'Verify that ...' with a visible outcome."
        for f in features
        if not _is_observable(f)
    ]
    if cycle := dependency_cycle(features):
        problems.append(f"Dependencies go round in a circle: {' -> '.join(cycle)}.")
    return problems


def _is_observable(feature: Feature) -> bool:
    """Texts in another language than English are let through: the contract needs an expectation in any case."""
    return any(map(sees, feature.steps)) or not _ENGLISH.search(" ".join((feature.description, *feature.steps)))


def dependency_cycle(features: Iterable[Feature]) -> list[str]:
    """One circle of dependencies, its first id repeated at the end; empty when there is none.

    What is left when everything whose dependencies are done is taken away, again and again, is or leads to a circle.
    """
    listed = {f.id: f.depends_on for f in features}
    waits = {name: listed.keys() & set(needed) for name, needed in listed.items()}
    followers: dict[str, list[str]] = {}
    for feature_id, needed in waits.items():
        for other in needed:
            followers.setdefault(other, []).append(feature_id)
    free = [i for i, needed in waits.items() if not needed]
    while free:
        done = free.pop()
        del waits[done]
        for follower in followers.get(done, []):
            waits[follower].discard(done)
            if not waits[follower]:
                free.append(follower)
    return _walk(waits) if waits else []


def _walk(waits: dict[str, set[str]]) -> list[str]:
    path = [min(waits)]
    while (following := min(waits[path[-1]] & waits.keys())) not in path:
        path.append(following)
    return [*path[path.index(following) :], following]


class Duplicate(NamedTuple):
    """Two features that seem to say the same."""

    first: str
    second: str
    likeness: float
    """0 to 1."""


_DECISIVE = {"not", "no", "without", "never", "cannot", "with", "only", "all", "each"}
_EMPTY_WORDS = {
    "a", "an", "and", "the", "of", "to", "in", "on", "at", "is", "are", "be", "can", "user",
    "users", "should", "that", "it", "its", "this", "for", "by", "as",
}  # fmt: skip


def near_duplicates(features: Sequence[Feature], likeness: float = 0.8) -> list[Duplicate]:
    """Pairs whose words are nearly the same, in nearly the same order.

    A negation or a number that only one of them has makes them different features.
    """
    words = [_words(f) for f in features]
    pairs = sorted(set(_candidates([frozenset(w) for w in words], likeness)))
    scored = (Duplicate(features[i].id, features[j].id, _likeness(words[i], words[j])) for i, j in pairs)
    return [pair for pair in scored if pair.likeness >= likeness]


def _words(feature: Feature) -> list[str]:
    found = re.findall(r"\w+", " ".join((feature.description, *feature.steps)).casefold())
    return [w if w in _DECISIVE else w.removesuffix("s") for w in found if w not in _EMPTY_WORDS]


def _candidates(sets: Sequence[frozenset[str]], likeness: float) -> Iterator[tuple[int, int]]:
    """Pairs that share a rare word; two sets that alike must share one of their rarest, so the rest is never compared.

    Source: prefix filtering for set-similarity joins.
    """
    rarity = Counter(word for words in sets for word in words)
    index: dict[str, list[int]] = {}
    for place, words in enumerate(sets):
        rarest = sorted(words, key=lambda w: (rarity[w], w))
        for word in rarest[: len(words) - math.ceil(likeness * len(words)) + 1]:
            for other in index.setdefault(word, []):
                if _overlap(words, sets[other]) >= likeness:
                    yield other, place
            index[word].append(place)


def _overlap(a: frozenset[str], b: frozenset[str]) -> float:
    odd = a ^ b
    if odd & _DECISIVE or any(word.isdigit() for word in odd):
        return 0.0
    return len(a & b) / max(1, len(a | b))


def _likeness(a: list[str], b: list[str]) -> float:
    return round(difflib.SequenceMatcher(None, a, b, autojunk=False).ratio(), 2)
