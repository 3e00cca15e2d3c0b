"""Receives HEP packets by UDP, TCP and TLS, in batches that grow with the load, and hands them to a sensor."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import ssl
from collections.abc import Callable, Sequence
from typing import Final

from . import frames

#: Datagrams taken at once, before anything else is looked at: some 50 ms of work.
_BATCH: Final = 2048

#: Bytes of datagrams that the kernel keeps while the sensor works; it grants what net.core.rmem_max allows.
_BUFFER: Final = 16 << 20

#: Connections at a time, and seconds that one may stay silent.
_MOST: Final = 256
_IDLE: Final = 3600.0

_READ: Final = 256 << 10

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class Listener:
    """The sockets of one sensor."""

    def __init__(
        self, take: Callable[[Sequence[bytes]], None], senders: Sequence[Network], skip: Callable[[str, int], None]
    ) -> None:
        """`senders`: who may report; everybody who reaches the socket where there are none."""
        self._take = take
        self._senders = senders
        self._skip = skip
        self._allowed: dict[str, bool] = {}
        self._open = 0
        self._sockets: list[socket.socket] = []
        self._servers: list[asyncio.Server] = []

    async def udp(self, host: str, port: int) -> int:
        """Listens for datagrams; the port. Raises `OSError`."""
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        sock = socket.socket(family, socket.SOCK_DGRAM)
        self._sockets.append(sock)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER)
        sock.setblocking(False)
        sock.bind((host, port))
        asyncio.get_running_loop().add_reader(sock, self._drain, sock)
        return int(sock.getsockname()[1])

    async def tcp(self, host: str, port: int, tls: ssl.SSLContext | None = None) -> int:
        """Listens for connections; the port. Raises `OSError`."""
        server = await asyncio.start_server(self._serve, host, port, ssl=tls, limit=_READ)
        self._servers.append(server)
        return int(server.sockets[0].getsockname()[1])

    def close(self) -> None:
        """Lets go of all sockets; what the kernel has received is taken first."""
        for sock in self._sockets:
            asyncio.get_running_loop().remove_reader(sock)
            self._drain(sock)
            sock.close()
        for server in self._servers:
            server.close()

    def _drain(self, sock: socket.socket) -> None:
        packets: list[bytes] = []
        refused = 0
        receive, keep = sock.recvfrom, packets.append
        for _ in range(_BATCH):
            try:
                data, sender = receive(65535)
            except BlockingIOError:
                break
            except OSError:
                # An ICMP error of an earlier datagram: says nothing of the next.
                continue
            if self._senders and not self._may_report(sender[0]):
                refused += 1
            else:
                keep(data)
        if refused:
            self._skip("packets of senders that may not report", refused)
        if packets:
            self._take(packets)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peer = writer.get_extra_info("peername")
        try:
            if self._open >= _MOST or not self._may_report(peer[0] if peer else ""):
                self._skip("connections refused", 1)
                return
            self._open += 1
            try:
                await self._follow(reader)
            finally:
                self._open -= 1
        except frames.FrameError:
            self._skip("connections that are no HEP3", 1)
        except (OSError, ssl.SSLError, TimeoutError):
            self._skip("connections that broke", 1)
        finally:
            writer.close()

    async def _follow(self, reader: asyncio.StreamReader) -> None:
        rest = b""
        while True:
            async with asyncio.timeout(_IDLE):
                data = await reader.read(_READ)
            if not data:
                return
            packets, rest = frames.split(rest + data)
            if packets:
                self._take(packets)

    def _may_report(self, ip: str) -> bool:
        if not self._senders:
            return True
        known = self._allowed.get(ip)
        if known is None:
            if len(self._allowed) >= 4096:
                self._allowed.clear()
            try:
                address = ipaddress.ip_address(ip.partition("%")[0])
            except ValueError:
                return False
            known = self._allowed[ip] = any(address in network for network in self._senders)
        return known
