"""Writes a world as a packet capture."""

from __future__ import annotations

import socket
from pathlib import Path

import dpkt

from .world import SERVER, World


def write(world: World, path: Path) -> Path:
    """UDP messages and their answers, in Ethernet frames. Messages of other transports are left out."""
    with path.open("wb") as file:
        out = dpkt.pcap.Writer(file)
        for sent in sorted(world.messages, key=lambda message: message.time):
            if sent.transport != "udp":
                continue
            out.writepkt(_frame(sent.ip, sent.port, SERVER, 5060, sent.raw), sent.time)
            if sent.status and world.with_replies:
                out.writepkt(_frame(SERVER, 5060, sent.ip, sent.port, world.reply(sent)), sent.time + 0.02)
    return path


def _frame(source: str, port: int, target: str, target_port: int, payload: bytes) -> bytes:
    datagram = dpkt.udp.UDP(sport=port, dport=target_port, data=payload)
    datagram.ulen = len(datagram)
    packet = dpkt.ip.IP(
        src=socket.inet_aton(source), dst=socket.inet_aton(target), p=dpkt.ip.IP_PROTO_UDP, ttl=64, data=datagram
    )
    packet.len = len(packet)
    return bytes(dpkt.ethernet.Ethernet(src=b"\x02\0\0\0\0\1", dst=b"\x02\0\0\0\0\2", data=packet))
