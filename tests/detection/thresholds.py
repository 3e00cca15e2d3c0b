"""Figures that a measurement must reach, as its command line names them."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from typing import NamedTuple


class Threshold(NamedTuple):
    """A figure's name and the value that it may not fall below, or rise above."""

    name: str
    value: float

    @classmethod
    def parse(cls, text: str) -> Threshold:
        """`NAME=VALUE`, the value a share from 0 to 1."""
        name, equals, value = text.partition("=")
        try:
            share = float(value)
        except ValueError:
            share = -1.0
        if not name or not equals or not 0 <= share <= 1:
            raise argparse.ArgumentTypeError(f"{text!r} is not NAME=VALUE with a value from 0 to 1, as stopped=0.99")
        return cls(name, share)

    @staticmethod
    def add_arguments(parser: argparse.ArgumentParser) -> None:
        """Adds `--at-least` and `--at-most`."""
        for option in ("--at-least", "--at-most"):
            parser.add_argument(
                option,
                type=Threshold.parse,
                action="append",
                default=[],
                metavar="NAME=VALUE",
                help="a figure (`stopped`, `family.stopped`, `field.via.raw.stopped`, `ordinary.refused` …: the names "
                f"under `figures` of --json) that must be {option[2:].replace('-', ' ')} this share; may be repeated",
            )


def missed(options: argparse.Namespace, found: Mapping[str, float]) -> int:
    """The exit code: 0, 1 if a threshold is missed, 2 if it names what was not measured. Says which on stderr."""
    code = 0
    for option, sign in (("at_least", 1), ("at_most", -1)):
        for name, value in getattr(options, option):
            if name not in found:
                print(f"no figure {name!r} was measured: there are {', '.join(sorted(found))}", file=sys.stderr)
                code = 2
            elif sign * (found[name] - value) < 0:
                print(f"{name} is {found[name]:.4f}: not {option.replace('_', ' ')} {value}", file=sys.stderr)
                code = code or 1
    return code
