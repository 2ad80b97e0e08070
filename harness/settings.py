"""What a person can set, and where it comes from.

Later wins: defaults, the user's own file (`$XDG_CONFIG_HOME/harness/config.toml`), the project's `harness.toml`,
the environment, flags. Whoever wrote a repository wrote its `harness.toml` too, so that file may not say where the
key or the memory go, nor which program starts; of the sandbox it may only narrow what the user allows. The API key is
read from the environment by the model adapter alone and is not a setting, so that no dump of settings can show it.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from harness.errors import ContractError

SandboxMode = Literal["plan", "project", "project+net", "off"]
PrepareNetwork = Literal["off", "registries", "on"]
Kind = Literal["web", "service", "program"]
HostName = Annotated[
    str, Field(pattern=r"^(\*\.)?[A-Za-z0-9_][A-Za-z0-9_.-]*(:\d{1,5})?$|^\[[0-9A-Fa-f:.]+\](:\d{1,5})?$")
]
"""`name`, `*.name` (all below it, not itself) or an address, with `:port`; 443 without one."""


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class FallbackSettings(_Section):
    """Who answers while the endpoint will not: its quota is used up, it is dead, it refuses the key."""

    name: str = ""
    """Model name; empty: there is no fallback."""
    quirks: list[str] | None = None
    """As for the first endpoint."""
    base_url: str = ""
    """Empty: the same endpoint. Another one gets its own key, `OPENAI_FALLBACK_API_KEY`."""
    images: bool = False
    """Whether it takes pictures; else they are left out while it answers."""
    usd_per_million_input: float = 0.0
    usd_per_million_cached: float = 0.0
    usd_per_million_output: float = 0.0


class ModelSettings(_Section):
    """Which endpoint and models answer."""

    name: str = ""
    """Model name; `OPENAI_MODEL`."""
    base_url: str = "https://api.openai.com/v1"
    """Any Chat Completions endpoint; `OPENAI_BASE_URL`."""
    quirks: list[str] | None = None
    """How the endpoint differs, by the names of `docs/endpoints.md`; None: what is known of its host."""
    roles: dict[Literal["initializer", "coder", "verifier"], str] = Field(default_factory=dict)
    """Model names that differ by role."""
    temperature: float | None = None
    """None leaves it to the endpoint."""
    max_output_tokens: int | None = None
    context_tokens: int = 128_000
    """The model's window; near its end older tool results are condensed, then earlier turns handed over."""
    images: bool = False
    """Whether the models take pictures: then `read_file` and `browser_screenshot` show them."""
    call_seconds: float = 600.0
    """Overall time limit of one call, retries not included."""
    max_retries: int = 5
    retry_after_seconds: float = 60.0
    """The longest Retry-After that is waited for; a longer one is a safe stop."""
    usd_per_million_input: float = 0.0
    usd_per_million_cached: float = 0.0
    usd_per_million_output: float = 0.0
    fallback: FallbackSettings = Field(default_factory=FallbackSettings)


class LimitSettings(_Section):
    """When a session, a feature or the thread stops. 0 means no limit."""

    session_turns: int = 80
    session_minutes: float = 60.0
    repairs: int = 2
    """Failed verdicts mended in the same context before a fresh session starts."""
    sessions: int = 3
    """Fresh sessions before a feature is parked."""
    thread_tokens: int = 0
    thread_usd: float = 0.0
    thread_minutes: float = 0.0


class AppSettings(_Section):
    """What is built, and how it is started where that is not `init.sh`."""

    kind: Kind = "web"
    """`web` has pages, `service` answers requests, `program` is run: a tool or a library, without a server."""
    prepare: str = "./init.sh prepare"
    serve: str = "./init.sh serve"
    reset: str = ""
    """Empties the data; empty: the instance is restarted with a new data directory."""
    ready_path: str = "/"
    """Path that answers when the application is up."""
    help: str = "./init.sh help"
    """Of a program: prints how it is used; that it does shows that it can be run. Empty: nothing is tried."""
    openapi: str = ""
    """Of a service: its OpenAPI document; empty: openapi.json, openapi.yaml or openapi.yml, if there is one."""
    start_seconds: float = 30.0
    prepare_seconds: float = 600.0


class GateSettings(_Section):
    """The project's own lint and tests, which must pass before a commit."""

    commands: list[str] = Field(default_factory=list)
    tests: str = ""
    """The project's own tests: what passed before a feature must go on passing, what failed already stops nothing. It
    may write a report of each test to `$HARNESS_REPORT` (JUnit XML, jest's or go's JSON); else its exit code counts."""
    seconds: float = 600.0


class SandboxSettings(_Section):
    """What code of the project may do."""

    mode: SandboxMode = "project"
    """`plan` only looks: nothing can be written; `project+net` reaches `hosts`; `off` is a flag, never in a file."""
    hosts: list[HostName] = Field(default_factory=list)
    """What `project+net` lets through; the project's own file may not name any."""
    prepare_network: PrepareNetwork = "off"
    """What `init.sh prepare` may reach: nothing, the registries of the person's own package clients, or everything."""
    prepare_cache_mb: int = Field(default=4096, ge=0)
    """How much is kept of what `prepare` made, for other trees with the same sources; 0: nothing."""
    command_seconds: float = Field(default=120.0, gt=0, allow_inf_nan=False)
    memory_mb: int = Field(default=6144, gt=0)
    output_bytes: int = Field(default=200_000, gt=0)

    @field_validator("prepare_network", mode="before")
    @classmethod
    def _as_it_was_written_before(cls, value: Any) -> Any:
        return {True: "on", False: "off"}[value] if isinstance(value, bool) else value


class CoderSettings(_Section):
    """Who builds: our own loop, or a command-line agent of the person's. It starts a program, so it is theirs alone."""

    command: list[Annotated[str, Field(min_length=1)]] = Field(default_factory=list)
    """The agent's command line; empty: our own loop. `{brief}` in a word is where the brief lies."""
    input: Literal["stdin", "file"] = "stdin"
    """How it gets the brief."""
    hosts: list[HostName] = Field(default_factory=list)
    """What it alone reaches: its endpoint."""
    pass_env: list[Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]] = Field(default_factory=list)
    """Variables that it alone is given: its key."""
    home: list[Annotated[str, Field(pattern=r"^~/.+")]] = Field(default_factory=list)
    """Files and directories of the person's home, copied into its own."""
    read_only: list[Annotated[str, Field(pattern=r"^(~/|/).+")]] = Field(default_factory=list)
    """Where it is installed, if not below /usr or /opt; shown to it alone."""

    @model_validator(mode="after")
    def _is_sound(self) -> Self:
        if self.command and self.input == "file" and not any("{brief}" in word for word in self.command):
            raise ValueError('with input = "file" a word of the command must hold {brief}')
        return self


class VerifySettings(_Section):
    """How checks are replayed."""

    regress_seconds: float = 120.0
    wait_seconds: float = 5.0
    """How long a condition is waited for."""
    hold_seconds: float = 0.1
    """How long a group of expectations must go on holding."""
    chromium: str = ""
    """Executable; empty: found on PATH."""
    workers: int = 0
    """Pages replaying at once; 0: cores + 1."""


class MemorySettings(_Section):
    """Where records are indexed."""

    uri: str = ""
    """Milvus; empty: Milvus Lite beside the records. `MILVUS_URI`."""
    embedding_model: str = "sentence-transformers/all-MiniLM-L6-v2"
    """`EMBEDDING_MODEL`: a hub name or a directory."""


class Settings(_Section):
    """All of it."""

    model: ModelSettings = Field(default_factory=ModelSettings)
    limits: LimitSettings = Field(default_factory=LimitSettings)
    app: AppSettings = Field(default_factory=AppSettings)
    gate: GateSettings = Field(default_factory=GateSettings)
    sandbox: SandboxSettings = Field(default_factory=SandboxSettings)
    coder: CoderSettings = Field(default_factory=CoderSettings)
    verify: VerifySettings = Field(default_factory=VerifySettings)
    memory: MemorySettings = Field(default_factory=MemorySettings)


ENVIRONMENT = {
    "OPENAI_MODEL": ("model", "name"),
    "OPENAI_BASE_URL": ("model", "base_url"),
    "MILVUS_URI": ("memory", "uri"),
    "EMBEDDING_MODEL": ("memory", "embedding_model"),
}


FOR_PROJECTS = {
    "model": set(ModelSettings.model_fields) - {"base_url", "quirks", "fallback"},
    "limits": set(LimitSettings.model_fields),
    "app": set(AppSettings.model_fields),
    "gate": set(GateSettings.model_fields),
    "sandbox": set(SandboxSettings.model_fields) - {"hosts"},
    "verify": set(VerifySettings.model_fields) - {"chromium"},
}
"""What the project's own file may set; of the sandbox only to less than the user allows."""
NARROW_TO_WIDE = {"mode": ("plan", "project", "project+net"), "prepare_network": ("off", "registries", "on")}
"""Settings of the sandbox that are words; all others are numbers, and a smaller one is narrower."""
REFUSED = {
    ("sandbox", "mode", "off"): "it is switched off on the command line only (`--sandbox off`), never in a file",
    ("app", "server", False): 'what has no server is said by `kind = "program"`',
}
"""Values that no file may hold, and why."""

Tell = Callable[[str], object]


def load_settings(
    project_dir: Path | None = None, flags: dict[str, Any] | None = None, tell: Tell | None = None
) -> Settings:
    """Merge all sources into one frozen value.

    Args:
        project_dir: where `harness.toml` may lie; None: no project.
        flags: nested values from the command line, `{"sandbox": {"mode": "off"}}`.
        tell: hears what the project's file asked for and did not get.

    Raises: ContractError: a file is not TOML or holds an unknown or wrong setting; the user mends that file.
    """
    user = _read(user_config_path())
    project = _read(project_dir / "harness.toml") if project_dir else {}
    allowed = SandboxSettings.model_validate(user.get("sandbox", {}))
    accepted, denied = _accept(project, allowed)
    if tell:
        for what in denied:
            tell(f"{what} Set it in {user_config_path()} if you want it.")
    environment: dict[str, Any] = {}
    for variable, (section, key) in ENVIRONMENT.items():
        if value := os.environ.get(variable):
            environment.setdefault(section, {})[key] = value
    return _validated(_merge(user, accepted, environment, flags or {}), "Mend the flag.")


def user_config_path() -> Path:
    """The user's own settings file, outside every project."""
    return Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "harness" / "config.toml"


def _read(path: Path) -> dict[str, Any]:
    """What a file sets, each setting known and of its type."""
    found = _read_toml(path)
    for (section, key, value), why in REFUSED.items():
        if isinstance(values := found.get(section), dict) and values.get(key) == value:
            raise ContractError(f"{path} sets {section}.{key}: {why}.", "Remove it from that file.")
    return _validated(found, f"Mend it in {path}.").model_dump(exclude_unset=True)


def _validated(found: dict[str, Any], remedy: str) -> Settings:
    try:
        return Settings.model_validate(found)
    except ValidationError as exc:
        lines = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in exc.errors()[:5])
        raise ContractError(f"A setting is not understood: {lines}", remedy) from exc


def _read_toml(path: Path) -> dict[str, Any]:
    if not path.exists():
        return {}
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as exc:
        raise ContractError(f"{path} cannot be read: {exc}", "Mend or move the file; it was left as it is.") from exc


def _accept(project: dict[str, Any], allowed: SandboxSettings) -> tuple[dict[str, Any], list[str]]:
    """What the repository's file may have, and what was denied to it.

    Args:
        project: the file, understood.
        allowed: the sandbox as the user has it.
    """
    accepted: dict[str, Any] = {}
    denied = []
    for section, values in project.items():
        for key, value in values.items():
            if why := _denial(section, key, value, allowed):
                denied.append(f"The project's harness.toml {why}.")
            else:
                accepted.setdefault(section, {})[key] = value
    return accepted, denied


def _denial(section: str, key: str, value: Any, allowed: SandboxSettings) -> str:
    """Why a setting is left out, without its value; empty when it is accepted."""
    if key not in FOR_PROJECTS.get(section, ()):
        return f"may not set {section}.{key}: it is left out"
    if section == "sandbox" and _width(key, value) > _width(key, bound := getattr(allowed, key)):
        return f"may only narrow {section}.{key}: it stays {bound}"
    return ""


def _width(key: str, value: Any) -> float:
    return float(NARROW_TO_WIDE[key].index(value)) if key in NARROW_TO_WIDE else float(value)


def _merge(*layers: dict[str, Any]) -> dict[str, Any]:
    merged: dict[str, Any] = {}
    for layer in layers:
        for key, value in layer.items():
            old = merged.get(key)
            merged[key] = {**old, **value} if isinstance(old, dict) and isinstance(value, dict) else value
    return merged
