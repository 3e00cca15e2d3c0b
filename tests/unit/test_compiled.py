"""Compiled pattern sets that are kept between starts."""

from __future__ import annotations

from pathlib import Path

import pytest

from sipsieve import compiled, patterns
from sipsieve.patterns import Pattern


def hits(expression: str, text: bytes) -> bool:
    found: list[int] = []
    database = patterns.compile_set([Pattern(7, expression, 0)])
    database.scan(text, lambda identity, *_: found.append(identity))
    return found == [7]


@pytest.fixture(autouse=True)
def nothing_ready(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the session has compiled stays out of these tests."""
    monkeypatch.setattr(patterns, "_ready", [])
    monkeypatch.setattr(patterns, "_collected", [])


@pytest.fixture
def store(tmp_path: Path) -> Path:
    path = tmp_path / "patterns"
    with compiled.kept(str(path)):
        assert hits("abc", b"xabcx")
    assert path.is_file()
    return path


def compilations(store: Path, monkeypatch: pytest.MonkeyPatch) -> int:
    """How many sets have to be compiled with this store."""
    count = 0
    real = patterns.hyperscan.Database.compile

    class Counting(patterns.hyperscan.Database):  # type: ignore[misc, name-defined]
        def compile(self, *args: object, **keys: object) -> object:
            nonlocal count
            count += 1
            return real(self, *args, **keys)

    monkeypatch.setattr(patterns.hyperscan, "Database", Counting)
    with compiled.kept(str(store)):
        assert hits("abc", b"abc")
        assert not hits("abc", b"ab")
    monkeypatch.undo()
    return count


def test_the_second_start_compiles_nothing(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert compilations(store, monkeypatch) == 0


def test_a_new_pattern_is_compiled_and_kept(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = store.read_bytes()
    with compiled.kept(str(store)):
        assert hits("other", b"other")
    assert store.read_bytes() != before


@pytest.mark.parametrize("damage", [b"", b"\xff" * 100, b"garbage"])
def test_a_damaged_file_is_replaced(store: Path, monkeypatch: pytest.MonkeyPatch, damage: bytes) -> None:
    store.write_bytes(damage)
    assert compilations(store, monkeypatch) > 0
    assert compilations(store, monkeypatch) == 0


def test_a_file_that_others_may_write_is_not_trusted(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store.chmod(0o666)
    assert compilations(store, monkeypatch) > 0


def test_a_link_is_not_followed(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    link = store.with_name("link")
    link.symlink_to(store)
    assert compilations(link, monkeypatch) > 0


def test_another_processor_or_release_compiles_anew(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiled, "_library", lambda: "other")
    assert compiled.read(str(store)) == {}


def test_a_folder_that_is_not_there_stops_nothing(tmp_path: Path) -> None:
    with compiled.kept(str(tmp_path / "no" / "such" / "file")):
        assert hits("abc", b"abc")
