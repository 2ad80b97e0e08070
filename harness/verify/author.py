"""The author of contracts: writes what a feature's check does and sees, before the code, from the text alone.

The author is a model in a context of its own. It is given the feature, the lines of the specification and the names
the project already has for things on its pages; never code, nor what a coder said. Its answer is held to
`harness.verify.lint` and asked for again with the problems.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, ValidationError, model_validator

from harness.features import Feature
from harness.prompts import fence, load_prompt
from harness.verify import words
from harness.verify.check import Act, Contract, Expectation, targets_of
from harness.verify.lint import lint_contract

if TYPE_CHECKING:
    from langchain_core.messages import BaseMessage

    from harness.model import Model

AUTHOR_ATTEMPTS = 3


def _kind(item: Any) -> str:
    return "expect" if isinstance(item, Expectation) or (isinstance(item, dict) and "expect" in item) else "act"


DraftItem = Annotated[
    Annotated[Act, Tag("act")] | Annotated[Expectation, Tag("expect")],
    Discriminator(_kind),
]


class Draft(BaseModel):
    """Submit the whole contract: the names of things on the page, and the acts and expectations in order."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    targets: dict[str, str] = Field(default_factory=dict)
    """Name -> description."""
    items: tuple[DraftItem, ...] = Field(min_length=2)

    @model_validator(mode="before")
    @classmethod
    def _without_idle_fields(cls, data: Any) -> Any:
        """Models write null for what they do not need, and a match or source on acts, which have none."""
        if not isinstance(data, dict) or not isinstance(data.get("items"), list):
            return data
        return {**data, "items": [_lean(i) if isinstance(i, dict) else i for i in data["items"]]}

    def contract(self, feature_id: str, known: Mapping[str, str]) -> Contract:
        """The contract this draft makes; known names keep their description, names not used are dropped.

        Raises: ValidationError: items use names nobody described.
        """
        used = dict.fromkeys(name for item in self.items for name in targets_of(item))
        described = {**self.targets, **known}
        targets = {name: described[name] for name in used if name in described}
        return Contract(feature_id=feature_id, targets=targets, items=self.items)


def _lean(item: dict[str, Any]) -> dict[str, Any]:
    other = {"to"} if "expect" in item else {"match", "source", "number", "values"}
    return {key: value for key, value in item.items() if value is not None and key not in other}


async def write_contract(
    model: Model, feature: Feature, spec_lines: str, elements: Mapping[str, str], conversation: str
) -> Contract:
    """Write a feature's contract.

    Args:
        model: asked in the role verifier; one call, more only for refused answers.
        feature: its text; its state is not shown.
        spec_lines: the lines of the specification it covers.
        elements: the project's names for things on its pages -> what each is.
        conversation: names the conversation in events and recordings.

    Raises: ModelError: no acceptable contract in three attempts; resume, or name another model for the verifier.
    Replay: asking again costs a call and may give another contract; callers keep the one they agreed.
    """
    question = _question(feature, spec_lines, elements)
    return await _write(model, feature, spec_lines, elements, conversation, question)


async def revise_contract(
    model: Model,
    feature: Feature,
    spec_lines: str,
    elements: Mapping[str, str],
    conversation: str,
    earlier: Contract,
    problems: Sequence[str],
) -> Contract:
    """Write a contract again that proved too little; otherwise as `write_contract`.

    Args:
        model: as there.
        feature: as there.
        spec_lines: as there.
        elements: as there.
        conversation: another than the earlier contract's.
        earlier: the contract it takes the place of.
        problems: in words about the contract alone, never about the code: "item 4: nothing makes this fail".
    """
    question = f"{_question(feature, spec_lines, elements)}\n\n{_again(earlier, problems)}"
    return await _write(model, feature, spec_lines, elements, conversation, question)


async def _write(
    model: Model, feature: Feature, spec_lines: str, elements: Mapping[str, str], conversation: str, question: str
) -> Contract:
    from langchain_core.messages import HumanMessage, SystemMessage

    def problems(draft: Draft) -> list[str]:
        try:
            return lint_contract(draft.contract(feature.id, elements), feature, spec_lines)
        except ValidationError as exc:
            return [error["msg"] for error in exc.errors(include_url=False)]

    messages: list[BaseMessage] = [SystemMessage(load_prompt("verifier")), HumanMessage(question)]
    draft, _ = await model.ask("verifier", conversation, messages, Draft, attempts=AUTHOR_ATTEMPTS, check=problems)
    return draft.contract(feature.id, elements)


def _again(earlier: Contract, problems: Sequence[str]) -> str:
    draft = earlier.model_dump_json(by_alias=True, exclude_defaults=True, exclude={"version", "feature_id"})
    parts = ["An earlier contract was:", fence(draft, "the earlier contract")]
    parts += ["Write the whole contract again, without these faults:", fence("\n".join(problems), "faults")]
    return "\n\n".join(parts)


def _question(feature: Feature, spec_lines: str, elements: Mapping[str, str]) -> str:
    steps = "\n".join(f"{number}. {step}" for number, step in enumerate(feature.steps, 1))
    parts = [
        "Write the contract of this feature.",
        fence(f"{feature.description}\n\nSteps:\n{steps}", f"feature {feature.id}"),
    ]
    if spec_lines.strip():
        parts.append(fence(spec_lines.strip(), "the specification"))
    if elements:
        names = "\n".join(f"{name}: {description}" for name, description in sorted(elements.items()))
        parts += ["Names the project already has; reuse those that fit:", fence(names, "element names")]
    return "\n\n".join(parts)


def contract_words(contract: Contract, steps: Sequence[str] = ()) -> str:
    """The contract as the coder and a person read it; `steps` puts the feature's own lines above what is theirs."""
    return words.show(contract, steps)
