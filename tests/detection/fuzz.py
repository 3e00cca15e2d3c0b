"""Feeds mutated messages to the engine, guided by coverage: the program behind `make fuzz-engine`."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path[:0] = [str(ROOT / "kemi"), str(Path(__file__).parent)]

import atheris  # noqa: E402

with atheris.instrument_imports(include=["sipsieve"]):
    from evaluate import decide, engine

    from sipsieve.model import Decision, Kind, Verdict

from disguise import PLACES, PLAIN  # noqa: E402
from ordinary import ORDINARY_MESSAGES  # noqa: E402

GUARD = engine()


def one(raw: bytes) -> None:
    """Any exception is a bug; so is a scrub that leaves something to find."""
    decision = decide(GUARD, raw)
    if not isinstance(decision, Decision):
        raise AssertionError("no decision")
    # What a reply echoes of its request can't be taken out of it, and it is never dropped.
    if decision.verdict is Verdict.SCRUB and decision.kind is Kind.REQUEST:
        again = decide(GUARD, decision.replacement or b"")
        if again.verdict is not Verdict.ALLOW:
            raise AssertionError(f"scrubbed, and still {again.verdict}: {again.reason}")


def main() -> None:
    corpus = Path(tempfile.mkdtemp(prefix="sipsieve-fuzz-"))
    seeds = [*ORDINARY_MESSAGES, *(place(text) for place in PLACES.values() for text in list(PLAIN.values())[::5])]
    for number, seed in enumerate(seeds):
        (corpus / f"{number}").write_bytes(seed)
    atheris.Setup(
        [sys.argv[0], str(corpus), "-max_len=4096", f"-artifact_prefix={corpus}/", "-timeout=5", *sys.argv[1:]], one
    )
    atheris.Fuzz()


if __name__ == "__main__":
    main()
