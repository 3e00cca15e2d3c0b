"""Finds the compiled part of sipsieve. It is optional: without it all is decided alike, at more cost."""

from __future__ import annotations

import os
import struct
from typing import Any, Final

#: Of the C code that goes with these modules; another one is not used.
EDITION: Final = 1

#: What hashes of foreign bytes are keyed with: Python's own secret decides, so it is the same in all workers of a
#: server and nobody outside knows it.
SECRET: Final = struct.pack("=qq", hash("sipsieve: one"), hash("sipsieve: other"))


def _find() -> tuple[Any, str]:
    if os.environ.get("SIPSIEVE_NATIVE") == "off":
        return None, "SIPSIEVE_NATIVE=off"
    try:
        from . import _native
    except ImportError as error:
        return None, f"not installed ({error})"
    if _native.EDITION != EDITION:
        return None, f"built for another sipsieve (edition {_native.EDITION}, this one needs {EDITION})"
    return _native, ""


#: The module `_native`, None where it can't be used; and why not.
module: Any
module, why_not = _find()


def missing() -> str:
    """What to tell an operator where the module can't be used; "" where it is."""
    if module is not None:
        return ""
    return (
        f"the compiled part is not used: {why_not}. All is decided alike, but a message costs two to four times as much. "
        "Build it: `make native` in the sources, then `make install`; then start Kamailio again"
    )


def identity(raw: bytes) -> int:
    """What tells a message from others, 64 bits; the same in all workers of a server, not to be foreseen."""
    if module is None:
        return hash(raw)
    known: int = module.identity(raw, SECRET)
    return known
