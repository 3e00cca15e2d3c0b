"""Bans and standing over a restart: what is there is taken, what is damaged set aside, what can't be kept said once."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import pytest

from sipsieve.config import policy
from sipsieve.control.survivors import Survivors


class _Taken:
    """Stands for a table; `broken` is what it raises."""

    def __init__(self, broken: Exception | None = None) -> None:
        self.texts: list[str] = []
        self._broken = broken

    def restore(self, text: str, *_: object) -> list[object]:
        self.texts.append(text)
        if self._broken:
            raise self._broken
        return []


def _made(warned: list[str], bans: _Taken, standing: _Taken) -> Survivors:
    loaded = policy.loads("")
    return Survivors(cast(Any, bans), cast(Any, standing), lambda: loaded, lambda: cast(Any, None), warned.append)


@pytest.fixture(autouse=True)
def _files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIPSIEVE_STATE", str(tmp_path / "bans"))
    monkeypatch.setenv("SIPSIEVE_STANDING", str(tmp_path / "standing"))


def test_a_first_start_has_nothing_to_take_and_says_nothing() -> None:
    warned: list[str] = []
    _made(warned, _Taken(), _Taken()).restore(0, 0)
    assert warned == []


def test_what_was_kept_is_taken_back(tmp_path: Path) -> None:
    warned: list[str] = []
    bans, standing = _Taken(), _Taken()
    survivors = _made(warned, bans, standing)
    survivors.keep_standing("[]")
    (tmp_path / "bans").write_text("{}")
    survivors.restore(0, 0)
    assert (bans.texts, standing.texts, warned) == (["{}"], ["[]"], [])


def test_a_damaged_file_is_set_aside_and_the_other_is_taken(tmp_path: Path) -> None:
    warned: list[str] = []
    standing = _Taken()
    survivors = _made(warned, _Taken(ValueError("no JSON")), standing)
    survivors.keep_standing("[]")
    (tmp_path / "bans").write_text("{")
    survivors.restore(0, 0)
    assert standing.texts == ["[]"]
    assert len(warned) == 1
    assert "bans could not be restored (no JSON); starting without" in warned[0]
    assert (tmp_path / "bans.damaged").read_text() == "{"


def test_a_wrong_checksum_is_damage(tmp_path: Path) -> None:
    warned: list[str] = []
    standing = _Taken()
    survivors = _made(warned, _Taken(), standing)
    survivors.keep_standing("[]")
    path = tmp_path / "standing"
    path.write_text(path.read_text().replace("[]", "[ ]"))
    survivors.restore(0, 0)
    assert standing.texts == []
    assert "its checksum is wrong" in warned[0]


def test_a_missing_folder_is_said_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SIPSIEVE_STANDING", str(tmp_path / "none" / "standing"))
    warned: list[str] = []
    survivors = _made(warned, _Taken(), _Taken())
    survivors.keep_standing("[]")
    survivors.keep_standing("[]")
    assert len(warned) == 1
    assert "SIPSIEVE_STANDING" in warned[0]
