"""What is installed is pinned, hashed and named in the notices."""

from __future__ import annotations

import re
import tomllib

from harness import ROOT

INLINE = ROOT / "kemi" / "requirements.txt"
TOOLS = ROOT / "analysis" / "requirements.txt"
EXTRAS = {name: ROOT / "analysis" / f"requirements-{name}.txt" for name in ("analyze", "narrate", "alerts", "mcp")}
WHEELS = ROOT / "packaging" / "requirements-wheels.txt"


def pins(text: str) -> dict[str, list[str]]:
    """Each pinned package's hashes."""
    return {
        match[1]: re.findall(r"--hash=sha256:([0-9a-f]{64})", match[0])
        for match in re.finditer(r"^([a-z0-9-]+)==\S+(?: \\\n +--hash=sha256:[0-9a-f]{64})*$", text, re.M)
    }


def test_each_line_is_a_pin_with_a_hash() -> None:
    for path in (INLINE, TOOLS, *EXTRAS.values(), WHEELS):
        found = pins(path.read_text())
        lines = [line for line in path.read_text().splitlines() if line and not line.startswith(("#", " "))]
        assert len(found) == len(lines), path
        assert all(found.values()), path


def test_what_has_c_code_is_there_for_each_python_and_machine() -> None:
    # 3.11 to 3.14 on two machines.
    assert {name: len(hashes) for name, hashes in pins(INLINE.read_text()).items()} == {"msgspec": 8}


#: Extras that `sipsieve-packages` does not install, and why there is no wheel to pin.
OF_THE_SYSTEM = {
    "templates": "drain3 is published as source only",
    "spark": "pyspark is published as source only, and needs the system's Java; it is pinned by hand",
    "pdf": "WeasyPrint draws with the system's Pango, which no wheel has",
}


def test_each_dependency_is_pinned() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = {re.split(r"[<>=!~\[; ]", need)[0].lower() for need in project["dependencies"]}
    missing = wanted - pins(INLINE.read_text()).keys() - pins(TOOLS.read_text()).keys()
    assert not missing, "call `make requirements`"
    assert project["optional-dependencies"].keys() == EXTRAS.keys() | OF_THE_SYSTEM.keys()
    for name, path in EXTRAS.items():
        more = {re.split(r"[<>=!~\[; ]", need)[0].lower() for need in project["optional-dependencies"][name]}
        assert more <= pins(path.read_text()).keys(), "call `make requirements`"


def test_the_notices_name_each_package() -> None:
    notice = (ROOT / "NOTICE").read_text()
    # The table of crates is another test's.
    named = set(re.findall(r"^\| ([a-z0-9-]+) *\|[^|]*\|[^|]*\|$", notice, re.M)) - {"package"}
    spark = set(re.findall(r"^([a-z0-9-]+)==", (ROOT / "analysis" / "requirements-spark.txt").read_text(), re.M))
    assert spark
    assert named == spark | {name for path in (INLINE, TOOLS, *EXTRAS.values()) for name in pins(path.read_text())}


def test_the_notices_name_each_crate_at_its_version() -> None:
    lock = tomllib.loads((ROOT / "kemi" / "core" / "Cargo.lock").read_text())["package"]
    notice = (ROOT / "NOTICE").read_text()
    named = re.findall(r"^\| ([a-z0-9_-]+) *\| (\d\S*) *\| \S.*? *\| .* \|$", notice, re.M)
    assert sorted(named) == sorted((crate["name"], crate["version"]) for crate in lock if "source" in crate), (
        "call `make notice`"
    )
