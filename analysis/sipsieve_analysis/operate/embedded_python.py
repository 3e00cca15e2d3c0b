"""Whether the Python inside Kamailio has the packages that the guard needs."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

import sipsieve

#: Where Debian and a build from source put Kamailio's modules.
MODULE_FOLDERS: Final = (
    "/usr/lib/*/kamailio/modules", "/usr/lib/kamailio/modules", "/usr/lib64/kamailio/modules",
    "/usr/local/lib/kamailio/modules", "/usr/local/lib64/kamailio/modules",
)  # fmt: skip

#: Packages with C code, made for one Python each.
COMPILED: Final = ("msgspec",)

#: The folder that Kamailio loads the guard from.
KEMI: Final = Path(sipsieve.__file__).resolve().parent.parent


class Embedded(NamedTuple):
    """`python`: as "3.11"; `packages`: the folder that serves it; `trouble`: what is wrong, "" where nothing is."""

    module: str
    python: str
    packages: str
    trouble: str


def module_path(name: str, folders: Sequence[str] = ()) -> Path | None:
    """The file of a Kamailio module: in these folders (a config's mpath), else in the usual ones."""
    for pattern in (*folders, *MODULE_FOLDERS):
        for folder in sorted(Path("/").glob(pattern.lstrip("/"))):
            if (path := folder / f"{name}.so").is_file():
                return path
    return None


def embedded(folders: Sequence[str] = (), kemi: Path = KEMI) -> Embedded:
    """What Kamailio's app_python3 embeds, and whether packages for it are there."""
    module = module_path("app_python3", folders)
    if module is None:
        return Embedded(
            "", "", "", "Kamailio's module app_python3 is not installed: apt install kamailio-python3-modules"
        )
    found = re.search(rb"libpython(3\.\d+)\.so", module.read_bytes())
    if found is None:
        return Embedded(str(module), "", "", f"{module} does not name the Python that it embeds")
    python = found[1].decode()
    tag = f"cpython-{python.replace('.', '')}"
    for folder in _folders(python, kemi):
        if not folder.is_dir():
            continue
        for package in COMPILED:
            if not list(folder.glob(f"{package}/*.{tag}-*.so")):
                return Embedded(
                    str(module), python, str(folder), f"{folder} has no {package} for Python {python}: {_mend(python)}"
                )
        return Embedded(str(module), python, str(folder), "")
    return Embedded(
        str(module),
        python,
        "",
        f"Kamailio embeds Python {python}, and the packages are not installed for that one: {_mend(python)}",
    )


def _folders(python: str, kemi: Path) -> list[Path]:
    """Where sipsieve_kemi.py looks, in its order."""
    inside = Path("lib", f"python{python}", "site-packages")
    named = os.environ.get("SIPSIEVE_VENV")
    return [
        *([Path(named) / inside] if named else []),
        kemi.parent / ".venv" / inside,
        kemi.parent / f"python{python}",
    ]


def _mend(python: str) -> str:
    if Path("/usr/lib/sipsieve/kemi") == KEMI:
        return f"call `sipsieve-packages --python {python}` as root"
    return f"`python{python} -m venv DIR`, `DIR/bin/pip install -r {KEMI}/requirements.txt`, SIPSIEVE_VENV=DIR"
