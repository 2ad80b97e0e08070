"""Which calls are told to lead nowhere."""

from __future__ import annotations

import pytest
from langchain_core.messages import AIMessage, AnyMessage, HumanMessage, ToolMessage

from harness.circles import PRESSED, going_in_circles

Done = tuple[str, dict[str, str], str]

TEST: Done = ("run_command", {"command": "npm test"}, "exit code 1")
EDIT: Done = ("edit_file", {"path": "a", "search": "1", "replace": "2"}, "edited")
UNDO: Done = ("edit_file", {"path": "a", "search": "2", "replace": "1"}, "edited")
READ: Done = ("read_file", {"path": "a"}, "a, lines 1-1 of 1")
WAIT: Done = ("process_output", {"name": "process-1"}, "process-1 is running.")
TAB: Done = ("browser_act", {"act": "press", "value": "Tab"}, "Done.")

ADD: Done = ("browser_act", {"act": "click", "target": "Add"}, "Done.")


def said(*done: Done) -> list[AnyMessage]:
    """A conversation in which these calls were made, one a turn."""
    messages: list[AnyMessage] = [HumanMessage("the brief")]
    for number, (name, args, result) in enumerate(done):
        call = {"id": f"c{number}", "name": name, "args": args, "type": "tool_call"}
        messages += [AIMessage("", tool_calls=[call]), ToolMessage(result, tool_call_id=f"c{number}")]
    return messages


@pytest.mark.parametrize(
    ("done", "told"),
    [
        ([TEST] * 3, "3 times over"),
        ([READ, TEST, TEST, TEST], "run_command"),
        ([EDIT, TEST, UNDO, TEST] * 3, "12 calls"),
        ([EDIT, UNDO] * 3, "edit_file"),
        ([TAB] * PRESSED, "browser_act"),
        ([ADD, TAB] * 6, "12 calls"),
        ([ADD, TAB] * 5, ""),
        ([TEST] * 2, ""),
        ([TEST, EDIT, TEST, EDIT, TEST], ""),
        ([TEST, TEST, (*TEST[:2], "exit code 0")], ""),
        ([WAIT] * 9, ""),
        ([TAB] * (PRESSED - 1), ""),
        ([], ""),
    ],
)
def test_the_same_three_times_over_is_told_and_nothing_else(done: list[Done], told: str) -> None:
    why = going_in_circles(said(*done))
    assert (told in why) if told else why == ""


def test_what_was_repeated_before_somebody_spoke_does_not_count() -> None:
    assert going_in_circles([*said(TEST, TEST), HumanMessage("It leads nowhere."), *said(TEST)[1:]]) == ""


def test_a_call_that_can_never_be_read_is_a_circle_too() -> None:
    garbled = {"name": "write_file", "args": '{"path": "a', "error": "not JSON", "type": "invalid_tool_call"}
    messages: list[AnyMessage] = [HumanMessage("the brief")]
    for number in range(3):
        message = AIMessage("", invalid_tool_calls=[{**garbled, "id": f"c{number}"}])  # type: ignore[typeddict-item]  # as it comes
        messages += [message, ToolMessage("not carried out: not JSON", tool_call_id=f"c{number}")]
    assert "write_file" in going_in_circles(messages)
    assert going_in_circles(messages[:-2]) == ""
