"""Everything that can go wrong, as one tree.

    HarnessError                  a fault; says what happened, to which id, and what to do next
    |- SetupError                 the user can fix it: missing key, no Chromium, dirty tree        exit 3
    |- ContractError              a file breaks its schema                                         exit 4
    |  `- FeatureFileError        features.json, progress.json or a check
    |     `- UnknownFeature        somebody asked for an id that the list does not have           exit 2
    `- AdapterError               the outside failed                                               exit 5
       |- ModelError  RepoError  BrowserError  RecallError  ShellError
    StopRun                       not a fault: why a run ended; its name is the exit_status
    |- Finished (0)  FeaturesOpen  AwaitsReview (1)  TurnLimit  CostLimit  TimeLimit (1)  Interrupted (130)
    ToolRetry / ToolFailed        text for the model: mend the call / choose another way

Each adapter maps its library's exceptions in one context manager, most specific first, with `raise ... from exc`.
A failing command *of the model's* is a result, not an exception; a failing shell *of ours* is a ShellError.
"""

from __future__ import annotations


class HarnessError(Exception):
    """A fault a person must hear about.

    Args:
        what: what happened and to which file or id.
        remedy: what the person can do next; empty when nothing is known to help.
    """

    exit_code = 5

    def __init__(self, what: str, remedy: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.what}\n{self.remedy}" if self.remedy else self.what


class SetupError(HarnessError):
    """Something the user can put right before a run: a key, a program, a directory."""

    exit_code = 3


class ContractError(HarnessError):
    """A file breaks its schema. It is named and left as it is."""

    exit_code = 4


class FeatureFileError(ContractError):
    """`features.json`, `progress.json` or a check cannot be read as what it should be."""


class AdapterError(HarnessError):
    """The outside failed: endpoint, git, browser, index or shell."""


class ModelError(AdapterError):
    """The model endpoint failed in a way that retrying did not mend."""


class RepoError(AdapterError):
    """Git refused or failed."""


class BrowserError(AdapterError):
    """Chromium or its driver failed; never raised for what a page shows."""


class RecallError(AdapterError):
    """Records or their index could not be read or written."""


class ShellError(AdapterError):
    """The harness's own sandbox or process handling failed; never a command of the model's."""


class StopRun(Exception):
    """A run ends, and this is why. The class name is the `exit_status`."""

    exit_code = 1

    def __init__(self, reason: str = "") -> None:
        super().__init__(reason)
        self.reason = reason

    @property
    def exit_status(self) -> str:
        """The name of what ended the run."""
        return type(self).__name__


class Finished(StopRun):
    """Every feature passes."""

    exit_code = 0


class FeaturesOpen(StopRun):
    """Nothing more can be done and some features are parked."""


class TurnLimit(StopRun):
    """The turns or sessions allowed are used up."""


class CostLimit(StopRun):
    """The tokens or the money allowed are used up."""


class TimeLimit(StopRun):
    """The minutes allowed are used up."""


class AwaitsReview(StopRun):
    """What is proved waits for a person's word."""


class Interrupted(StopRun):
    """The person asked to stop."""

    exit_code = 130


class ToolRetry(Exception):
    """The model can mend this call; the text says how."""


class ToolFailed(Exception):
    """This call cannot work; the model must choose another way."""


class Refused(ToolFailed):
    """Policy does not allow this call, whatever its arguments; nothing was done."""
