"""The author of contracts: writes what a feature's check does and sees, before the code, from the text alone.

The author is a model in a context of its own. It is given the feature, the lines of the specification and the names
the project already has for things on its pages; never code, nor what a coder said. Its answer is held to
`harness.verify.lint` and asked for again with the problems.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, ValidationError, model_validator

from harness.features import Feature
from harness.prompts import fence, load_prompt
from harness.settings import Kind
from harness.verify import words
from harness.verify.check import Act, Contract, Expectation, Flow, Flows, Item, UnknownFlow, compares_two, targets_of
from harness.verify.exchanges.drafts import ProgramDraft, ServiceDraft
from harness.verify.exchanges.interface import Interface
from harness.verify.lint import lint_contract

if TYPE_CHECKING:
    from langchain_core.messages import BaseMessage

    from harness.model import Model

AUTHOR_ATTEMPTS = 3
ALIKE_SHOWN = 2
"""Names of a kind that an author is shown; a list that grows with every sample hides the rest."""
_QUOTED = re.compile(r'"[^"]*"')


def _kind(item: Any) -> str:
    return "expect" if isinstance(item, Expectation) or (isinstance(item, dict) and "expect" in item) else "act"


@dataclass(frozen=True)
class Known:
    """What the project has already."""

    elements: Mapping[str, str] = field(default_factory=dict)
    """Names of things on its pages -> what each is."""
    flows: Flows = field(default_factory=Flows)
    kind: Kind = "web"
    interface: Interface = field(default_factory=Interface)
    """Of a project without pages."""


@dataclass(frozen=True)
class Agreed:
    """A contract, and what it brings that other features can use."""

    contract: Contract
    """As it is played: with the acts of its flows."""
    flows: Mapping[str, Flow]
    """Those the project did not have."""


DraftItem = Annotated[
    Annotated[Act, Tag("act")] | Annotated[Expectation, Tag("expect")],
    Discriminator(_kind),
]


class DraftFlow(BaseModel):
    """Acts that checks of other features will begin with too."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    description: str
    """What it does, in words."""
    items: tuple[Act, ...] = Field(min_length=2)


class Draft(BaseModel):
    """Submit the whole contract: the names of things on the page, and the acts and expectations in order."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    targets: dict[str, str] = Field(default_factory=dict)
    """Name -> description."""
    items: tuple[DraftItem, ...] = Field(min_length=2)
    flows: dict[str, DraftFlow] = Field(default_factory=dict)
    """Flows the project does not have yet: name -> acts."""

    @model_validator(mode="before")
    @classmethod
    def _without_idle_fields(cls, data: Any) -> Any:
        """Models write null for what they do not need, and a match or source on acts, which have none."""
        if not isinstance(data, dict):
            return data
        flows = data.get("flows") or {}
        if isinstance(flows, dict):
            flows = {name: _lean_items(flow) for name, flow in flows.items()}
        return _lean_items({**data, "flows": flows})

    def contract(self, feature_id: str, known: Known) -> Contract:
        """The contract this draft makes; known names keep their description, names not used are dropped.

        Raises: ValidationError: items use names nobody described.
        """
        targets = self._described(self.items, known)
        return Contract(feature_id=feature_id, targets=targets, items=self.items)

    def new_flows(self, known: Known) -> dict[str, Flow]:
        """The flows it brings that the project does not have and it uses itself.

        Raises: ValidationError: acts use names nobody described, or are of another flow.
        """
        used = {item.value for item in self.items if isinstance(item, Act) and item.act == "flow"}
        fresh = {name: flow for name, flow in self.flows.items() if name in used - known.flows.flows.keys()}
        return {
            name: Flow(description=flow.description, targets=self._described(flow.items, known), items=flow.items)
            for name, flow in fresh.items()
        }

    def _described(self, items: Sequence[Item], known: Known) -> dict[str, str]:
        used = dict.fromkeys(name for item in items for name in targets_of(item))
        described = {**self.targets, **known.elements}
        return {name: described[name] for name in used if name in described}


def _lean_items(data: Any) -> Any:
    if not isinstance(data, dict) or not isinstance(data.get("items"), list):
        return data
    return {**data, "items": [_lean(i) if isinstance(i, dict) else i for i in data["items"]]}


def _lean(item: dict[str, Any]) -> dict[str, Any]:
    other = {"match", "source", "number", "values", "tolerance", "masks"}
    if "expect" in item:
        other = {"given"} if compares_two(str(item["expect"])) else {"to", "given"}
    return {key: value for key, value in item.items() if value is not None and key not in other}


AnyDraft = Draft | ServiceDraft | ProgramDraft
DRAFTS: dict[Kind, type[AnyDraft]] = {"web": Draft, "service": ServiceDraft, "program": ProgramDraft}
"""What an author submits, by the kind of the project."""


async def write_contract(model: Model, feature: Feature, spec_lines: str, known: Known, conversation: str) -> Agreed:
    """Write a feature's contract.

    Args:
        model: asked in the role verifier; one call, more only for refused answers.
        feature: its text; its state is not shown.
        spec_lines: the lines of the specification it covers.
        known: names and flows that can be used again.
        conversation: names the conversation in events and recordings.

    Raises: ModelError: no acceptable contract in three attempts; resume, or name another model for the verifier.
    Replay: asking again costs a call and may give another contract; callers keep the one they agreed.
    """
    return await _write(model, feature, spec_lines, known, conversation, _question(feature, spec_lines, known))


async def revise_contract(
    model: Model,
    feature: Feature,
    spec_lines: str,
    known: Known,
    conversation: str,
    earlier: Contract,
    problems: Sequence[str],
) -> Agreed:
    """Write a contract again that proved too little; otherwise as `write_contract`.

    Args:
        model: as there.
        feature: as there.
        spec_lines: as there.
        known: as there.
        conversation: another than the earlier contract's.
        earlier: the contract it takes the place of.
        problems: in words about the contract alone, never about the code: "item 4: nothing makes this fail".
    """
    question = f"{_question(feature, spec_lines, known)}\n\n{_again(earlier, problems)}"
    return await _write(model, feature, spec_lines, known, conversation, question)


async def _write(
    model: Model, feature: Feature, spec_lines: str, known: Known, conversation: str, question: str
) -> Agreed:
    from langchain_core.messages import HumanMessage, SystemMessage

    def problems(draft: AnyDraft) -> list[str]:
        return draft_problems(draft, feature, spec_lines, known)

    messages: list[BaseMessage] = [SystemMessage(load_prompt("verifier", known.kind)), HumanMessage(question)]
    wanted = DRAFTS[known.kind]
    draft, _ = await model.ask("verifier", conversation, messages, wanted, attempts=AUTHOR_ATTEMPTS, check=problems)
    return agree(draft, feature, spec_lines, known)


def draft_for(data: Mapping[str, Any], kind: Kind) -> type[AnyDraft]:
    """What a contract that somebody wrote is read as: by its acts, whatever the project mostly is."""
    items = data.get("items")
    acts = {item.get("act") for item in items if isinstance(item, dict)} if isinstance(items, list) else set()
    return DRAFTS["service" if "request" in acts else "program" if "run" in acts else kind]


def draft_problems(draft: AnyDraft, feature: Feature, spec_lines: str, known: Known) -> list[str]:
    """Everything that keeps a draft from being agreed, as sentences for who wrote it."""
    idle = [
        f"the flow {name!r} is not used here; leave it out, or begin the contract with the act flow."
        for name in draft.flows
        if name not in known.flows.flows and not any(_does(item, name) for item in draft.items)
    ]
    try:
        flows = known.flows.with_more(draft.new_flows(known))
        contract = flows.expand(draft.contract(feature.id, known))
        text = "\n".join(filter(None, [spec_lines, known.interface.text]))
        return [*idle, *lint_contract(contract, feature, text), *known.interface.problems(contract)]
    except UnknownFlow as exc:
        return [*idle, f"{exc}. Write it in `flows`, or use acts."]
    except ValidationError as exc:
        return [*idle, *(error["msg"] for error in exc.errors(include_url=False))]


def agree(draft: AnyDraft, feature: Feature, spec_lines: str, known: Known) -> Agreed:
    """The contract a sound draft makes; acts that are a flow of the project become that flow.

    Raises: ValidationError, UnknownFlow: the draft has problems.
    """
    new = draft.new_flows(known)
    flows = known.flows.with_more(new)
    whole = flows.expand(draft.contract(feature.id, known))
    folded = flows.expand(flows.fold(whole, any_step=True))
    if not lint_contract(folded, feature, spec_lines):  # else a step lost the act it needs
        whole = folded
    return Agreed(whole, new)


def _does(item: Item, flow: str) -> bool:
    return isinstance(item, Act) and item.act == "flow" and item.value == flow


def _again(earlier: Contract, problems: Sequence[str]) -> str:
    left_out = {"version", "feature_id", "by", "accepted"}
    draft = earlier.model_dump_json(by_alias=True, exclude_defaults=True, exclude=left_out)
    parts = ["An earlier contract was:", fence(draft, "the earlier contract")]
    parts += ["Write the whole contract again, without these faults:", fence("\n".join(problems), "faults")]
    return "\n\n".join(parts)


def _question(feature: Feature, spec_lines: str, known: Known) -> str:
    steps = "\n".join(f"{number}. {step}" for number, step in enumerate(feature.steps, 1))
    parts = [
        "Write the contract of this feature.",
        fence(f"{feature.description}\n\nSteps:\n{steps}", f"feature {feature.id}"),
    ]
    if spec_lines.strip():
        parts.append(fence(spec_lines.strip(), "the specification"))
    if known.interface.document.operations:
        about = " ".join([feature.description, *feature.steps, spec_lines])
        told = fence(known.interface.document.in_words(about), "the project's OpenAPI document")
        parts += ["Its paths and schemas are documented; take them from here:", told]
    if known.interface.fixed:
        fixed = fence("\n".join(known.interface.fixed), "earlier checks")
        parts += ["What earlier checks of this project ask and expect; keep to the same names:", fixed]
    if known.elements:
        names = "\n".join(_names(known.elements))
        parts += ["Names the project already has; reuse those that fit:", fence(names, "element names")]
    if known.flows.flows:
        told = "\n\n".join(words.flow(name, flow) for name, flow in sorted(known.flows.flows.items()))
        parts += ["Flows the project already has; begin with one where it fits:", fence(told, "flows")]
    return "\n\n".join(parts)


def _names(elements: Mapping[str, str]) -> Iterator[str]:
    """Names with what they are; of many that differ in a quoted text, such as `item "Rent"`, the first ones."""
    alike: dict[str, list[str]] = {}
    for name in sorted(elements):
        alike.setdefault(_QUOTED.sub('"…"', name), []).append(name)
    for shape, names in alike.items():
        shown = names[:ALIKE_SHOWN]
        yield from (f"{name}: {elements[name]}" for name in shown)
        if len(names) > len(shown):
            yield f"... and {len(names) - len(shown)} more like {shape}"


def contract_words(contract: Contract, steps: Sequence[str] = ()) -> str:
    """The contract as the coder and a person read it; `steps` puts the feature's own lines above what is theirs."""
    return words.show(contract, steps)
