"""Reading a Kamailio configuration: comments, conditions, includes, names that stand for values."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sipsieve_analysis.operate.kamailio_config import MAX_DEPTH, Config, ConfigError, read


def config(tmp_path: Path, text: str) -> Config:
    path = tmp_path / "kamailio.cfg"
    path.write_text(text)
    return read(path)


def modules(found: Config) -> list[str]:
    return [s.words[0] for s in found.of("loadmodule")]


def test_comments_are_not_read(tmp_path: Path) -> None:
    found = config(
        tmp_path,
        'loadmodule "a.so" # loadmodule "no.so"\n'
        '// loadmodule "no.so"\n'
        '/* loadmodule "no.so"\nloadmodule "no.so" */ loadmodule "b.so"\n'
        "loadmodule 'c.so'\n"
        'modparam("x", "y", "/* # // not a comment")\n'
        'loadmodule "d.so"\n',
    )
    assert modules(found) == ["a.so", "b.so", "c.so", "d.so"]
    assert found.of("modparam")[0].words == ("x", "y", "/* # // not a comment")
    assert [s.line for s in found.of("loadmodule")] == [1, 4, 5, 7]


def test_conditions_hold_as_kamailio_sees_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIPSIEVE_TEST_WITH", "1")
    found = config(
        tmp_path,
        '#!define WITH_A\n#!ifdef WITH_A\nloadmodule "a.so"\n#!else\nloadmodule "no.so"\n#!endif\n'
        '#!ifndef WITH_B\nloadmodule "b.so"\n#!ifdef WITH_C\nloadmodule "no.so"\n#!endif\n#!endif\n'
        '#!trydefenv SIPSIEVE_TEST_WITH\n#!ifdef SIPSIEVE_TEST_WITH\nloadmodule "c.so"\n#!endif\n'
        '#!ifdef MOD_c\nloadmodule "d.so"\n#!endif\n'
        '#!ifexp 1 == 2\nloadmodule "e.so"\n#!else\nloadmodule "f.so"\n#!endif\n',
    )
    assert modules(found) == ["a.so", "b.so", "c.so", "d.so", "e.so", "f.so"]
    assert found.block_ends[10] == 12
    assert found.last_module == 23


def test_defined_names_stand_for_their_values(tmp_path: Path) -> None:
    found = config(
        tmp_path,
        '#!define NAME "sip"\n#!define FOLDER "/etc/x"\nmodparam("jsonrpcs", "fifo_name", FOLDER "/a.fifo")\n'
        'modparam("jsonrpcs", "transport", 7)\nmpath="/opt/a/:/opt/b/"\n',
    )
    assert [s.words[2] for s in found.of("modparam")] == ["/etc/x/a.fifo", "7"]
    assert found.of("set", "mpath")[0].words[1] == "/opt/a/:/opt/b/"


def test_includes_are_followed_and_keep_the_main_files_line(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "more.cfg").write_text('\n\nloadmodule "b.so"\ninclude_file "least.cfg"\n')
    (tmp_path / "sub" / "least.cfg").write_text('loadmodule "c.so"\n')
    found = config(tmp_path, 'loadmodule "a.so"\nimport_file "none.cfg"\ninclude_file "sub/more.cfg"\n')
    assert modules(found) == ["a.so", "b.so", "c.so"]
    assert [s.main_line for s in found.of("loadmodule")] == [1, 3, 3]
    assert [s.words[0] for s in found.missing] == ["none.cfg"]


def test_a_file_that_includes_itself_ends(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=f"deeper than {MAX_DEPTH}"):
        config(tmp_path, 'include_file "kamailio.cfg"\n')


def test_what_cannot_be_read_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file"):
        read(tmp_path / "none.cfg")
    with pytest.raises(ConfigError, match="Is a directory"):
        read(tmp_path)


@given(st.text(alphabet=st.sampled_from(list("\"'#/*!\n \\x(),[]{}ab=")), max_size=200))
def test_nothing_breaks_the_reader(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    path = tmp_path_factory.getbasetemp() / "any.cfg"
    path.write_text(f"#!ifdef A\n{text}\nloadmodule {text}")
    read(path)
