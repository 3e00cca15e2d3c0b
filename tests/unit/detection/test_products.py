"""What 24 makes send passes at every level of paranoia, whichever packs of exceptions are on; each exception of a pack is needed."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from click.testing import CliRunner

sys.path.insert(0, str(Path(__file__).parents[2] / "detection"))

from evaluate import decide
from products import MAKES, METHODS, message

from sipsieve.config import policy
from sipsieve.control import last_good
from sipsieve.decision.engine import Engine
from sipsieve.detection import opinion, ruleset
from sipsieve.detection.ruleset import Ruleset
from sipsieve.model import Decision, Verdict
from sipsieve_analysis.cli import main

PRODUCTS = ("teams", "3cx", "freepbx", "asterisk", "freeswitch", "cisco", "audiocodes", "ims")
BASE = ruleset.load()


def special(make: str) -> Iterator[bytes]:
    """The messages of a make that need its pack."""
    for line in MAKES[make].get("with_pack", []):
        yield message(make, more=[line])


@cache
def rules(products: tuple[str, ...]) -> Ruleset:
    return ruleset.load(products=products)


def touched(rules: Ruleset, paranoia: int, raw: bytes) -> Decision | None:
    decision = decide(_engine(rules, paranoia), raw)
    return None if decision.verdict is Verdict.ALLOW else decision


@cache
def _engine(rules: Ruleset, paranoia: int) -> Engine:
    text = f"[limits]\nenabled = false\n[detection]\nparanoia = {paranoia}\ntext_bodies = true\n"
    return Engine(policy.loads(text), rules)


def test_there_is_a_pack_for_each_product_and_cases_of_24_makes() -> None:
    assert set(ruleset.products()) == set(PRODUCTS)
    assert len(MAKES) == 24
    assert {of["pack"] for of in MAKES.values() if "pack" in of} == set(PRODUCTS)


@pytest.mark.parametrize("products", [(), *((product,) for product in PRODUCTS), PRODUCTS], ids="+".join)
def test_what_a_make_sends_by_itself_passes_with_each_pack_on_and_off(products: tuple[str, ...]) -> None:
    for paranoia in (1, 3) if len(products) != 1 else (1,):
        for make in MAKES:
            for method in METHODS:
                found = touched(rules(products), paranoia, message(make, method))
                assert found is None, (make, method, paranoia, found.findings)


@pytest.mark.parametrize("make", [make for make in MAKES if list(special(make))])
def test_what_needs_a_pack_passes_with_it_alone(make: str) -> None:
    pack = MAKES[make]["pack"]
    for raw in special(make):
        for paranoia in (1, 2, 3):
            assert touched(BASE, paranoia, raw) is not None, raw
            found = touched(rules((pack,)), paranoia, raw)
            assert found is None, (paranoia, found.findings, raw)


@pytest.mark.parametrize("product", PRODUCTS)
def test_each_exception_of_a_pack_is_needed(product: str) -> None:
    whole = rules((product,))
    raws = [raw for make, of in MAKES.items() if of.get("pack") == product for raw in special(make)]
    for entry in whole.exceptions:
        if entry.pack:
            without = Ruleset(whole.rules, [other for other in whole.exceptions if other != entry])
            assert any(touched(without, 1, raw) for raw in raws), (product, entry)


@pytest.mark.parametrize(
    ("product", "line"),
    [
        ("3cx", "Call-Info: <http://127.0.0.1:8088/ari/channels?app=x>;answer-after=0"),
        ("freepbx", "Call-Info: <http://169.254.169.254/latest/meta-data>"),
        ("asterisk", "X-Asterisk-Channel: $(reboot)"),
        ("asterisk", "X-Channel: Local/200@from-internal"),
        ("freeswitch", "X-FS-Channel: ' or 1=1--"),
        ("freeswitch", "X-FS-Channel: {api_hangup_hook='system reboot'}100"),
        ("teams", 'ms-diagnostics: 1;reason="\' or 1=1--"'),
        ("audiocodes", 'ms-diagnostics: 1;reason="$(reboot)"'),
    ],
)
def test_a_pack_hides_no_other_attack(product: str, line: str) -> None:
    raw = message("cisco-phone", more=[line])
    assert touched(BASE, 1, raw) is not None
    assert touched(rules((product,)), 1, raw) is not None


def test_a_product_without_a_pack_is_refused_with_the_place(tmp_path: Path) -> None:
    path = tmp_path / "policy.toml"
    path.write_text('[detection]\nproducts = ["teems"]\n')
    done = CliRunner().invoke(main, ["check", "--policy", str(path)])
    assert done.exit_code == 1
    assert f"{path}:2: detection.products: there is no pack for 'teems'; there are: 3cx, asterisk," in done.output
    for odd in ("../rules/sql", "", "teams.toml"):
        with pytest.raises(ruleset.RuleError, match="there is no pack for"):
            ruleset.load(products=[odd])


def test_check_names_the_packs_and_explain_what_one_let_pass(tmp_path: Path) -> None:
    path, raw = tmp_path / "policy.toml", tmp_path / "message.sip"
    path.write_text('[detection]\nproducts = ["asterisk", "teams"]\n')
    raw.write_bytes(next(special("asterisk")))
    done = CliRunner().invoke(main, ["check", "--policy", str(path)])
    assert done.exit_code == 0, done.output
    assert "packs: asterisk, teams;" in done.output
    done = CliRunner().invoke(main, ["explain", "--policy", str(path), "--message", str(raw)])
    assert done.exit_code == 0, done.output
    assert "Let pass by a product's pack" in done.output
    assert "asterisk: sip-dialplan in x-asterisk-channel[1]: names of channels" in done.output
    assert "teams:" not in done.output
    raw.write_bytes(message("yealink"))
    done = CliRunner().invoke(main, ["explain", "--policy", str(path), "--message", str(raw)])
    assert "Let pass" not in done.output


def test_the_last_good_rules_keep_their_packs(tmp_path: Path) -> None:
    path, kept = tmp_path / "policy.toml", tmp_path / "kept.json"
    path.write_text('[detection]\nproducts = ["3cx", "asterisk"]\n')
    before = last_good.start(str(path), str(kept), False, print)
    path.write_text("[detection]\nproducts = [1]\n")
    after = last_good.start(str(path), str(kept), False, print)
    assert after.broken
    assert after.rules.version == before.rules.version
    assert {entry.pack for entry in after.rules.exceptions} == {"", "3cx", "asterisk"}


def test_other_weights_or_packs_are_another_version(monkeypatch: pytest.MonkeyPatch) -> None:
    few = BASE.rules[:3]
    before = Ruleset(few).version
    assert Ruleset(few).version == before
    assert rules(("3cx",)).version != BASE.version
    monkeypatch.setattr(opinion, "version", lambda: "0123456789ab")
    assert Ruleset(few).version != before


def test_documents_of_xml_in_info_pass_where_texts_are_read_and_what_they_say_is() -> None:
    shown = '<?xml version="1.0" encoding="utf-8"?><media_control><vc_primitive>{}</vc_primitive></media_control>'
    kind = "application/media_control+xml"
    said = "<to_encoder><picture_fast_update/></to_encoder>"
    assert touched(BASE, 3, message("cisco-cucm", "INFO", body=(kind, shown.format(said)))) is None
    for bad in ("' or 1=1--", "$(reboot)", '<x a="\' or 1=1--"/>'):
        assert touched(BASE, 1, message("cisco-cucm", "INFO", body=(kind, shown.format(bad)))) is not None
    page = "<script>alert(document.cookie)</script>"
    for pretended in ("text/plain; a=/xml", "application/xhtml+xml", "text/html", "message/xml-x"):
        assert touched(BASE, 1, message("cisco-cucm", "MESSAGE", body=(pretended, page))) is not None, pretended
    assert touched(BASE, 1, message("cisco-cucm", "MESSAGE", body=("application/xml", "x;touch pwn`id`"))) is not None
