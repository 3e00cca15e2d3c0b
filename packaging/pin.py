"""Writes the requirements files anew: each wheel that a supported machine may need, with its hash.

What is wanted is read from pyproject.toml. A package that a file pins already keeps its version, unless
it is named as an argument or `--all` is given.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path
from typing import Final, NamedTuple

ROOT: Final = Path(__file__).resolve().parent.parent

#: Debian 12 and 13 have 3.11 and 3.13; the others are for a distribution in between and for the next one.
PYTHONS: Final = ("3.11", "3.12", "3.13", "3.14")
MACHINES: Final = ("x86_64", "aarch64")

#: glibc of the wheels that are taken, newest first: Debian 12 has 2.36.
GLIBC: Final = ("manylinux_2_34", "manylinux_2_28", "manylinux_2_24", "manylinux_2_17", "manylinux2014")

#: What runs inside Kamailio; all else that pyproject.toml names is for the command line.
INLINE: Final = ("msgspec",)


#: Lists that are installed without each other: what two of them need stands in both, at one version.
SIDE_BY_SIDE: Final = ("requirements-narrate", "requirements-alerts", "requirements-mcp")

#: What builds the wheels of the compiled core, for this machine and for others.
BUILDERS: Final = ("maturin>=1.9", "ziglang>=0.13")


def needs() -> dict[Path, tuple[str, list[str]]]:
    """Each file, its purpose, and what pyproject.toml asks for there."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = project["dependencies"]
    inline = [need for need in wanted if re.split(r"[<>=!~\[ ]", need)[0] in INLINE]
    return {
        ROOT / "kemi" / "requirements.txt": ("What runs inside Kamailio.", inline),
        ROOT / "analysis" / "requirements.txt": (
            "What the command line needs beside kemi/requirements.txt.",
            [need for need in wanted if need not in inline],
        ),
        ROOT / "analysis" / "requirements-analyze.txt": (
            "What `sipsieve analyze` needs beside the others.",
            project["optional-dependencies"]["analyze"],
        ),
        ROOT / "analysis" / "requirements-narrate.txt": (
            "What `sipsieve analyze --narrate` needs beside the others.",
            project["optional-dependencies"]["narrate"],
        ),
        ROOT / "analysis" / "requirements-alerts.txt": (
            "What `sipsieve watch --notify` needs beside the others.",
            project["optional-dependencies"]["alerts"],
        ),
        ROOT / "analysis" / "requirements-mcp.txt": (
            "What `sipsieve mcp` needs beside the others.",
            project["optional-dependencies"]["mcp"],
        ),
        ROOT / "packaging" / "requirements-wheels.txt": ("What `make wheels` builds with.", list(BUILDERS)),
    }


class Pin(NamedTuple):
    """A package at one version, with the sha256 of its wheels (each machine's and Python's)."""

    name: str
    version: str
    hashes: frozenset[str]


def platforms(machine: str) -> list[str]:
    """pip's options for wheels of one machine."""
    return [word for glibc in GLIBC for word in ("--platform", f"{glibc}_{machine}")]


def resolve(wanted: list[str], keep: dict[str, str], python: str, machine: str) -> list[Pin]:
    """What pip would install there, with the versions of `keep` where it needs those packages."""
    with tempfile.NamedTemporaryFile(suffix=".json") as report, tempfile.NamedTemporaryFile("w+") as constraints:
        constraints.writelines(f"{name}=={version}\n" for name, version in keep.items())
        constraints.flush()
        subprocess.run(
            [sys.executable, "-m", "pip", "install", "-q", "--disable-pip-version-check", "--dry-run",
             "--ignore-installed", "--only-binary", ":all:", "--target", "/nonexistent", "--python-version", python,
             *platforms(machine), "--report", report.name, "-c", constraints.name, *wanted],
            check=True,
        )  # fmt: skip
        items = json.loads(Path(report.name).read_bytes())["install"]
    return [
        Pin(
            re.sub(r"[-_.]+", "-", item["metadata"]["name"]).lower(),
            item["metadata"]["version"],
            frozenset({item["download_info"]["archive_info"]["hash"].removeprefix("sha256=")}),
        )
        for item in items
    ]


def pinned(path: Path) -> dict[str, str]:
    """Names and versions that a requirements file pins."""
    text = path.read_text() if path.exists() else ""
    return dict(re.findall(r"^([A-Za-z0-9._-]+)==([^\s\\]+)", text, re.M))


def merge(resolved: list[list[Pin]]) -> list[Pin]:
    """One pin a package; two machines that want different versions are an error."""
    found: dict[str, Pin] = {}
    for pin in (pin for pins in resolved for pin in pins):
        before = found.get(pin.name, pin)
        if before.version != pin.version:
            raise SystemExit(f"{pin.name}: {before.version} on one machine, {pin.version} on another; pin it")
        found[pin.name] = Pin(pin.name, pin.version, before.hashes | pin.hashes)
    return sorted(found.values())


def write(path: Path, purpose: str, pins: list[Pin]) -> None:
    """The file, in the form that `pip install --require-hashes` takes."""
    lines = [f"# {purpose} Written by `make requirements`, for Python {', '.join(PYTHONS)} on {', '.join(MACHINES)}."]
    lines += [
        " \\\n    ".join([f"{pin.name}=={pin.version}", *(f"--hash=sha256:{one}" for one in sorted(pin.hashes))])
        for pin in pins
    ]
    path.write_text("\n".join(lines) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("package", nargs="*", help="take the newest version of this one")
    parser.add_argument("--all", action="store_true", help="take the newest version of each")
    arguments = parser.parse_args()
    done: dict[str, str] = {}
    left_out: set[str] = set()
    for path, (purpose, wanted) in needs().items():
        keep = {} if arguments.all else pinned(path)
        keep = {name: version for name, version in keep.items() if name not in arguments.package} | done
        resolved = []
        for python in PYTHONS:
            for machine in MACHINES:
                print(f"{path.relative_to(ROOT)}: Python {python} on {machine}", file=sys.stderr)
                resolved.append(resolve(wanted, keep, python, machine))
        pins = [pin for pin in merge(resolved) if pin.name not in left_out]
        done.update((pin.name, pin.version) for pin in pins)
        # Each of these is installed with all before it, or not at all.
        if path.stem not in SIDE_BY_SIDE:
            left_out.update(pin.name for pin in pins)
        write(path, purpose, pins)


if __name__ == "__main__":
    main()
