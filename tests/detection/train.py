"""Trains the second opinion on texts, a linear model over hashed character n-grams: the program behind `make model`.

`kemi/core/src/detect/model.rs` evaluates it; its figures are in its card.

Made of texts that rules may be made on: the developed part of the corpora, and payloads and harmless texts composed of
developed productions. Measured on the others. The same texts and seed give the same bytes.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import random
import struct
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path[:0] = [str(Path(__file__).parent)]

import corpora  # noqa: E402
import numpy as np  # noqa: E402
import scipy.sparse  # noqa: E402
import sklearn  # noqa: E402
from executed import ANY_NAME, FAMILIES, WORDS_ALONE  # noqa: E402
from grammar import Grammar  # noqa: E402
from lookalikes import LOOKALIKES, ORDINARY  # noqa: E402
from sklearn.linear_model import LogisticRegression  # noqa: E402

TARGET: Final = ROOT / "kemi/sipsieve/detection/model"
SEED: Final = 1
#: Bits of an n-gram's hash (FNV-1a, folded) that name its weight, characters of the longest n-gram, bytes looked at, and
#: the marks without which no query and no command line is left: a text that has none is not looked at.
BITS: Final = 18
LONGEST: Final = 5
MAX_TEXT: Final = 512
MARKS: Final = b"'\"`;|&<>${=#%*\\"
#: The share of ordinary names that may read like an attack.
BOUND: Final = 0.0005
#: The threshold is this at the least: names that nobody composed are odder than those that somebody did.
LEAST: Final = 1.5
#: Texts of each kind that are composed, and what one of them weighs.
PAYLOADS, NAMES, ALIKE = 700, 20_000, 8_000
WEIGHTS: Final = {"corpus": 1.0, "payloads": 3.0, "benign": 6.0, "names": 3.0, "alike": 2.0}

_CLASS = np.arange(256, dtype=np.uint8)
_CLASS[ord("A") : ord("Z") + 1] += 32
_CLASS[ord("0") : ord("9") + 1] = ord("0")
_CLASS[128:] = 128


def buckets(text: bytes) -> Any:
    """The bucket of each n-gram of a text between its markers."""
    body = _CLASS[np.frombuffer(text[:MAX_TEXT], dtype=np.uint8)]
    symbols = np.concatenate(([2], body, [3])).astype(np.uint32)
    found = []
    with np.errstate(over="ignore"):
        value = np.full(len(symbols), 0x811C9DC5, dtype=np.uint32)
        for length in range(1, LONGEST + 1):
            count = len(symbols) - length + 1
            if count <= 0:
                break
            value = (value[:count] ^ symbols[length - 1 : length - 1 + count]) * np.uint32(0x01000193)
            found.append((value >> np.uint32(32 - BITS)) ^ (value & np.uint32((1 << BITS) - 1)))
    return np.concatenate(found)


def matrix(texts: Sequence[bytes]) -> Any:
    """Counts of n-grams over the square root of how many a text has, a row for each text."""
    values, columns, ends = [], [], [0]
    for text in texts:
        all_of_it = buckets(text)
        named, counts = np.unique(all_of_it, return_counts=True)
        columns.append(named)
        values.append(counts / np.sqrt(len(all_of_it)))
        ends.append(ends[-1] + len(named))
    content = (np.concatenate(values).astype(np.float64), np.concatenate(columns), ends)
    return scipy.sparse.csr_matrix(content, shape=(len(texts), 1 << BITS))


def composed(grammar: Grammar, symbol: str, seed: str, count: int, part: str) -> list[bytes]:
    """`count` texts of a part, in the order in which they were composed."""
    found: list[bytes] = []
    for text in grammar.texts([symbol], random.Random(seed), part):
        if not ANY_NAME.fullmatch(text.text) and (
            grammar is LOOKALIKES or grammar is ORDINARY or not WORDS_ALONE.fullmatch(text.text)
        ):
            found.append(text.text.encode())
        if len(found) >= count:
            break
    return found


def payloads(seed: int, count: int, part: str) -> list[bytes]:
    """Composed payloads of every family. They are not run here, so that the same come out everywhere."""
    return [
        text
        for family, (grammar, symbol, _) in FAMILIES.items()
        for text in composed(grammar, symbol, f"{seed} {family}", count, part)
    ]


class Weights:
    """A trained model, as its file has it: magic, scale, bias and threshold as floats, and a signed byte a bucket."""

    def __init__(self, weights: Any, scale: float, bias: float) -> None:
        self.weights, self.scale, self.bias = weights, np.float32(scale), np.float32(bias)

    def scores(self, texts: Sequence[bytes]) -> Any:
        """The log-odds of each text; of one without a mark, that is not looked at, minus infinity."""
        found = np.full(len(texts), -np.inf)
        for place, text in enumerate(texts):
            if any(byte in MARKS for byte in text):
                named = buckets(text)
                found[place] = self.weights[named].sum(dtype=np.int64) * self.scale / np.sqrt(len(named)) + self.bias
        return found

    def to_bytes(self, threshold: float) -> bytes:
        return (
            b"ngrams01" + struct.pack("<fff", self.scale, self.bias, threshold) + self.weights.astype(np.int8).tobytes()
        )


def fitted(texts: Mapping[str, Sequence[bytes]]) -> Weights:
    """A model of texts by their kind, one of `WEIGHTS`. The same texts in the same order give the same bytes."""
    every = [text for kind in texts.values() for text in kind]
    hostile = np.concatenate([np.full(len(kind), name in ("corpus", "payloads")) for name, kind in texts.items()])
    weight = np.concatenate([np.full(len(kind), WEIGHTS[name]) for name, kind in texts.items()])
    model = LogisticRegression(C=10.0, solver="liblinear", max_iter=200, random_state=SEED)
    model.fit(matrix(every), hostile, sample_weight=weight)
    coefficients = model.coef_[0]
    scale = float(np.abs(coefficients).max() / 127)
    weights = np.clip(np.rint(coefficients / scale), -127, 127).astype(np.int32)
    return Weights(weights, scale, float(model.intercept_[0]))


def train(folder: Path) -> tuple[Weights, dict[str, int]]:
    """A model of the developed parts, and how many texts of each kind it was made of."""
    texts = {
        "corpus": sorted({attack.text for attack in corpora.attacks(folder, "develop")}),
        "payloads": sorted(set(payloads(SEED, PAYLOADS, "develop"))),
        "benign": sorted({text.text for text in corpora.benign(folder, "develop")}),
        "names": sorted(set(composed(ORDINARY, "ordinary", f"{SEED} names", NAMES, "develop"))),
        "alike": sorted(set(composed(LOOKALIKES, "made", f"{SEED} alike", ALIKE, "develop"))),
    }
    return fitted(texts), {name: len(kind) for name, kind in texts.items()}


def measured(model: Weights, threshold: float, folder: Path, count: int) -> dict[str, dict[str, float]]:
    """How much of what was held back reads like an attack; `count` ordinary names."""
    sets = {
        "attacks": [attack.text for attack in corpora.attacks(folder, "held-back")],
        "payloads": payloads(SEED + 1, 200, "held-back"),
        "benign": [text.text for text in corpora.benign(folder, "held-back")],
        "ordinary names": composed(ORDINARY, "ordinary", f"{SEED} held", count, "held-back"),
        "hand-written": [text.text for text in corpora.own_benign()],
        "look-alikes": composed(LOOKALIKES, "made", f"{SEED} held", count // 10, "held-back"),
    }
    return {
        name: {
            "texts": len(texts),
            "reads like an attack": round(float((model.scores(texts) > threshold).mean()), 5),
        }
        for name, texts in sets.items()
    }


def described(
    content: bytes, made_of: dict[str, int], threshold: float, figures: dict[str, dict[str, float]]
) -> dict[str, Any]:
    """The card: what the weights are, what they were made of, how good they are, and what they are not good for."""
    return {
        "what": "logistic regression over hashed character 1- to 5-grams, weights of one signed byte in 262,144 buckets",
        "made by": f"make model, scikit-learn {sklearn.__version__}, seed {SEED}",
        "sha256": hashlib.sha256(content).hexdigest(),
        "made of": {name: {"texts": count, "weight": WEIGHTS[name]} for name, count in made_of.items()},
        "threshold": threshold,
        "held back": figures,
        "limits": "Texts of at most 512 bytes with a mark that attacks need; made of display names, user agents and payloads, "
        "mostly in English and for SQL, shells, HTML and paths. Payloads of another kind, and names of a kind that nobody "
        "composed, read as they may: more of the hand-written oddities do than a caller's name may be scrubbed for, which is why the "
        "policy only notes it by default. It is no proof: it weighs too little to refuse a message by itself.",
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--corpora", type=Path, default=ROOT.parent / "shared" / "corpora", help="folder of the texts")
    parser.add_argument("--target", type=Path, default=TARGET, help="folder for weights.bin and card.json")
    parser.add_argument("--measure", type=int, default=100_000, metavar="N", help="ordinary names to measure on")
    options = parser.parse_args()
    if not (options.corpora / "attacks.jsonl").exists():
        parser.error(f"no attacks.jsonl in {options.corpora}: name the folder with --corpora")
    print("training", file=sys.stderr, flush=True)
    model, made_of = train(options.corpora)
    # The threshold is where names of the developed part, but others than it was made of, are few enough.
    print("choosing the threshold", file=sys.stderr, flush=True)
    others = composed(ORDINARY, "ordinary", f"{SEED} others", options.measure // 2, "develop")
    own = [text.text for text in corpora.benign(options.corpora, "develop")]
    scores = np.sort(np.concatenate([model.scores(others), model.scores(own)]))
    threshold = max(LEAST, float(np.ceil(4 * scores[-1 - int(BOUND / 2 * len(scores))]) / 4))
    print("measuring on what was held back", file=sys.stderr, flush=True)
    content = model.to_bytes(threshold)
    card = described(content, made_of, threshold, measured(model, threshold, options.corpora, options.measure))
    options.target.mkdir(parents=True, exist_ok=True)
    (options.target / "weights.bin").write_bytes(content)
    (options.target / "card.json").write_text(json.dumps(card, indent=1) + "\n")
    print(json.dumps(card, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
