"""What `init.sh` of one project must know beyond the protocol that holds for all: what the person's settings ask of it.

Empty while nothing is set, so a project that needs no settings is told nothing but the prompts.
"""

from __future__ import annotations

from harness.settings import AppSettings, Settings

REACHES = {"registries": "the package registries (npm, PyPI, Debian's) and nothing else", "on": "the network"}

_SERVED = (
    "Other processes than the one that serves pages listen on `$PORT_1` and `$PORT_2`.",
    "What `prepare` leaves under `$HARNESS_DATA_DIR`, say a database with its tables, lies there again, copied, each "
    "time `serve` begins on empty data. The path differs from one start to the next.",
)


def asked_by(settings: Settings, *, can_prepare: bool = True) -> str:
    """The end of a prompt of a role that works on `init.sh`, with the blank line before it; empty: nothing is set.

    Args:
        can_prepare: it has a tool with which it can prepare itself, with the network that is allowed.
    """
    lines = [*_network(settings, can_prepare), *_application(settings.app)]
    if not lines:
        return ""
    lines += _SERVED if settings.app.kind != "program" else ()
    told = "\n".join(f"- {line}" for line in lines)
    return f"\n\n# How this project is set up\n\nWhere this differs from the above, this counts.\n\n{told}"


def _network(settings: Settings, can_prepare: bool) -> list[str]:
    network, prepare = settings.sandbox.prepare_network, settings.app.prepare
    if network == "off" or not prepare:
        return []
    yourself = "also when you give it to `run_command` alone and just so" if can_prepare else "when the harness runs it"
    return [
        f"`{prepare}` reaches {REACHES[network]}, {yourself}. All else has no network.",
        "Name what it makes, such as node_modules and dist, in .gitignore; lock files, which it makes, are committed.",
    ]


def _application(app: AppSettings) -> list[str]:
    plain = AppSettings()
    told = {
        "prepare": f"The harness prepares with `{app.prepare}`." if app.prepare else "Nothing is prepared.",
        "help": f"The harness has the program tell how it is used by `{app.help}`." if app.help else "",
        "serve": f"The harness starts the application with `{app.serve}`.",
        "ready_path": f"It is up when `{app.ready_path}` on $PORT answers with a status below 500.",
        "start_seconds": f"It has {app.start_seconds:g} seconds to be up.",
        "reset": f"`{app.reset}` empties the data while the application runs, with the same variables as `serve`.",
    }
    return [line for name, line in told.items() if line and getattr(app, name) != getattr(plain, name)]
