"""The shape of the code: which way imports point, who touches Kamailio, files, sockets and clocks, and how long modules are."""

from __future__ import annotations

import ast
import re
from collections import Counter
from pathlib import Path

import pytest

from harness import KEMI, ROOT

PACKAGE = KEMI / "sipsieve"
#: The modules by their dotted names inside the package, as "decision.engine".
MODULES = {
    ".".join(path.relative_to(PACKAGE).with_suffix("").parts): path
    for path in sorted(PACKAGE.rglob("*.py"))
    if path.stem != "__init__"
}
ANALYSIS = sorted((ROOT / "analysis").rglob("*.py"))
PRODUCT = [*MODULES.values(), KEMI / "sipsieve_kemi.py", *ANALYSIS]

#: The floors of the package, from the highest down: a module imports from its own sub-package and from floors beneath.
FLOORS = (
    {"control"},
    {"decision"},
    {"abuse", "detection", "decision_log"},
    {"config"},
    {"posix"},
    {"model"},
)

#: What a decision is made with. From left to right: a module imports from the right of itself only.
DECIDING = (
    "decision.engine",
    "abuse.limits",
    "detection.patches",
    "detection.ruleset",
    "detection.structure",
    "detection.message",
    "model",
)

#: Who may use the outside world, and for what. Everything else is pure.
OUTSIDE = {
    "control.geo_files": "reads the files that know where addresses are at home",
    "control.last_good": "keeps the policy and rules that the server last ran on",
    "control.running": "finds the policy and the log, and tells the clocks' time to all that a process does",
    "control.survivors": "finds the files of bans and standing",
    "control.shared_memory": "maps the room for revisions",
    "posix.ownership": "creates files as their folder's owner",
    "posix.kept_text": "keeps a list's last good copy, replaced in one step",
    "control.feed_fetch": "fetches a list in a process of its own",
    "control.feeds": "takes that process's answer from its pipe",
    "posix.state_file": "reads what the server kept on disk, and sets aside what is damaged",
    "posix.process": "reads the memory of processes, and gives back what is free",
    "abuse.own_addresses": "reads the machine's addresses",
    "decision_log.privacy": "reads the key of masks, or makes one",
    "config.policy": "reads the policy",
    "config.destinations": "reads the dialling prefixes, and when the clocks of a time zone change",
    "detection.ruleset": "reads the rules",
    "detection.patches": "reads the virtual patches",
}
IMPURE = {
    "os",
    "socket",
    "time",
    "datetime",
    "subprocess",
    "threading",
    "asyncio",
    "fcntl",
    "mmap",
    "select",
    "signal",
    "random",
    "logging",
}

#: Modules that may be longer than a page of the mind, and why.
LONG: dict[str, str] = {}
MOST_LINES = 450


def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(), str(path))


def siblings(path: Path) -> set[str]:
    """The modules of the package that a module of it imports, those imported for type checking only included."""
    found: set[str] = set()
    here = path.relative_to(PACKAGE).parent.parts
    for node in ast.walk(tree(path)):
        if not isinstance(node, ast.ImportFrom) or not node.level:
            continue
        above = here[: len(here) - node.level + 1]
        base = ".".join([*above, *(node.module.split(".") if node.module else [])])
        found |= {base} | {f"{base}.{alias.name}".lstrip(".") for alias in node.names}
    return found & MODULES.keys()


def floor(name: str) -> int:
    """How many floors stand above the one that a module is on."""
    return next(place for place, packages in enumerate(FLOORS) if name.split(".")[0] in packages)


def imported(path: Path) -> set[str]:
    """Top-level names of everything that a module imports absolutely."""
    found: set[str] = set()
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            found.add(node.module.split(".")[0])
    return found


def test_imports_form_no_circle() -> None:
    graph = {name: siblings(path) for name, path in MODULES.items()}
    while graph:
        leaves = [name for name, wanted in graph.items() if not wanted & graph.keys()]
        assert leaves, f"a circle among {sorted(graph)}"
        for name in leaves:
            del graph[name]


@pytest.mark.parametrize("name", MODULES)
def test_imports_point_down(name: str) -> None:
    for wanted in siblings(MODULES[name]):
        own = wanted.split(".")[0] == name.split(".")[0]
        assert own or floor(name) < floor(wanted), f"{name} imports {wanted}, which is not beneath it"


def test_each_package_says_what_it_is_for() -> None:
    for folder in {path.parent for path in MODULES.values()} - {PACKAGE}:
        lines = (folder / "README.md").read_text().splitlines()
        assert len(lines) == 7 and lines[0] == f"# {folder.name}", f"{folder}: five lines and what is between"
        assert lines[4].startswith("May import: ") and lines[6].startswith("Start with: "), folder
        for path in re.findall(r"`([a-z_]+\.py)`", lines[6]):
            assert (folder / path).exists(), f"{folder}/README.md names {path}"
        assert ast.get_docstring(tree(folder / "__init__.py")) == lines[2], "one sentence of purpose, in one place"


def test_deciding_modules_import_in_one_direction() -> None:
    for place, name in enumerate(DECIDING):
        wrong = siblings(MODULES[name]) & set(DECIDING[:place])
        assert not wrong, f"{name} imports {wrong}"


def test_data_stands_on_nothing() -> None:
    assert siblings(MODULES["model"]) == set()


def test_the_guard_imports_nothing_of_the_analysis() -> None:
    for path in [*MODULES.values(), KEMI / "sipsieve_kemi.py"]:
        assert "sipsieve_analysis" not in imported(path), path


def test_what_runs_inside_kamailio_needs_two_packages() -> None:
    """What is loaded with every message's path must be in kemi/requirements.txt."""
    import sys

    for path in MODULES.values():
        foreign = imported(path) - set(sys.stdlib_module_names) - {"sipsieve", "msgspec", "__future__"}
        assert not foreign, f"{path.name} imports {foreign}"


def test_only_one_file_names_kamailio() -> None:
    naming = []
    for path in PRODUCT:
        names = {node.id for node in ast.walk(tree(path)) if isinstance(node, ast.Name)} | imported(path)
        if "KSR" in names:
            naming.append(path.name)
    assert naming == ["sipsieve_kemi.py"]


@pytest.mark.parametrize("name", MODULES)
def test_the_package_is_pure_but_for_named_modules(name: str) -> None:
    used = imported(MODULES[name]) & IMPURE
    opens = [
        node
        for node in ast.walk(tree(MODULES[name]))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "open"
    ]
    assert name in OUTSIDE or not (used or opens), f"{name} uses {used or 'open'}: name it in OUTSIDE with its reason"


def test_no_reason_outlives_its_module() -> None:
    assert set(OUTSIDE) <= MODULES.keys()
    for name in LONG:
        assert any(path.name == name for path in PRODUCT)


@pytest.mark.parametrize("path", PRODUCT, ids=lambda path: str(path.relative_to(ROOT)))
def test_modules_are_short_and_say_what_they_are_for(path: Path) -> None:
    lines = path.read_text().count("\n")
    assert lines <= MOST_LINES or path.name in LONG, f"{lines} lines: split it, or say in LONG why not"
    if lines:
        assert ast.get_docstring(tree(path)), "a sentence of purpose at its top"


def test_names_say_something() -> None:
    for path in PRODUCT:
        assert path.stem not in {"utils", "helpers", "manager", "common", "misc"}, path


def test_files_of_tests_have_names_of_their_own() -> None:
    # pytest takes two of one name for one module, and collects neither.
    names = Counter(path.name for path in (ROOT / "tests").rglob("test_*.py"))
    assert [name for name, count in names.items() if count > 1] == []
