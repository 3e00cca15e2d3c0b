"""The analysis's questions as SQL, made of their expressions beforehand: Ibis takes longer to import and to put them together than
DuckDB takes to answer them of a small log.

`python -m sipsieve_analysis.questions` makes the texts anew; a test holds that they say what the expressions say.
"""

from __future__ import annotations

import functools
import re
from pathlib import Path
from typing import Final

#: Where the texts stand, each below its name.
PLACE: Final = Path(__file__).with_name("questions.sql")

#: What they ask: a view of the events that are looked at, and a table of the addresses that were chosen.
SEEN: Final = "seen"
CHOSEN: Final = "chosen_ips"

_NAME: Final = re.compile(r"^-- ([a-z_]+)\n", re.MULTILINE)


@functools.cache
def questions() -> dict[str, str]:
    """The texts by name."""
    _, *parts = _NAME.split(PLACE.read_text())
    return {name: text.strip() for name, text in zip(parts[::2], parts[1::2], strict=True)}
