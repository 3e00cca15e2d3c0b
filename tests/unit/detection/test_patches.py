"""Virtual patches: each refuses the message that it is for, passes that one's legal twin, and is on for the right versions."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "detection"))

from evaluate import decide
from ordinary import ORDINARY_MESSAGES

from harness import ROOT
from sipsieve.config import policy
from sipsieve.decision.engine import Engine
from sipsieve.detection import patches, ruleset
from sipsieve.detection.patches import Patch, software_of
from sipsieve.model import Verdict
from sipsieve_analysis.operate.exposure import exposures, lines
from sipsieve_analysis.rules_reference import patches_reference

RULES = ruleset.load()
PATCHES = patches.load()


def guard(*software: str, more: str = "") -> Engine:
    names = ", ".join(f'"{name}"' for name in software)
    text = f"[limits]\nenabled = false\n[backend]\nsoftware = [{names}]\n{more}"
    return Engine(policy.loads(text), RULES)


def concerned(patch: Patch) -> str:
    """Some version that needs it."""
    first = patch.versions[0]
    return f"{first.name} {first.first}"


def ids(engine: Engine, raw: bytes) -> list[str]:
    return [finding.rule for finding in decide(engine, raw).findings if finding.family == patches.FAMILY]


@pytest.mark.parametrize("patch", PATCHES, ids=lambda patch: patch.id)
def test_a_patch_stops_its_trigger_and_passes_its_twin(patch: Patch) -> None:
    engine = guard(concerned(patch))
    decision = decide(engine, patch.trigger)
    found = [finding for finding in decision.findings if finding.rule == patch.id]
    assert len(found) == 1
    assert patch.numbers[0] in found[0].reason
    if patch.watched:
        assert decision.verdict is Verdict.ALLOW
    else:
        assert decision.verdict in (Verdict.REJECT, Verdict.DROP)
    assert decide(engine, patch.twin).verdict is Verdict.ALLOW
    assert ids(engine, patch.twin) == []


@pytest.mark.parametrize("patch", PATCHES, ids=lambda patch: patch.id)
def test_without_a_backend_no_patch_is_on(patch: Patch) -> None:
    assert ids(guard(), patch.trigger) == []
    assert ids(guard(concerned(patch), more=f'fixed = ["{patch.numbers[0]}"]'), patch.trigger).count(patch.id) == 0


@pytest.mark.parametrize("name", patches.PRODUCTS)
def test_ordinary_messages_pass_before_old_software(name: str) -> None:
    """What a patch looks for may be legal, but it is nothing that phones and carriers of the tests send."""
    versions = {concerned(patch) for patch in PATCHES if patch.versions[0].name == name}
    engine = guard(*versions)
    stopped = [raw for raw in ORDINARY_MESSAGES if decide(engine, raw).verdict is not Verdict.ALLOW]
    assert stopped == []


@pytest.mark.parametrize(
    ("text", "patch", "relation"),
    [
        ("asterisk 13.19.1", "patch-asterisk-accept-count", "concerned"),
        ("asterisk 13.19", "patch-asterisk-accept-count", "concerned"),
        ("asterisk 13.19.2", "patch-asterisk-accept-count", "fixed"),
        ("asterisk 15.0.0", "patch-asterisk-accept-count", "concerned"),
        ("asterisk 20.5", "patch-asterisk-accept-count", "fixed"),
        ("asterisk 12.8", "patch-asterisk-accept-count", "other"),
        ("asterisk 13.18-cert2", "patch-asterisk-accept-count", "concerned"),
        ("asterisk certified-13.18-cert3", "patch-asterisk-accept-count", "fixed"),
        ("Asterisk 1:16.28.0~dfsg-0+deb11u4", "patch-asterisk-host-dot", "concerned"),
        ("asterisk 20.9.3", "patch-asterisk-host-dot", "fixed"),
        ("asterisk 18.9-cert11", "patch-asterisk-host-dot", "concerned"),
        ("asterisk 18.9-cert12", "patch-asterisk-host-dot", "fixed"),
        ("kamailio 5.1.3", "patch-kamailio-to-twice", "concerned"),
        ("kamailio 5.0.7", "patch-kamailio-to-twice", "fixed"),
        ("opensips 3.2.4", "patch-opensips-digest", "fixed"),
        ("opensips 3.2.4", "patch-kamailio-to-twice", "other"),
    ],
)
def test_a_version_is_concerned_fixed_or_neither(text: str, patch: str, relation: str) -> None:
    (one,) = [known for known in PATCHES if known.id == patch]
    assert one.relation(software_of(text)) == relation


@pytest.mark.parametrize("software", ["asterisk", "asterisk twenty", "postfix 3.1", ""])
def test_software_that_is_none_is_refused(software: str) -> None:
    with pytest.raises(ruleset.RuleError, match=r"^backend\.software: .* allowed: asterisk, .* as in asterisk 20\.5"):
        guard(software)


def test_a_number_that_no_patch_has_is_refused() -> None:
    with pytest.raises(ruleset.RuleError, match=r"backend\.fixed: 'AST-1999-001' is no patch"):
        guard("asterisk 20.5", more='fixed = ["AST-1999-001"]')


def test_the_action_and_the_list_of_watched_rules_hold_for_patches() -> None:
    (one,) = [patch for patch in PATCHES if patch.id == "patch-asterisk-accept-count"]
    watched = guard("asterisk 13.1", more=f'[rules]\nobserve = ["{one.id}"]')
    decision = decide(watched, one.trigger)
    assert (decision.verdict, decision.enforced) == (Verdict.REJECT, False)
    dropped = guard("asterisk 13.1", more='[actions]\npatch = "drop"')
    assert decide(dropped, one.trigger).verdict is Verdict.DROP


def test_check_tells_exposed_covered_and_fixed_apart() -> None:
    text = '[backend]\nsoftware = "asterisk 13.19.1"\n'
    states = {one.patch: one for one in exposures(policy.loads(text), ["asterisk 13.19.1"])}
    assert states["patch-asterisk-accept-count"].state == "covered"
    assert states["patch-asterisk-accept-count"].rules == ("patch-asterisk-accept-count",)
    assert states["patch-asterisk-no-contact"].state == "fixed"
    open_ = {one.patch: one for one in exposures(policy.loads('mode = "observe"\n' + text), ["asterisk 13.19.1"])}
    assert open_["patch-asterisk-accept-count"].state == "exposed"
    assert open_["patch-asterisk-accept-count"].fixed_in == "13.19.2"
    said = lines([states["patch-asterisk-accept-count"], *open_.values()])
    assert said[0].startswith(
        "asterisk 13.19.1: CVE-2018-7284: covered by patch-asterisk-accept-count; fixed in 13.19.2"
    )
    assert any(": exposed: a SUBSCRIBE with more than 32 Accept" in line for line in said)


def test_what_the_other_rules_stop_is_covered_without_a_patch() -> None:
    found = {one.patch: one for one in exposures(policy.loads(""), ["opensips 3.2.3"])}
    assert found["patch-opensips-content-length"].rules == ("content-length-beyond",)
    assert found["patch-opensips-digest"].state == "exposed"


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ('cases = [[{ where = "via" }]]', "a test asks one of has, lacks, longer, more, absent"),
        ('cases = [[{ where = "via", more = 1 }]]\nversions = ["asterisk 13"]', "is not of the form"),
        ('cases = [[{ where = "via", more = -1 }]]', "expected `int` >= 0; allowed: "),
    ],
)
def test_a_broken_file_is_refused_with_its_place(tmp_path: Path, text: str, fault: str) -> None:
    path = tmp_path / "own.toml"
    rest = "" if "versions" in text else 'versions = ["asterisk 13 < 13.1"]\n'
    path.write_text(
        f'[[patch]]\nid = "patch-own"\nreason = "why"\nnumbers = ["X"]\n{rest}fixed_by = 2020-01-01\n'
        f'trigger = "OPTIONS"\ntwin = "OPTIONS"\n{text}\n'
    )
    with pytest.raises(ruleset.RuleError, match=f"{path}: .*{fault}"):
        patches.load_file(path)


def test_the_reference_is_what_the_patches_say() -> None:
    assert (ROOT / "docs" / "patches.md").read_text() == patches_reference(PATCHES), (
        "run: sipsieve rules --patches --markdown > docs/patches.md"
    )
