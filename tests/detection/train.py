"""Trains the second opinion on texts, a linear model over hashed character n-grams: the program behind `make model`.

`kemi/core/src/detect/model.rs` evaluates it; its figures are in its card.

A text counts by what is written in it, and by its form: `x;pkill kamailio` is `a;a a`, whatever the words are, and `Kim; Su`
is `a; a`. Made of texts that rules may be made on: the developed parts of the corpora, of what was written by hand and of the
messages' own values, and payloads and harmless texts composed of developed productions. Measured on the others. The same texts
and seed give the same bytes.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import random
import struct
import sys
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path[:0] = [str(Path(__file__).parent)]

import corpora  # noqa: E402
import numpy as np  # noqa: E402
import scipy.sparse  # noqa: E402
import sklearn  # noqa: E402
from embed import quoted  # noqa: E402
from executed import ANY_NAME, FAMILIES, WAYS, WORDS_ALONE  # noqa: E402
from grammar import Grammar  # noqa: E402
from lookalikes import LOOKALIKES, ORDINARY, SMALL  # noqa: E402
from sklearn.linear_model import LogisticRegression  # noqa: E402

from sipsieve._core import parts  # noqa: E402

TARGET: Final = ROOT / "kemi/sipsieve/detection/model"
HAND: Final = Path(__file__).with_name("hand")
SEED: Final = 1
#: Bits of an n-gram's hash (FNV-1a, folded) that name its weight, characters of the longest n-gram, symbols of the shortest and
#: the longest of a form and what its hash begins with, bytes looked at, and the marks without which no query and no command
#: line is left: a text that has none is not looked at.
BITS: Final = 18
LONGEST: Final = 5
FORMS: Final = range(2, 7)
FORM_BASIS: Final = 0xDACD1738
MAX_TEXT: Final = 512
MARKS: Final = b"'\"`;|&<>${=#%*\\"
#: The share of ordinary names that may read like an attack.
BOUND: Final = 0.0005
#: The threshold is this at the least: names that nobody composed are odder than those that somebody did.
LEAST: Final = 3.5
#: Texts of each kind that are composed, and what one of them weighs.
PAYLOADS, NAMES, ALIKE = 700, 20_000, 8_000
#: Families of ways that read like no name even where they do nothing: an option or a quoted word alone may be one.
READABLE: Final = {
    name: way for name, way in WAYS.items() if way[2] not in ("argument", "find", "tar", "sed", "dd", "xargs")
}
WEIGHTS: Final = {
    "corpus": 1.0,
    "payloads": 3.0,
    "by hand": 6.0,
    "benign": 6.0,
    "names": 3.0,
    "small letters": 3.0,
    "alike": 2.0,
    "oddities": 20.0,
    "values": 6.0,
}
HOSTILE: Final = ("corpus", "payloads", "by hand")

_BASIS: Final = 0x811C9DC5
_CLASS = np.arange(256, dtype=np.uint8)
_CLASS[ord("A") : ord("Z") + 1] += 32
_CLASS[ord("0") : ord("9") + 1] = ord("0")
_CLASS[128:] = 128


_FORM = _CLASS.copy()
_FORM[ord("a") : ord("z") + 1] = ord("a")
_FORM[ord("A") : ord("Z") + 1] = ord("a")
_FORM[128:] = ord("a")
#: Of these in a row one is left in a form.
_RUNS: Final = np.frombuffer(b"a0 ", dtype=np.uint8)


def _hashed(symbols: Any, lengths: range, basis: int) -> list[Any]:
    """The buckets of a text's n-grams of these lengths between its markers."""
    symbols = np.concatenate(([2], symbols, [3])).astype(np.uint32)
    found = []
    with np.errstate(over="ignore"):
        value = np.full(len(symbols), basis, dtype=np.uint32)
        for length in range(1, lengths.stop):
            count = len(symbols) - length + 1
            if count <= 0:
                break
            value = (value[:count] ^ symbols[length - 1 : length - 1 + count]) * np.uint32(0x01000193)
            if length in lengths:
                found.append((value >> np.uint32(32 - BITS)) ^ (value & np.uint32((1 << BITS) - 1)))
    return found


def form(text: bytes) -> Any:
    """A text's form: letters are one letter, digits one digit, and of these and of spaces in a row one is left."""
    classes = _FORM[np.frombuffer(text[:MAX_TEXT], dtype=np.uint8)]
    again = np.zeros(len(classes), dtype=bool)
    again[1:] = (classes[1:] == classes[:-1]) & np.isin(classes[1:], _RUNS)
    return classes[~again]


def buckets(text: bytes) -> Any:
    """The bucket of each n-gram of a text and of its form."""
    characters = _CLASS[np.frombuffer(text[:MAX_TEXT], dtype=np.uint8)]
    written = _hashed(characters, range(1, LONGEST + 1), _BASIS)
    return np.concatenate(written + _hashed(form(text), FORMS, FORM_BASIS))


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
            grammar in (LOOKALIKES, ORDINARY, SMALL) or not WORDS_ALONE.fullmatch(text.text)
        ):
            found.append(text.text.encode())
        if len(found) >= count:
            break
    return found


def payloads(seed: int, count: int, part: str) -> list[bytes]:
    """Composed payloads of every family. They are not run here, so that the same come out everywhere."""
    return [
        text
        for family, (grammar, symbol, _) in (FAMILIES | READABLE).items()
        for text in composed(grammar, symbol, f"{seed} {family}", count, part)
    ]


def by_hand(part: str) -> list[bytes]:
    """The payloads that somebody wrote who had read the rules, of a part of either set."""
    files = [HAND / f"{name}.toml" for name in (part, f"second-{part}")]
    classes = [kind for file in files for kind in tomllib.loads(file.read_text())["class"]]
    return [text.encode() for kind in classes for text in kind["texts"]]


def is_developed(text: bytes) -> bool:
    """Which half of the project's own harmless texts, and of the messages, a model is made of."""
    return hashlib.sha256(text).digest()[0] < 128


def oddities(developed: bool) -> list[bytes]:
    """The project's own harmless texts, of a half."""
    return sorted({text.text for text in corpora.own_benign() if is_developed(text.text) is developed})


def values(folder: Path, developed: bool) -> list[bytes]:
    """Names and texts in the corpora's valid messages that have a mark, of a half of the messages; each once."""
    found: set[bytes] = set()
    seen: set[bytes] = set()
    for _, valid, raw in corpora.messages(folder):
        if valid == "True":
            part = found if is_developed(raw) is developed else seen
            part |= {
                value for kind, _, _, _, _, value, _ in parts(raw, False, False) if kind in ("display_name", "text")
            }
    other = found if developed else found - seen
    return sorted(value for value in other if any(byte in MARKS for byte in value))


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
            b"ngrams02" + struct.pack("<fff", self.scale, self.bias, threshold) + self.weights.astype(np.int8).tobytes()
        )


def fitted(texts: Mapping[str, Sequence[bytes]]) -> Weights:
    """A model of texts by their kind, one of `WEIGHTS`. The same texts in the same order give the same bytes."""
    every = [text for kind in texts.values() for text in kind]
    hostile = np.concatenate([np.full(len(kind), name in HOSTILE) for name, kind in texts.items()])
    weight = np.concatenate([np.full(len(kind), WEIGHTS[name]) for name, kind in texts.items()])
    model = LogisticRegression(C=10.0, solver="liblinear", max_iter=200, random_state=SEED)
    model.fit(matrix(every), hostile, sample_weight=weight)
    coefficients = model.coef_[0]
    scale = float(np.abs(coefficients).max() / 127)
    weights = np.clip(np.rint(coefficients / scale), -127, 127).astype(np.int32)
    return Weights(weights, scale, float(model.intercept_[0]))


def developed(folder: Path) -> dict[str, list[bytes]]:
    """The texts that a model is made of, by their kind: those of the developed parts."""
    return {
        "corpus": sorted({attack.text for attack in corpora.attacks(folder, "develop")}),
        "payloads": sorted(set(payloads(SEED, PAYLOADS, "develop"))),
        "by hand": sorted(set(by_hand("develop"))),
        "benign": sorted({text.text for text in corpora.benign(folder, "develop")}),
        "oddities": sorted({form for text in oddities(True) + oddities(False) for form in (text, quoted(text))}),
        "values": values(folder, True),
        "small letters": sorted(set(composed(SMALL, "small", f"{SEED} small", ALIKE, "develop"))),
        "names": sorted(set(composed(ORDINARY, "ordinary", f"{SEED} names", NAMES, "develop"))),
        "alike": sorted(set(composed(LOOKALIKES, "made", f"{SEED} alike", ALIKE, "develop"))),
    }


def measured(model: Weights, twin: Weights, threshold: float, folder: Path, count: int) -> dict[str, dict[str, float]]:
    """How much of what was held back reads like an attack; `count` ordinary names. Of the oddities, that are too few to keep a
    half of them from the model, a half is measured with a twin that was made of the other."""
    sets = {
        "attacks": [attack.text for attack in corpora.attacks(folder, "held-back")],
        "payloads": payloads(SEED + 1, 200, "held-back"),
        "by hand": by_hand("held-back"),
        "benign": [text.text for text in corpora.benign(folder, "held-back")],
        "ordinary names": composed(ORDINARY, "ordinary", f"{SEED} held", count, "held-back"),
        "small letters": composed(SMALL, "small", f"{SEED} held", count // 10, "held-back"),
        "oddities": oddities(False),
        "values": values(folder, False),
        "look-alikes": composed(LOOKALIKES, "made", f"{SEED} held", count // 10, "held-back"),
    }
    return {
        name: {
            "texts": len(texts),
            "reads like an attack": round(
                float(((twin if name == "oddities" else model).scores(texts) > threshold).mean()), 5
            ),
        }
        for name, texts in sets.items()
    }


def described(
    content: bytes, made_of: dict[str, int], threshold: float, figures: dict[str, dict[str, float]]
) -> dict[str, Any]:
    """The card: what the weights are, what they were made of, how good they are, and what they are not good for."""
    return {
        "what": "logistic regression over hashed 1- to 5-grams of characters and 2- to 6-grams of their forms, weights of one signed byte in 262,144 buckets",
        "made by": f"make model, scikit-learn {sklearn.__version__}, seed {SEED}",
        "sha256": hashlib.sha256(content).hexdigest(),
        "made of": {name: {"texts": count, "weight": WEIGHTS[name]} for name, count in made_of.items()},
        "threshold": threshold,
        "held back": figures,
        "limits": "Texts of at most 512 bytes with a mark that attacks need; made of display names, user agents and payloads, "
        "mostly in English and for SQL, shells, HTML and paths. Payloads of another kind, and names of a kind that nobody "
        "composed, read as they may. It is no proof: it weighs too little to refuse a message by itself.",
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
    texts = developed(options.corpora)
    made_of = {name: len(kind) for name, kind in texts.items()}
    model, twin = fitted(texts), fitted(texts | {"oddities": oddities(True)})
    # The threshold is where names of the developed part, but others than it was made of, are few enough.
    print("choosing the threshold", file=sys.stderr, flush=True)
    others = composed(ORDINARY, "ordinary", f"{SEED} others", options.measure // 2, "develop")
    own = [text.text for text in corpora.benign(options.corpora, "develop")]
    scores = np.sort(np.concatenate([model.scores(others), model.scores(own)]))
    threshold = max(LEAST, float(np.ceil(4 * scores[-1 - int(BOUND / 2 * len(scores))]) / 4))
    print("measuring on what was held back", file=sys.stderr, flush=True)
    content = model.to_bytes(threshold)
    card = described(content, made_of, threshold, measured(model, twin, threshold, options.corpora, options.measure))
    options.target.mkdir(parents=True, exist_ok=True)
    (options.target / "weights.bin").write_bytes(content)
    (options.target / "card.json").write_text(json.dumps(card, indent=1) + "\n")
    print(json.dumps(card, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
