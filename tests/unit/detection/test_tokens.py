"""What a JSON Web Token carries is looked at like any other text, and honest tokens pass."""

from __future__ import annotations

import base64
import json
import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "detection"))

from embed import message
from evaluate import decide, engine

from sipsieve.model import Verdict

GUARD = engine()


def token(header: dict[str, Any], claims: dict[str, Any]) -> str:
    parts = [json.dumps(part, separators=(",", ":")).encode() for part in (header, claims)]
    signed = [base64.urlsafe_b64encode(part).decode().rstrip("=") for part in (*parts, bytes(range(64)))]
    return ".".join(signed)


PASSPORT = {"alg": "ES256", "ppt": "shaken", "typ": "passport", "x5u": "https://cert.example.org/passport.pem"}
CALL = {
    "attest": "A",
    "dest": {"tn": ["12155550131"], "uri": ["sip:bob@example.com"]},
    "iat": 1443208345,
    "orig": {"tn": "12155550121"},
    "origid": "123e4567-e89b-12d3-a456-426655440000",
    "rcd": {"nam": "O'Brien & Sons; Boise, ID", "icn": "https://example.com/logo.png"},
}


def verdict(header: str) -> Verdict:
    return decide(GUARD, message(more=header.encode() + b"\r\n")).verdict


@pytest.mark.parametrize(
    "claims",
    [
        {"sub": "x' or 1=1-- "},
        {"sub": "alice", "preferred_username": "a'; drop table location;--"},
        {"scope": "$(reboot -f)"},
        {"a\u0027 or 1=1--": 1},
        {"deep": {"list": ["a", "b", "\u0024(id -u)"]}},
        {"enc": "%27%20or%201=1--"},
    ],
)
def test_an_attack_in_a_bearer_s_claims_is_refused(claims: dict[str, Any]) -> None:
    """CVE-2026-25554: a claim reaches a query."""
    assert verdict(f"Authorization: Bearer {token({'alg': 'HS256'}, claims)}") is Verdict.REJECT


def test_a_certificate_s_inner_url_does_not_pass() -> None:
    """CVE-2022-26499: whoever verifies fetches it."""
    for url in ("http://169.254.169.254/latest/meta-data/", "http://127.0.0.1:8088/ari"):
        assert (
            verdict(f"Identity: {token(PASSPORT | {'x5u': url}, CALL)};info=<https://a.example/c>") is not Verdict.ALLOW
        )
        assert verdict(f"Identity: {token(PASSPORT, CALL)};info=<{url}>;alg=ES256") is not Verdict.ALLOW


def test_honest_tokens_pass() -> None:
    signed = token(PASSPORT, CALL)
    assert (
        verdict(f"Identity: {signed};info=<https://cert.example.org/passport.pem>;alg=ES256;ppt=shaken")
        is Verdict.ALLOW
    )
    claims = {
        "iss": "https://idp.example.com/",
        "sub": "auth0|5f7c8ec7c33c6c004bbafe82",
        "aud": ["sip", "https://api.example.com"],
    }
    claims |= {"name": "Jean-Luc D'Arcy (Sales)", "email": "jl@example.com", "scope": "openid profile sip:register"}
    assert (
        verdict(f"Authorization: Bearer {token({'alg': 'RS256', 'kid': 'a-1_b', 'typ': 'JWT'}, claims)}")
        is Verdict.ALLOW
    )
