"""No short word of letters and digits, and nothing that a client makes up at random, is taken for an attack, wherever it stands."""

from __future__ import annotations

import itertools
import random
import string
import sys
import uuid
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Iterator
from typing import Final

import pytest

from harness import ROOT

sys.path[:0] = [str(ROOT / "tests/detection")]

from embed import message  # noqa: E402
from evaluate import decide, engine  # noqa: E402

from sipsieve.model import Verdict  # noqa: E402

GUARD = engine(text_bodies=True)
_LETTERS: Final = string.ascii_lowercase + string.digits


def everywhere(text: bytes) -> bytes:
    """A message that has a text in each place where a token or a word may stand."""
    address = b'"%s" <sip:%s@%s.example.com;x=%s>;tag=%s' % ((text,) * 5)
    return message(
        uri=b"sip:%s@example.com;x=%s" % (text, text),
        via=b"SIP/2.0/UDP 192.0.2.4:5060;branch=z9hG4bK%s;x=%s" % (text, text),
        from_=address,
        to=address,
        contact=b"<sip:%s@192.0.2.4:5060;x=%s>" % (text, text),
        agent=text,
        call_id=text,
        more=b'Authorization: Digest username="%s", realm="%s", nonce="%s", uri="sip:example.com", cnonce="%s", response="%s"\r\n'
        b'Subject: %s\r\nX-Id: %s\r\nReason: Q.850;cause=16;text="%s"\r\n' % ((text,) * 8),
        body=b"v=0\r\no=%s 1 1 IN IP4 192.0.2.4\r\ns=%s\r\ni=%s\r\nc=IN IP4 192.0.2.4\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\na=label:%s\r\n"
        % ((text,) * 4),
    )


def touched(texts: Iterator[str]) -> list[str]:
    """Which of the texts are not passed as they are, with what was found."""
    found = []
    for text in texts:
        decided = decide(GUARD, everywhere(text.encode()))
        if decided.verdict is not Verdict.ALLOW:
            findings = decided.findings
            found.append(f"{text!r}: " + ", ".join(f"{one.rule} in {one.field}" for one in findings))
    return found


@pytest.mark.parametrize("length", [1, 2, 3])
def test_no_word_of_so_many_letters_and_digits_is_touched(length: int) -> None:
    assert not touched("".join(letters) for letters in itertools.product(_LETTERS, repeat=length))


def made_up(count: int) -> Iterator[str]:
    """Identifiers as clients make them up."""
    rng = random.Random(41)
    for _ in range(count):
        some = rng.randbytes(rng.choice((4, 8, 12, 16, 24)))
        yield rng.choice(
            (
                some.hex(),
                some.hex().upper(),
                b64encode(some).decode(),
                urlsafe_b64encode(some).decode().rstrip("="),
                str(uuid.UUID(bytes=rng.randbytes(16), version=4)),
                str(rng.getrandbits(64)),
                f"{rng.getrandbits(32):x}-{rng.getrandbits(16):x}",
                "".join(rng.choices(string.ascii_letters + string.digits, k=rng.randint(4, 20))),
            )
        )


def test_nothing_that_is_made_up_at_random_is_touched() -> None:
    assert not touched(made_up(20_000))
