"""The policy: what it accepts, what it refuses and with which words, and that its file and pages are complete."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from harness import KEMI, ROOT
from sipsieve.config import policy
from sipsieve.config.policy import PolicyError, loads

SHIPPED = KEMI / "sipsieve.toml"


def keys(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """All keys of a nested table with their values, as `limits.invite.per_minute`."""
    if isinstance(value, dict) and value:
        for name, inner in value.items():
            yield from keys(inner, f"{path}.{name}" if path else name)
    else:
        yield path, value


DEFAULTS = dict(keys(msgspec.to_builtins(policy.Policy())))
DEFAULTS.pop("network")
#: Tables that are there or not; what stands in them is shown as a comment.
DEFAULTS.pop("destinations")
DEFAULTS.pop("domain")
#: Lists are shown in a comment: whoever wants none has none.
LISTS = {"feed"}


def test_the_shipped_policy_lists_every_key_with_its_default() -> None:
    written = dict(keys(tomllib.loads(SHIPPED.read_text())))
    assert written.pop("network.trusted") == []
    assert set(written) == set(DEFAULTS) - LISTS, set(written) ^ set(DEFAULTS)
    for key, value in written.items():
        default = DEFAULTS[key]
        assert value == (list(default) if isinstance(default, tuple) else default), key
    loaded = policy.load(SHIPPED)
    assert msgspec.structs.replace(loaded, network=()) == policy.Policy()


def test_each_table_and_key_of_the_shipped_policy_has_its_reason() -> None:
    """A key has a comment above it, on its own or for the table that it stands in."""
    bare = []
    commented = in_table = False
    for line in SHIPPED.read_text().split("\n"):
        if line.startswith("#"):
            commented = True
        elif line.startswith("["):
            in_table, commented = commented, False
        elif line:
            if not (commented or in_table):
                bare.append(line)
            # ipv6_prefix stands with ipv4_prefix, trusted with strangers.
        else:
            commented = False
    assert bare == []


def test_the_network_table_is_shown() -> None:
    text = SHIPPED.read_text()
    for field in msgspec.structs.fields(policy.NetworkRule):
        assert re.search(rf"^# (\[network\.)?{field.encode_name}\b", text, re.M), field.encode_name


def test_the_page_lists_every_key_with_its_default() -> None:
    page = (ROOT / "docs" / "policy.md").read_text()
    for key, default in DEFAULTS.items():
        shown = msgspec.json.encode(default).decode().replace(",", ", ")
        row = re.search(rf"^\| `{re.escape(key)}` \| ([^|]+) \| `([^|]*)` \|", page, re.M)
        assert row is not None, f"docs/policy.md does not list {key}"
        assert row[2] == shown, key


def test_an_empty_policy_is_a_valid_one() -> None:
    assert loads("") == policy.Policy()


def test_its_version_changes_with_any_value() -> None:
    assert loads("").version == loads('mode = "enforce"').version
    assert loads("").version != loads("[limits.other]\nper_minute = 599\n").version


WRONG = {
    'mode = "block"': ["mode", '"enforce" or "observe"'],
    "mode = 1": ["mode", '"enforce" or "observe"'],
    "[limit]\nenabled = true": ["limit", "Did you mean 'limits'?"],
    "[limits]\nenable = true": ["limits.enable", "no such key", "Did you mean 'enabled'?"],
    "[limits]\nenabled = 1": ["limits.enabled", "true or false"],
    "[limits.invite]\nper_minute = -1": ["limits.invite.per_minute", "0 to 10000000"],
    '[limits.invite]\nper_minute = "ten"': ["limits.invite.per_minute", "whole number"],
    "[limits.invite]\nper_minute = 1.5": ["limits.invite.per_minute", "whole number"],
    "[limits.invite]\nper_hour = 1": ["limits.invite"],
    "[bans]\nseconds = [0]": ["bans.seconds"],
    "[bans]\nseconds = []": ["bans.seconds"],
    '[actions]\nsql = "kill"': ["actions.sql", '"reject" or "drop" or "scrub" or "log"'],
    '[actions]\nsqli = "log"': ["actions.sqli", "Did you mean 'sql'?"],
    '[content_length_zero]\ninvite = "no"': ["content_length_zero.invite", '"reject-initial"'],
    '[log]\nallow = "sample:0"': ["log.allow", '"sample:N"'],
    '[log]\nallow = "none"': ["log.allow", '"summary"'],
    "[log]\nexcerpt_bytes = 5": ["log.excerpt_bytes", "16 to 4096"],
    "[log]\npath = 7": ["log.path", "text"],
    '[failure]\nstrangers = "ajar"': ["failure.strangers", '"closed" or "open"'],
    "[detection]\nmax_bytes = 10": ["detection.max_bytes", "1024 to 65535"],
    "[detection]\nscrub_score = 9": ["detection.scrub_score", "detection.reject_score"],
    '[network]\ntrusted = ["carrier"]': ["network", "'carrier'", "192.0.2.7"],
    '[network]\ntrusted = "192.0.2.1"': ["network"],
    '[[network]]\ncidr = "300.0.0.1"': ["network", "300.0.0.1"],
    '[[network]]\ncidr = "192.0.2.1"\ntrust = true': ["network"],
    "mode = ": ["is not valid TOML"],
    '[log]\nallow = "each"\n[log]\nallow = "each"': ["is not valid TOML"],
}


@pytest.mark.parametrize("text", WRONG)
def test_an_error_names_file_key_fault_and_what_is_allowed(text: str) -> None:
    with pytest.raises(PolicyError) as caught:
        loads(text, "/etc/sipsieve/sipsieve.toml")
    said = str(caught.value)
    assert re.match(r"/etc/sipsieve/sipsieve\.toml:\d+: ", said)
    for part in WRONG[text]:
        assert part in said, said
    assert "$" not in said, "msgspec's own notation is not for people"


def test_a_file_that_cannot_be_read_says_so(tmp_path: Path) -> None:
    with pytest.raises(PolicyError, match=r"cannot be read: No such file.*SIPSIEVE_POLICY"):
        policy.load(tmp_path / "no.toml")
    (tmp_path / "latin1.toml").write_bytes(b'mode = "\xe9"')
    with pytest.raises(PolicyError, match="not UTF-8 at byte 8"):
        policy.load(tmp_path / "latin1.toml")


def test_trusted_networks_of_both_forms() -> None:
    short = loads('[network]\ntrusted = ["192.0.2.7", "2001:db8::/32"]').networks
    assert [(str(network), rule.trusted) for network, rule in short] == [
        ("192.0.2.7/32", True),
        ("2001:db8::/32", True),
    ]
    long = loads('[[network]]\ncidr = "10.0.0.0/8"\n[[network]]\ncidr = "10.1.0.0/16"\ntrusted = true').networks
    assert [str(network) for network, _ in long] == ["10.1.0.0/16", "10.0.0.0/8"]
