"""What is wrong with a project: its repository, its files, and whether checkpoint, git and files tell one story.

The comparison is the cheap half of what a run does when it starts: it tells, a run repairs.
"""

from __future__ import annotations

import asyncio
import shlex
import sqlite3
from pathlib import Path

from harness.doctor import Finding, careful
from harness.errors import HarnessError
from harness.features import FeatureList
from harness.progress import Progress
from harness.project import Project, read_holder
from harness.repo import Repo
from harness.threads import latest_thread


async def examine_project(directory: Path) -> list[Finding]:
    """Look at a project; an uninitialised one has little to look at."""
    try:
        project = Project.find(directory)
    except HarnessError as exc:
        return [Finding("project", "fail", exc.what, exc.remedy)]
    findings = await careful("git", lambda: _git(project))
    findings += await careful("features", lambda: _features(project))
    findings += await careful("progress", lambda: _progress(project))
    findings += await _checks(project)
    findings += await careful("audit", lambda: _audit(project))
    findings += await careful("thread audit", lambda: _thread_audit(project))
    findings += await careful("evidence", lambda: _evidence(project))
    findings += await careful("checkpoints", lambda: _checkpoints(project))
    return findings + await careful("thread", lambda: _thread(project))


async def _git(project: Project) -> list[Finding]:
    repo = await asyncio.to_thread(Repo.open, project.directory)
    version = (await repo.git.run("version")).strip().removeprefix("git version ")
    findings = [Finding("git", "ok", f"git {version}, repository {repo.git.root}")]
    if repo.prefix:
        findings.append(Finding("git", "ok", f"the project is {repo.prefix!r} inside that repository"))
    findings += await careful("identity", lambda: _identity(repo))
    if await repo.branch() is None:
        remedy = "Check out a branch: `git switch -c work`."
        findings.append(Finding("git", "fail", "HEAD is detached: proved work would have no branch to go to.", remedy))
    return findings


async def _identity(repo: Repo) -> list[Finding]:
    repo.require_identity()
    return [Finding("identity", "ok", repo.git.identity["GIT_AUTHOR_NAME"])]


async def _features(project: Project) -> list[Finding]:
    if not project.features_file.exists():
        remedy = f"`harness init {shlex.quote(str(project.directory))} --spec FILE` makes one."
        return [Finding("features", "warn", "There is no features.json.", remedy)]
    return [Finding("features", "ok", str(FeatureList.load(project.features_file).totals))]


async def _progress(project: Project) -> list[Finding]:
    if not project.progress_file.exists():
        return []
    return [Finding("progress", "ok", f"{Progress.load(project.progress_file).totals.sessions} sessions")]


async def _checks(project: Project) -> list[Finding]:
    """Every check and the element names, each named when it is broken; and proofs that are gone."""
    findings = []
    paths = sorted(project.checks_dir.glob("*.json"))
    for path in paths:
        findings += await careful("checks", lambda path=path: _check(path))  # type: ignore[misc]  # mypy sees a default argument as part of the type
    findings += [] if findings else await careful("checks", lambda: _flows(project))
    try:
        features = FeatureList.load(project.features_file).features
    except HarnessError:
        return findings
    known = {path.stem for path in paths}
    for feature in (f for f in features if f.passed_at and f.id not in known):
        text, remedy = f"{feature.id} passes, and its check is gone.", "Restore it: `git restore checks`."
        findings.append(Finding("checks", "fail", text, remedy))
    return findings or [Finding("checks", "ok", f"{len(paths)} files")] * bool(paths)


async def _check(path: Path) -> list[Finding]:
    from pydantic import BaseModel

    from harness.verify.check import Check, Elements, Flows
    from harness.verify.files import parse

    kinds: dict[str, type[BaseModel]] = {"elements.json": Elements, "flows.json": Flows}
    parse(kinds.get(path.name, Check), path)
    return []


async def _flows(project: Project) -> list[Finding]:
    """Files that are whole by themselves must go together: each check finds its flow."""
    from harness.verify.files import read_checks

    read_checks(project.checks_dir)
    return []


async def _audit(project: Project) -> list[Finding]:
    """Do list, checks and commits say what was concluded?"""
    from harness.verify.trail import follow

    if not project.features_file.exists():
        return []
    trail = await follow(project)
    if not trail.problems:
        note = f"; {trail.note}" if trail.note else ""
        return [Finding("audit", "ok", f"{trail.lines} verdicts agree with list, checks and commits{note}")]
    remedy = "Take the change back: `git log -p -- features.json checks`; then `harness verify`."
    return [Finding("audit", "fail", problem, remedy) for problem in trail.problems]


async def _thread_audit(project: Project) -> list[Finding]:
    """Is the record of what the last thread did what was written then?"""
    from harness.thread_audit import BROKEN, NOT_WHOLE, audit_file, begins_after, load_audit, unanchored
    from harness.verify.trail import anchors

    if (thread := latest_thread(project)) is None:
        return []
    path = audit_file(project.trajectories_dir, thread.thread_id)
    lines = load_audit(path)
    repo = await asyncio.to_thread(Repo.open, project.directory)
    if why := unanchored(lines, await anchors(repo, thread.thread_id)):
        return [Finding("thread audit", "fail", f"{path}: {why}", BROKEN)]
    if before := begins_after(lines):
        return [
            Finding("thread audit", "warn", f"{path}: {NOT_WHOLE.format(before=before)}", "Look at the other file.")
        ]
    return [Finding("thread audit", "ok", f"{len(lines)} lines fit")] * bool(lines)


async def _evidence(project: Project) -> list[Finding]:
    from harness.verify.trail import evidence_problems

    remedy = f"Do not trust it; `harness verify {shlex.quote(str(project.directory))}` makes new evidence."
    return [Finding("evidence", "fail", problem, remedy) for problem in evidence_problems(project)]


async def _checkpoints(project: Project) -> list[Finding]:
    path = project.checkpoints_file
    if not path.exists():
        return []
    remedy = "Move the file away and run again: the build goes on from git; only the session in work is lost."
    try:
        answer = await asyncio.to_thread(_quick_check, path)
    except sqlite3.Error as exc:
        answer = str(exc)
    if answer != "ok":
        return [Finding("checkpoints", "fail", f"{path} is broken: {answer}", remedy)]
    return [Finding("checkpoints", "ok", f"{path.stat().st_size // 1024:,} KB")]


def _quick_check(path: Path) -> str:
    connection = sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, timeout=5)
    try:
        return str(connection.execute("PRAGMA quick_check(1)").fetchone()[0])
    finally:
        connection.close()


async def _thread(project: Project) -> list[Finding]:
    thread, holder = latest_thread(project), read_holder(project)
    if holder:
        return [Finding("thread", "ok", f"at work: {holder}")]
    if thread is None:
        return []
    findings = [Finding("thread", "ok", f"{thread.thread_id}: {thread.exit_status or 'cut off'}")]
    again = f"`harness resume {thread.thread_id} {shlex.quote(str(project.directory))}` goes on and puts it right."
    if not thread.exit_status:
        findings = [Finding("thread", "warn", f"{thread.thread_id} was cut off before its end.", again)]
    if journals := list(project.rooms_dir.glob("*.jsonl")):
        text = f"{len(journals)} journals of processes that a killed run may have left."
        findings.append(Finding("thread", "warn", text, again))
    return findings + await _branch_of(project, thread.thread_id)


async def _branch_of(project: Project, thread_id: str) -> list[Finding]:
    """Does git hold what the list claims, and does the user's branch hold what the thread's does?"""
    repo, branch = await asyncio.to_thread(Repo.open, project.directory), project.branch(thread_id)
    tip = (await repo.git.ask("rev-parse", "--verify", "--quiet", f"refs/heads/{branch}")).out.strip()
    if not tip:
        text, remedy = f"The branch {branch} is gone.", "The next run makes it again from your branch."
        return [Finding("thread", "warn", text, remedy)]
    findings = []
    if (await repo.git.ask("merge-base", "--is-ancestor", tip, "HEAD")).code != 0:
        remedy = f"`git -C {shlex.quote(str(project.directory))} merge {branch}` takes it in."
        findings.append(Finding("thread", "warn", f"{branch} holds work that your branch does not.", remedy))
    return findings
