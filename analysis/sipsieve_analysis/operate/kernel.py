"""Keeps nftables sets in step with a list of bans."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterable
from typing import Final

from sipsieve.abuse.bans import Entry, network
from sipsieve.model import Scope

#: Seconds that nft may take.
_PATIENCE: Final = 5.0

#: Elements changed in one call of nft: a command of about 30 KB.
_BATCH: Final = 500

_NAME: Final = re.compile(r"(ip|ip6|inet|netdev)/[A-Za-z][A-Za-z0-9_]{0,31}", re.ASCII)


class KernelError(Exception):
    """nft refused; says what to do. `hopeless`: trying again does not help."""

    def __init__(self, message: str, hopeless: bool = False) -> None:
        super().__init__(message)
        self.hopeless = hopeless


class Kernel:
    """The four sets of integrations/nftables: by address family, and whether only datagrams are shut out."""

    def __init__(self, where: str) -> None:
        """`where` is FAMILY/TABLE. Raises `KernelError`."""
        if not _NAME.fullmatch(where):
            raise KernelError(f"--nft {where!r}: allowed is FAMILY/TABLE, as in inet/sipsieve", hopeless=True)
        self._table = where.replace("/", " ")
        self._held: dict[str, tuple[str, int]] | None = None

    def follow(self, entries: Iterable[Entry], now: float) -> None:
        """Makes the sets hold these bans, each for as long as it lasts. Raises `KernelError`."""
        wanted: dict[str, tuple[str, int]] = {}
        for one in entries:
            around = network(one.key)
            # The kernel can't tell a WebSocket from any other connection.
            if around is not None and one.scope is not Scope.WEBSOCKETS:
                name = f"banned{around.version}{'_udp' if one.scope is Scope.DATAGRAMS else ''}"
                wanted[str(around)] = (name, one.until)
        if self._held is None:
            sets = [f"banned{version}{scope}" for version in (4, 6) for scope in ("", "_udp")]
            self._run([f"flush set {self._table} {name}" for name in sets])
            self._held = {}
        commands = []
        for element, (name, until) in self._held.items():
            # What ran out by itself is gone from the kernel, and to delete it would be an error.
            if wanted.get(element) != (name, until) and until > now + 1:
                commands.append(f"delete element {self._table} {name} {{ {element} }}")
        for element, (name, until) in wanted.items():
            if self._held.get(element) != (name, until):
                seconds = max(1, int(until - now))
                commands.append(f"add element {self._table} {name} {{ {element} timeout {seconds}s }}")
        try:
            for start in range(0, len(commands), _BATCH):
                self._run(commands[start : start + _BATCH])
        except KernelError:
            # Somebody else changed the sets: begin anew with the next look.
            self._held = None
            raise
        self._held = wanted

    def _run(self, commands: list[str]) -> None:
        try:
            done = subprocess.run(
                ["nft", "-f", "-"], input="\n".join(commands) + "\n", capture_output=True, text=True,
                timeout=_PATIENCE, check=False,
            )  # fmt: skip
        except FileNotFoundError as error:
            raise KernelError("nft is not installed: apt install nftables", hopeless=True) from error
        except subprocess.TimeoutExpired as error:
            raise KernelError(f"nft did not end within {_PATIENCE:g} s") from error
        if done.returncode:
            first = done.stderr.strip().splitlines()[:1]
            raise KernelError(
                f"nft: {first[0] if first else done.returncode}. Load integrations/nftables/sipsieve.nft first "
                "(packages have it in /usr/share/sipsieve), and run this with CAP_NET_ADMIN.",
                hopeless="Operation not permitted" in done.stderr,
            )
