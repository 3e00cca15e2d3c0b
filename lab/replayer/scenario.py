"""Reads a scenario folder: what is sent from where, and what must come of it (see docs/lab.md)."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta, Struct

from .player import Job
from .render import TemplateError, render

FILE: Final = "expect.toml"

#: "zone.number": who sends, as a stage knows it. self.1 is where the attacker's system sends from by itself.
Host = Annotated[str, Meta(pattern=r"^(internet|office|trunk|self)\.[1-9][0-9]{0,2}$")]


class ScenarioError(ValueError):
    """A scenario that can't be replayed: names the folder and key, what is wrong, and what to write."""


class Step(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Something that is sent, and what must be answered. One of `send`, `sipp` and `tool` says what."""

    source: str
    """A name of [sources]."""
    say: str = ""
    """One line for the reader."""
    legitimate: bool = False
    """Traffic of a customer: it must get through."""

    send: tuple[str, ...] = ()
    """Files in messages/, one message each."""
    each: str = ""
    """A file of lines; the messages are sent once for each, with it as {{value}}."""
    count: Annotated[int, Meta(ge=1, le=1000)] = 1
    """How often the messages are sent."""
    ports: Annotated[int, Meta(ge=1, le=64)] = 1
    """Over how many source ports, in turn."""
    transport: Literal["udp", "tcp"] = "udp"
    sequential: bool = False
    """Wait for each answer before the next message."""
    gap: Annotated[float, Meta(ge=0, le=5)] = 0.0
    """Seconds between two messages."""
    passwords: str = ""
    """A file of passwords, one for each message in turn: challenges are answered with it."""
    forged: str = ""
    """A name of [sources]: the messages claim to come from there."""

    sipp: str = ""
    """A sipp scenario in the folder, or in lab/sipp/."""
    users: str = ""
    """sipp's injection file, in the folder or in lab/sipp/."""
    calls: Annotated[int, Meta(ge=1, le=1000)] = 1
    rate: Annotated[int, Meta(ge=1, le=100)] = 10
    """Calls a second."""

    tool: tuple[str, ...] = ()
    """A command; placeholders as in messages."""
    seconds: Annotated[float, Meta(ge=1, le=60)] = 30.0
    """After this the step is ended."""

    answers: tuple[int, ...] = ()
    """Final answers that the guard may lead to; 0 is none. Empty: not looked at."""
    last: int = -1
    """The last message's answer under guard."""
    plain: tuple[int, ...] = ()
    """Final answers without the guard."""
    exit: int = -1
    """The exit code of sipp or the tool under guard."""
    plain_exit: int = -1
    """The same without the guard."""


class Decision(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Records that the guard's decision log must hold. What is left empty is not compared."""

    source: str = ""
    method: str = ""
    action: str = ""
    rule: str = ""
    family: str = ""
    field: str = ""
    count: int = -1
    at_least: int = 1


class BanWanted(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A ban that must have been set, or with `absent` must not."""

    source: str
    rule: str = ""
    absent: bool = False


class Goal(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What an attack is after, and how to see whether it was reached. One probe of the five."""

    say: str
    sql: str = ""
    """A query in the back office's database: reached where its first value is true."""
    file: str = ""
    """A file that the back office's shell hook was made to create."""
    page: str = ""
    """A text in the back office's page of callers."""
    log: str = ""
    """A pattern that matches a whole line of the back office's text log."""
    answered: int = 0
    """The number of a step: reached where one of its messages was answered with 2xx."""
    output: str = ""
    """A pattern in the output of the tool of step `step`."""
    step: int = 0
    guarded: bool = False
    """Reached with the guard too: an honest exception, which the README explains."""
    parameterized: bool = False
    """Reached in the back office that parameterizes and escapes too, without the guard."""


class Scenario(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One expect.toml."""

    title: str
    kind: Literal["attack", "legitimate"]
    demo: bool = True
    """Whether `make demo` replays it; a lab-only one needs what loopback has not."""
    sources: dict[str, Host]
    step: tuple[Step, ...]
    decision: tuple[Decision, ...] = ()
    never: tuple[Decision, ...] = ()
    """Records that must not be there."""
    ban: tuple[BanWanted, ...] = ()
    goal: tuple[Goal, ...] = ()


class Loaded(Struct, frozen=True):
    """A scenario with its place."""

    name: str
    folder: Path
    scenario: Scenario


def load(folder: Path) -> Loaded:
    """Reads one folder. Raises `ScenarioError`."""
    path = folder / FILE
    try:
        scenario = msgspec.toml.decode(path.read_bytes(), type=Scenario)
    except FileNotFoundError:
        raise ScenarioError(f"{path}: no such file; a scenario is a folder with README.md and {FILE}") from None
    except msgspec.ValidationError as error:
        raise ScenarioError(f"{path}: {error}; docs/lab.md lists the keys") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ScenarioError(f"{path}: is not valid TOML: {error}") from error
    loaded = Loaded(folder.name, folder, scenario)
    _check(loaded, path)
    return loaded


def load_all(folder: Path) -> list[Loaded]:
    """Every scenario below `folder`, by name. Raises `ScenarioError`."""
    found = [load(entry) for entry in sorted(folder.iterdir()) if entry.is_dir()]
    if not found:
        raise ScenarioError(f"{folder}: no scenario in it")
    return found


def _check(loaded: Loaded, path: Path) -> None:
    scenario = loaded.scenario
    if not (loaded.folder / "README.md").is_file():
        raise ScenarioError(f"{path}: README.md is missing: write the goal, what happens, and the mitigation")
    if not scenario.step:
        raise ScenarioError(f"{path}: no [[step]]; say what is sent")
    for number, step in enumerate(scenario.step, 1):
        at = f"{path}: step {number}"
        if sum(map(bool, (step.send, step.sipp, step.tool))) != 1:
            raise ScenarioError(f"{at}: write one of send, sipp and tool")
        for name in filter(None, (step.source, step.forged)):
            _known(scenario, name, at)
        for name in (*(f"messages/{file}" for file in step.send), step.each, step.passwords):
            if name and not (loaded.folder / name).is_file():
                raise ScenarioError(f"{at}: {name}: no such file in the scenario's folder")
        for name in filter(None, (step.sipp, step.users)):
            shared(loaded, name)
    wanted = [("decision", found.source) for found in (*scenario.decision, *scenario.never)]
    for what, name in (*wanted, *(("ban", ban.source) for ban in scenario.ban)):
        if name:
            _known(scenario, name, f"{path}: {what}")
    for goal in scenario.goal:
        probes = (goal.sql, goal.file, goal.page, goal.log, goal.answered, goal.output)
        if sum(map(bool, probes)) != 1:
            raise ScenarioError(f"{path}: goal {goal.say!r}: write one of sql, file, page, log, answered and output")
        if not 0 <= max(goal.answered, goal.step) <= len(scenario.step) or (goal.output and not goal.step):
            raise ScenarioError(f"{path}: goal {goal.say!r}: there are steps 1 to {len(scenario.step)}")


def _known(scenario: Scenario, name: str, at: str) -> None:
    if name not in scenario.sources:
        raise ScenarioError(
            f"{at}: source {name!r} is not in [sources]: {', '.join(scenario.sources) or 'it is empty'}"
        )


def shared(loaded: Loaded, name: str) -> Path:
    """A file of the scenario's folder, or of lab/sipp/ where it has none of that name."""
    for folder in (loaded.folder, loaded.folder.parent.parent / "sipp"):
        if (folder / name).is_file():
            return folder / name
    raise ScenarioError(f"{loaded.folder / FILE}: {name}: neither in the scenario's folder nor in lab/sipp/")


def job(loaded: Loaded, step: Step, addresses: Mapping[str, str], host: str, port: int, uas: str) -> Job:
    """The step resolved for one target. `addresses` gives each of [sources] its address."""
    source = addresses[step.source]
    common = {
        "target": f"{host}:{port}",
        "host": host,
        "port": str(port),
        "uas": uas,
        **{name: address for name, address in addresses.items() if name not in ("source", "target")},
    }
    work = Job(host, port, source, transport=step.transport, spread=step.ports, sequential=step.sequential,
               gap=step.gap, seconds=step.seconds, forged=addresses[step.forged] if step.forged else "")  # fmt: skip
    if step.send:
        _messages(loaded, step, work, common)
    elif step.sipp:
        files = [shared(loaded, name) for name in (step.sipp, step.users) if name]
        work.files = {file.name: file.read_bytes().decode("latin-1") for file in files}
        transport = "tn" if step.transport == "tcp" else "un"
        uas_host, _, uas_port = uas.rpartition(":")
        work.argv = [
            "sipp", f"{host}:{port}", "-sf", step.sipp, "-i", source, "-bind_local", "-t", transport, "-m", str(step.calls),
            "-r", str(step.rate), "-l", str(step.calls), "-key", "uas_host", uas_host, "-key", "uas_port", uas_port,
            "-nostdin", "-trace_err", "-error_file", "errors.log", "-timeout", f"{step.seconds:g}", "-timeout_error", "-max_retrans", "4", "-max_socket", "200", "-recv_timeout", "5000",
            *(("-inf", step.users) if step.users else ()),
        ]  # fmt: skip
    else:
        values = {**common, "source": source}
        for name in ("words.txt", "passwords.txt"):
            if (loaded.folder / name).is_file():
                work.files[name] = (loaded.folder / name).read_bytes().decode("latin-1")
        try:
            work.argv = [render(argument.encode(), values).decode() for argument in step.tool]
        except TemplateError as error:
            raise ScenarioError(f"{loaded.folder / FILE}: tool: {error}") from error
    return work


def _messages(loaded: Loaded, step: Step, work: Job, common: Mapping[str, str]) -> None:
    lines = [""]
    if step.each:
        lines = (loaded.folder / step.each).read_text("utf-8").splitlines()
    if step.passwords:
        work.password = (loaded.folder / step.passwords).read_text("utf-8").splitlines()
    templates = [(loaded.folder / "messages" / name).read_bytes().decode("latin-1") for name in step.send]
    number = 0
    for _ in range(step.count):
        for line in lines:
            for template in templates:
                number += 1
                unique = secrets.token_hex(6)
                work.messages.append(template)
                work.values.append({
                    **common, "n": str(number), "value": line, "branch": f"z9hG4bK{unique}", "tag": f"t{unique[:6]}",
                    "call_id": f"{loaded.name}-{unique}",
                })  # fmt: skip
    if number > 2000:
        raise ScenarioError(f"{loaded.folder / FILE}: a step of {number} messages; 2000 are the most")
