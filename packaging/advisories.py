"""Holds the pinned Python packages against a folder of advisories in OSV's JSON; nothing is fetched.

Such a folder is what osv.dev offers for PyPI as one archive, unpacked. Exit code 1 where a pinned version is named by an advisory,
2 where the folder has none.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from packaging.version import InvalidVersion, Version
from sbom import PINS, pinned

#: Which list to look into is told with what was found.
LISTS: Final = ", ".join(PINS)


def normal(name: str) -> str:
    """A package's name as PEP 503 compares it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def is_in(version: Version, events: list[dict[str, str]]) -> bool:
    """Whether a version lies in a range of OSV's schema (events: introduced, fixed, last_affected)."""
    affected = False
    for event in events:
        for kind, text in event.items():
            try:
                bound = Version("0" if text == "0" else text)
            except InvalidVersion:
                continue
            if kind == "introduced" and version >= bound:
                affected = True
            elif (kind == "fixed" and version >= bound) or (kind == "last_affected" and version > bound):
                affected = False
    return affected


def names(advisory: dict[str, Any], name: str, version: str) -> bool:
    """Whether an advisory that was not withdrawn is about this version."""
    if advisory.get("withdrawn"):
        return False
    for entry in advisory.get("affected", ()):
        package = entry.get("package", {})
        if package.get("ecosystem") != "PyPI" or normal(package.get("name", "")) != normal(name):
            continue
        ranges = [found["events"] for found in entry.get("ranges", ()) if found.get("type") == "ECOSYSTEM"]
        if version in entry.get("versions", ()) or any(is_in(Version(version), events) for events in ranges):
            return True
    return False


def read(folder: Path) -> Iterator[dict[str, Any]]:
    """Each advisory below a folder; what is none is told of."""
    for path in sorted(folder.rglob("*.json")):
        try:
            advisory = json.loads(path.read_bytes())
        except ValueError as error:
            print(f"{path}: left out, no JSON: {error}", file=sys.stderr)
            continue
        if isinstance(advisory, dict) and "id" in advisory:
            yield advisory


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="advisories in OSV's JSON, a file for each")
    asked = parser.parse_args()
    pins = sorted(set(pinned()))
    seen, found = 0, []
    for advisory in read(asked.folder):
        seen += 1
        found += [(name, version, advisory) for name, version in pins if names(advisory, name, version)]
    if not seen:
        print(f"advisories: {asked.folder} holds none (*.json with an id)", file=sys.stderr)
        return 2
    for name, version, advisory in found:
        print(f"{name} {version}: {advisory['id']}: {advisory.get('summary', '')}; raise it in one of {LISTS}")
    print(f"{len(pins)} packages held against {seen} advisories: {len(found)} found")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
