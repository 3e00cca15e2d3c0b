"""Writes the seeds in `corpus`: run it anew after a change to the messages that they come from."""

from __future__ import annotations

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent.parent
sys.path.insert(0, str(ROOT / "tests" / "detection"))

from disguise import DISGUISES, PLACES, PLAIN  # noqa: E402
from ordinary import ORDINARY_MESSAGES  # noqa: E402

#: Bytes of a seed.
LONGEST = 2048

HEAD = (
    b"Via: SIP/2.0/UDP 192.0.2.7;branch=z9hG4bK1;rport\r\nFrom: \"A\" <sip:a@example.com>;tag=1\r\n"
    b"To: <sip:b@example.com>\r\nCall-ID: 1@192.0.2.7\r\nCSeq: 1 %s\r\nMax-Forwards: 70\r\n"
)  # fmt: skip


def messages() -> list[bytes]:
    """Whole messages: ordinary ones, an attack in each place, answers, credentials, bodies, broken framing."""
    attacks = list(PLAIN.values())
    found = list(ORDINARY_MESSAGES)
    found += [place(attacks[number % len(attacks)]) for number, place in enumerate(PLACES.values())]
    found += [
        b"SIP/2.0 401 Unauthorized\r\n" + HEAD % b"REGISTER"
        + b'WWW-Authenticate: Digest realm="a", nonce="n1", stale=true, qop="auth"\r\n\r\n',
        b"SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK2\r\n" + (HEAD % b"INVITE").replace(b">\r\n", b">;tag=2\r\n", 1)
        + b"Contact: <sip:b@192.0.2.9;transport=tcp>\r\n\r\n",
        b"REGISTER sip:example.com SIP/2.0\r\n" + HEAD % b"REGISTER"
        + b'Authorization: Digest username="a", realm="a", nonce="n1", uri="sip:a", response="0123"\r\n\r\n',
        b"INVITE sip:b@example.com SIP/2.0\r\n" + HEAD % b"INVITE"
        + b"Content-Type: application/sdp\r\nContent-Length: 30\r\n\r\nv=0\r\ns=$(id)\r\ni=x\r\nm=audio 1\r\n",
        b"MESSAGE sip:b@example.com SIP/2.0\r\n" + HEAD % b"MESSAGE" + b"Content-Type: text/plain\r\n\r\n<script>alert(1)</script>",
        b"INVITE sip:b@example.com SIP/2.0\r\n" + HEAD % b"INVITE"
        + b"Content-Type: multipart/mixed;boundary=--x\r\n\r\n----x\r\nContent-Type: application/sdp\r\n\r\ns=a\r\n----x--\r\n",
        b"OPTIONS sip:b SIP/2.0\nv: SIP/2.0/UDP a\n ;branch=z9hG4bK1\nf: a\n <sip:a@b>;tag=1\nt:sip:b\ni:1\nCSeq:1\n OPTIONS\nl:0\nl: 1\n\n",
        b"OPTIONS sip:b SIP/3.0\r\nVia\r\nFrom : <sip:a\r\nTo: \"x\r\n: y\r\nContent-Length: 99999999999999999999\r\n\r\n",
        b"\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
        b"INVITE sip:b@example.com SIP/2.0\r\n" + HEAD % b"INVITE" + b"Contact: " + b", ".join([b"<sip:a@b;x=y?z=1>;q=1"] * 70) + b"\r\n\r\n",
        b"X",
        b"",
    ]  # fmt: skip
    return found


def transforms() -> list[bytes]:
    """Values: each disguise of some attack, and what begins an encoding and does not go on."""
    attacks = list(PLAIN.values())
    found = [disguise(attacks[number % len(attacks)]) for number, disguise in enumerate(DISGUISES.values())]
    return [
        *found, b"%25252527", b"%", b"%u", b"&#", b"&#x110000;", b"&nGt;", b"\\", b"\\u{110000}", b"\\x2", b"0x", b"\xf8\x80\x80\x80\xa7",
        "\ufdfa\ufdfa".encode(), b"/*", b"/*/", b"/**//*/", b"base64 -d YmFzaCAtaQ==", b"a\r\n b", b"$@$*$1${IFS}x^y`z'\"", b"a  b\t+c",
    ]  # fmt: skip


def state() -> list[bytes]:
    """Sequences of steps: see `src/state.rs`."""
    return [
        bytes(range(256)),
        bytes(value % 31 for value in range(200)),
        bytes((0, 1, 0, 17, 0xC0, 1, 6, 1, 0xC0, 1, 9, 1, 6, 1, 10, 0, 6, 1)),
        bytes((11, 1, 0xAB, 1, 0x4B, 1, 0x6B, 1) * 8),
        bytes((25, 1, 26, 2, 0x99, 3, 31, 0, 0xBA, 4, 31, 255) * 8),
        bytes((15, 1, 17, 1, 20, 0x31, 22, 0x31, 0xF1, 1, 0x96, 0x31) * 8),
    ]


def main() -> None:
    for name, seeds in (("messages", messages()), ("transforms", transforms()), ("state", state())):
        folder = HERE / "corpus" / name
        folder.mkdir(parents=True, exist_ok=True)
        for old in folder.glob("seed-*"):
            old.unlink()
        for number, seed in enumerate(dict.fromkeys(seed[:LONGEST] for seed in seeds)):
            (folder / f"seed-{number:03}").write_bytes(seed)


if __name__ == "__main__":
    main()
