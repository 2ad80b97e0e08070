import pytest

from harness.browser.values import Element, Observation
from harness.verify.binding import MAX_CALLS, allowed_calls
from harness.verify.check import Act, Contract, Locator
from harness.verify.fit import misfit, shared

LI = Element(visible=True, text="Buy milk", html='<li class="todo">')
OTHER = Element(visible=True, text="Walk dog", html="<li>")
HIDDEN = Element(visible=False, why_not="transparent", text="Buy milk", html="<li hidden>")
BY_TEXT = Locator(role="listitem", text="Buy milk", exact=False)


def fits(name: str, locator: Locator, *elements: Element, many: bool = False) -> str:
    return misfit(name, locator, Observation(elements=elements, total=len(elements)), many=many)


@pytest.mark.parametrize(
    ("name", "locator", "elements", "why"),
    [
        ('item "Buy milk"', BY_TEXT, [LI], ""),
        ('item "Buy milk"', Locator(role="listitem", nth=0), [LI], ""),
        ('item "Buy milk"', Locator(role="listitem", nth=0), [OTHER], "says nothing of 'Buy milk'"),
        ('item "Buy milk"', BY_TEXT, [], "matched nothing"),
        ('item "Buy milk"', BY_TEXT, [HIDDEN], "matched nothing that a person can see (<li hidden> 'Buy milk')"),
        ('item "Buy milk"', BY_TEXT, [LI, HIDDEN], ""),
        ('item "Buy milk"', BY_TEXT, [LI, LI], "matched 2 elements instead of one: <li"),
        ("list", Locator(css=".css-1q2w3e"), [LI], "generated name"),
        ("list", Locator(css="*"), [Element(visible=True, html="<body>")], "the whole page"),
        ('say "a \\ b"', Locator(text='a \\ b "c"'), [OTHER], ""),
    ],
)
def test_a_locator_fits_when_it_matches_one_visible_element_that_is_what_it_is_named_after(
    name, locator, elements, why
):
    said = fits(name, locator, *elements)
    assert (why in said) if why else said == ""


def test_a_name_for_many_may_match_many():
    assert fits("items", Locator(role="listitem"), LI, OTHER, many=True) == ""
    assert fits("items", Locator(role="listitem"), many=True) == "matched nothing"


def test_the_page_as_a_whole_is_found_where_only_its_looks_are_meant():
    seen = Observation(elements=[Element(visible=True, html="<body>")], total=1)
    assert misfit("page", Locator(css="body"), seen, whole_page=True) == ""


SUMS = Element(visible=True, text="Food 7 Total 12", html="<dl>", box=(0, 40, 300, 60))


@pytest.mark.parametrize(
    ("one", "other", "elements", "doubtful"),
    [
        ('line "Food"', 'line "Total"', (SUMS, SUMS), True),
        ("food", "total", (SUMS, SUMS), True),  # what they quote stands in their words
        ('line "Food"', 'line "Total"', (SUMS, SUMS.model_copy(update={"box": (0, 99, 300, 60)})), False),
        ('line "Food"', 'line "Rent"', (SUMS, SUMS), False),  # one place that says now this, now that
        ('line "Food"', 'line "Food 7"', (SUMS, SUMS), False),
        ('line "Food"', "sums", (SUMS, SUMS), False),
        ('line "Food"', 'line "Total"', (SUMS.model_copy(update={"visible": False}), SUMS), False),
    ],
)
def test_what_holds_the_words_of_two_names_is_doubted_for_both(one, other, elements, doubtful):
    words = {"food": 'the sum beside "Food"', "total": 'the sum beside "Total"'}
    seen = {name: Observation(elements=[each], total=1) for name, each in zip((one, other), elements, strict=True)}
    told = shared(words, seen)
    assert told.keys() == ({one, other} if doubtful else set())
    assert not doubtful or f"as does {other!r}" in told[one]


def test_a_contract_with_many_steps_may_ask_at_each():
    def steps(count: int) -> Contract:
        acts = [Act(step=n + 1, act=act) for n in range(count) for act in ("reload", "back")]
        return Contract.model_construct(items=tuple(acts))

    assert [allowed_calls(steps(n)) for n in (1, 4, 5, 9)] == [MAX_CALLS, MAX_CALLS, 7, 11]
