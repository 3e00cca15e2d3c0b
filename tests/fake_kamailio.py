"""Stands in for the module KSR, by which Kamailio lends itself to the KEMI script: for unit tests, and where no server is."""

from __future__ import annotations

from types import ModuleType, SimpleNamespace
from typing import Any


def passed_on(text: str) -> str:
    """What Kamailio's C code takes as a string. Raises as the real one does: for what is no text, no UTF-8, or has a NUL."""
    if not isinstance(text, str):
        raise TypeError(f"argument must be str, not {type(text).__name__}")
    text.encode()
    if "\0" in text:
        raise ValueError("embedded null character")
    return text


class Kamailio(ModuleType):
    """Stands in for the module KSR: one message at a time, htables as dictionaries. What raises in the real one does here."""

    def __init__(self) -> None:
        super().__init__("KSR")
        self.raw = b""
        self.sent: list[tuple[int, str]] = []
        self.said: list[str] = []
        self.fail = False
        self.tables: dict[str, dict[str, Any]] = {}
        self.added: list[str] = []
        self.taken = 1
        self.pv = SimpleNamespace(get=self._get, sets=lambda name, value: self._put("pv", name, passed_on(value)))
        self.hdr = SimpleNamespace(
            get=self._header,
            is_present=lambda name: 1 if self._line(passed_on(name)) is not None else -1,
            append_to_reply=lambda text: self.added.append(passed_on(text)) or 1,
        )
        self.sl = SimpleNamespace(sl_send_reply=lambda code, phrase: self.sent.append((code, passed_on(phrase))) or 1)
        self.textopsx = SimpleNamespace(msg_set_buffer=self._set)
        self.htable = SimpleNamespace(
            sht_inc=self._inc, sht_get=lambda table, key: self._table(table).get(key),
            sht_seti=self._put, sht_sets=self._put, sht_setex=lambda *a: 1, sht_setxs=lambda t, k, v, s: self._put(t, k, v),
            sht_setxi=lambda t, k, v, s: self._put(t, k, v), sht_rm=lambda t, k: 1,
            sht_iterator_start=lambda *a: 1, sht_iterator_next=lambda *a: -1, sht_iterator_end=lambda *a: 1,
        )  # fmt: skip
        self.is_myself = lambda address: -1
        self.err = self.warn = self.info = self.notice = lambda text: self.said.append(text) or 1

    def _table(self, name: str) -> dict[str, Any]:
        return self.tables.setdefault(name, {})

    def _put(self, table: str, key: str, value: Any) -> int:
        self._table(table)[key] = value
        return 1

    def _inc(self, table: str, key: str) -> int:
        self._table(table)[key] = self._table(table).get(key, 0) + 1
        return int(self._table(table)[key])

    def _get(self, name: str) -> Any:
        if self.fail:
            raise RuntimeError("KSR fails")
        values = {"$proto": "udp", "$si": "192.0.2.1", "$sp": "5060"}
        # Strict UTF-8, as the real one.
        return self.raw.decode() if name == "$mb" else values.get(name)

    def _line(self, name: str) -> bytes | None:
        """A header field's value; None too where an earlier line has no colon."""
        for line in self.raw.split(b"\r\n\r\n")[0].split(b"\r\n")[1:]:
            if b":" not in line:
                return None
            if line.partition(b":")[0] == name.encode():
                return line.partition(b":")[2]
        return None

    def _header(self, name: str) -> str | None:
        value = self._line(passed_on(name))
        return None if value is None else value.decode()

    def _set(self, text: str) -> int:
        new = passed_on(text).encode()
        if self.taken < 0:
            return self.taken
        self.raw = new
        return 1
