"""What a project's settings add to the prompts, and that they add nothing where nothing is set."""

from __future__ import annotations

import pytest

from harness.protocol import asked_by
from harness.settings import AppSettings, Settings


def test_a_project_without_settings_is_told_the_prompts_alone() -> None:
    assert asked_by(Settings()) == ""


@pytest.mark.parametrize(
    ("setting", "told"),
    [
        (
            {"sandbox": {"prepare_network": "registries"}},
            "reaches the package registries (npm, PyPI, Debian's) and nothing",
        ),
        ({"sandbox": {"prepare_network": "on"}}, "`./init.sh prepare` reaches the network, also when"),
        ({"app": {"start_seconds": 60}}, "It has 60 seconds to be up."),
        ({"app": {"ready_path": "/health"}}, "It is up when `/health` on $PORT answers"),
        ({"app": {"reset": "./init.sh reset"}}, "`./init.sh reset` empties the data while"),
        ({"app": {"serve": "make serve"}}, "starts the application with `make serve`"),
    ],
)
def test_a_setting_is_told_with_what_goes_with_it(setting: dict[str, dict[str, object]], told: str) -> None:
    text = asked_by(Settings.model_validate(setting))
    assert told in text
    assert "`$PORT_1` and `$PORT_2`" in text


def test_a_program_is_told_nothing_of_ports() -> None:
    assert "$PORT" not in asked_by(Settings.model_validate({"app": {"kind": "program", "help": "notes --help"}}))


def test_all_that_a_person_can_set_of_the_application_is_told() -> None:
    untold = {"prepare_seconds", "kind", "openapi"}
    """A limit that nobody meets who prepares as others do; what prompts of its own tell, and authors alone."""
    for name, field in AppSettings.model_fields.items():
        other = {"kind": "service"}.get(name, 77.0 if isinstance(field.default, float) else "another")
        assert bool(asked_by(Settings(app=AppSettings.model_validate({name: other})))) != (name in untold), name
