"""Writes what `cargo bench` of the core reads: the rules, a line each, and messages of the mix, each behind its length."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from mix import Traffic

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "kemi"))

from sipsieve.detection import ruleset


def shown(value: object) -> str:
    """A field of a rule as `benches/rules` reads it."""
    return ",".join(value) if isinstance(value, list | tuple) else str(value)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("rules", type=Path)
    parser.add_argument("messages", type=Path)
    parser.add_argument("--count", type=int, default=3000)
    options = parser.parse_args()
    rules = ruleset.load().rules
    options.rules.write_text("".join("\t".join(map(shown, rule.spec)) + "\n" for rule in rules))
    messages = [sent.raw for sent in Traffic().requests(0, options.count)]
    options.messages.write_bytes(b"".join(len(raw).to_bytes(4, "little") + raw for raw in messages))
    return 0


if __name__ == "__main__":
    sys.exit(main())
