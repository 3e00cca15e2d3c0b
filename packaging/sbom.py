"""Writes what a release is made of as a CycloneDX 1.6 list: every crate of Cargo.lock, every Python package that is pinned.

The same sources give the same bytes: the time is SOURCE_DATE_EPOCH, the serial number follows from what is listed.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import re
import sys
import tomllib
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from cyclonedx.model import HashAlgorithm, HashType
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.model.license import LicenseExpression
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL

ROOT: Final = Path(__file__).resolve().parent.parent

#: Lists of Python packages that a release names: what runs inside Kamailio, the command line, and its extras.
PINS: Final = (
    "kemi/requirements.txt",
    *sorted(str(path.relative_to(ROOT)) for path in ROOT.glob("analysis/requirements*.txt")),
)


def licences() -> dict[str, str]:
    """Each package's and crate's licence, as NOTICE has it."""
    rows = re.findall(r"^\| ([\w.-]+) *\|(?: [\d.][^|]*\|)? ([^|]+?) *\|[^|]*\|$", (ROOT / "NOTICE").read_text(), re.M)
    return {name: re.sub(r"\s*/\s*", " OR ", licence) for name, licence in rows}


def pinned() -> Iterator[tuple[str, str]]:
    """Name and version of each Python package."""
    for path in PINS:
        yield from re.findall(r"^([A-Za-z0-9._-]+)==(\S+)", (ROOT / path).read_text(), re.M)


def crates() -> Iterator[tuple[str, str, str]]:
    """Name, version and sha256 of each crate."""
    for package in tomllib.loads((ROOT / "kemi" / "core" / "Cargo.lock").read_text())["package"]:
        if "source" in package:
            yield package["name"], package["version"], package["checksum"]


def component(kind: str, name: str, version: str, licence: str | None, sha256: str = "") -> Component:
    url = PackageURL(kind, name=name, version=version)
    return Component(
        type=ComponentType.LIBRARY,
        name=name,
        version=version,
        purl=url,
        bom_ref=str(url),
        licenses=[LicenseExpression(licence)] if licence else [],
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=sha256)] if sha256 else [],
    )


def written(version: str, epoch: int) -> str:
    """The list as JSON. `epoch`: seconds since 1970 that it is dated by."""
    known = licences()
    parts = [component("pypi", name, number, known.get(name)) for name, number in pinned()]
    parts += [component("cargo", name, number, known.get(name), checksum) for name, number, checksum in crates()]
    whole = component("generic", "sipsieve", version, "MIT")
    whole.type = ComponentType.APPLICATION
    bom = Bom(components=parts)
    bom.metadata.component = whole
    bom.metadata.timestamp = datetime.fromtimestamp(epoch, UTC)
    bom.register_dependency(whole, parts)
    listed = "\n".join(sorted(str(part.purl) for part in (whole, *parts)))
    bom.serial_number = uuid.UUID(bytes=hashlib.sha256(listed.encode()).digest()[:16], version=4)
    return str(JsonV1Dot6(bom).output_as_string(indent=2)) + "\n"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("version", help="of sipsieve")
    parser.add_argument("output", type=Path, help="the file to write, sipsieve-VERSION.cdx.json by custom")
    asked = parser.parse_args()
    epoch = os.environ.get("SOURCE_DATE_EPOCH", "")
    if not epoch.isdigit():
        print(
            "sbom: SOURCE_DATE_EPOCH has to be set to seconds since 1970, so that it can be built again",
            file=sys.stderr,
        )
        return 2
    asked.output.write_text(written(asked.version, int(epoch)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
