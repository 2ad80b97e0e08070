import pytest

from harness.features import Feature
from harness.plan_rules import dependency_cycle, must_be_seen, near_duplicates, plan_problems, sees


def feature(feature_id: str, description: str = "Do it", *steps: str, **fields: object) -> Feature:
    given = {"id": feature_id, "description": description, "steps": steps or ("See the result",)}
    return Feature.model_validate(given | fields)


@pytest.mark.parametrize(
    ("step", "expected"),
    [
        ("Verify that the item is in the list", True),
        ("The item appears", True),
        ("'Buy milk' is gone", True),
        ("The page shows a message", True),
        ("Open the page", False),
        ("Click 'Show all'", False),
        ('Click "Is it visible?"', False),
        ("Type Buy milk and press Enter", False),
    ],
)
def test_a_step_sees_when_its_own_words_say_so(step, expected):
    assert sees(step) is expected


@pytest.mark.parametrize(
    ("step", "expected"),
    [
        ("Verify that the item is in the list", True),
        ("It is checked and struck through", True),
        ("Reload; the item is still there", True),
        ("Add 'Rent' and check that it appears", True),
        ("Check its box", False),
        ("Click the item that is done", False),
        ("Open the page of lists", False),
        ("Click 'Show all'", False),
    ],
)
def test_a_step_asks_for_an_expectation_when_it_tells_how_things_are(step, expected):
    assert must_be_seen(step) is expected


def test_a_feature_nobody_could_see_is_refused_at_plan_time():
    problems = plan_problems([feature("F1", "Save to disk", "Click 'Save'"), feature("F2")])
    assert len(problems) == 1
    assert problems[0].startswith("F1: no step says what a person sees")


def test_a_feature_in_another_language_is_let_through():
    assert plan_problems([feature("F1", "Aufgabe anlegen", "Seite laden", "Aufgabe steht in der Liste")]) == []


def test_a_circle_of_dependencies_is_named():
    plan = [
        feature("A", depends_on=["B"]),
        feature("B", depends_on=["C"]),
        feature("C", depends_on=["B"]),
        feature("D"),
    ]
    assert dependency_cycle(plan) == ["B", "C", "B"]
    assert plan_problems(plan) == ["Dependencies go round in a circle: B -> C -> B."]


def test_a_feature_that_waits_for_itself_is_a_circle():
    assert dependency_cycle([feature("A", depends_on=["A"])]) == ["A", "A"]


def test_a_long_chain_is_not_a_circle():
    chain = [feature(f"F{n}", depends_on=[f"F{n + 1}"] if n < 4999 else []) for n in range(5000)]
    assert dependency_cycle(chain) == []
    assert dependency_cycle([feature("A", depends_on=["X"]), feature("B", depends_on=["A"])]) == [], "X is elsewhere"


@pytest.mark.parametrize(
    ("first", "second", "same"),
    [
        ("The user can delete a to-do from the list", "Users can delete to-dos from the list", True),
        ("The user can delete a to-do from the list", "The user cannot delete a to-do from the list", False),
        ("Show the first 10 entries of the table", "Show the first 20 entries of the table", False),
        ("Sort the table by name", "Filter the table by date", False),
    ],
)
def test_the_same_feature_in_other_words_is_found(first, second, same):
    found = near_duplicates([feature("A", first, "See it"), feature("B", second, "See it")])
    assert [(pair.first, pair.second) for pair in found] == ([("A", "B")] if same else [])


def test_a_thousand_features_are_compared_and_only_the_twins_found():
    verbs, nouns = ["add", "edit", "delete", "archive", "print"], [f"thing{n}word" for n in range(200)]
    plan = [feature(f"{v}{n}", f"A person may {v} every {n} on the page of {n}") for v in verbs for n in nouns]
    twin = feature("twin", "A person may print each thing7word on the page of thing7word".replace("each", "every"))
    assert [(d.first, d.second) for d in near_duplicates([*plan, twin])] == [("printthing7word", "twin")]
