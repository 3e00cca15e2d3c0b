"""How `sipsieve audit` reads a configuration: variables, comments and strings, and what a pattern lets through."""

from __future__ import annotations

from pathlib import Path

import pytest

from sipsieve_analysis.audit.source import read, variants
from sipsieve_analysis.audit.values import narrow
from sipsieve_analysis.audit.variables import parse, pieces


def test_variables_are_read_as_kamailio_reads_them() -> None:
    assert parse("$(hdr(X-A){s.len}{s.int})").transformations == ("s.len", "s.int")
    assert parse("$xavp(a[0]=>b)").inner == "a[0]=>b"
    assert parse("$avp(x)[1]").name == "$avp(x)"
    assert [p if isinstance(p, str) else p.written for p in pieces("a $fU-$(ru{s.rm,)})$$ b")][:4] == [
        "a ",
        "$fU",
        "-",
        "$(ru{s.rm,)})",
    ]


def test_comments_and_strings_are_told_apart(tmp_path: Path) -> None:
    path = tmp_path / "k.cfg"
    path.write_text('a # b\nc "#d" // e\nx /* y\n z */ w\n"http://x" # k\n$(ru{re.subst,/;t=[a-z]*//g}) # q\n')
    assert [line.strip() for line in read(path).lines] == [
        "a",
        'c "#d"',
        "x",
        "w",
        '"http://x"',
        "$(ru{re.subst,/;t=[a-z]*//g})",
    ]
    assert len(variants(path)) == 1


@pytest.mark.parametrize(
    ("pattern", "is_narrow"),
    [("^[0-9]+$", True), ("^\\+?[0-9]{3,15}$", True), ("^(sip|tel)$", True), ("^[^']+$", False), ("^.*$", False), ("[0-9]+", False),
     ("^[0-9' ]+$", False), ("^[a-z.]+$", True), ("^$", True), ("^a.b$", False)],
)  # fmt: skip
def test_a_pattern_is_narrow_or_not(pattern: str, is_narrow: bool) -> None:
    assert narrow(pattern) is is_narrow


@pytest.mark.parametrize(
    ("pattern", "is_narrow"),
    [("^[0-9*#]+$", True), ("^\\*[0-9]{2,4}#?$", True), ("^[+*0-9]+$", True), ("^.*$", False), ("^[*'0-9]+$", False), ("^a.*b$", False)],
)  # fmt: skip
def test_a_pattern_of_a_keypad_is_narrow_between_quotes(pattern: str, is_narrow: bool) -> None:
    assert narrow(pattern, keys=True) is is_narrow
