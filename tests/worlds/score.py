"""Scores a report against a world's labels."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

from .world import World

INTENTS = (
    "reconnaissance",
    "credential_theft",
    "remote_code_execution",
    "data_tampering",
    "denial_of_service",
    "toll_fraud",
)


@dataclass
class Score:
    """What was right and what was not; the texts say where."""

    grouping: float
    intents: float
    missed: list[str] = field(default_factory=list)
    accused: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def score(report: dict[str, Any], world: World) -> Score:
    """Pairwise grouping F1 over attackers' addresses (an address is paired with itself), macro F1 of intents."""
    owner: dict[str, str] = {}
    for actor in report["actors"]:
        for ip in actor["addresses"]:
            owner.setdefault(ip, actor["id"])
    truth = {ip: attacker.name + str(n) for n, attacker in enumerate(world.attackers) for ip in attacker.addresses}
    notes = []
    both = found = real = 0
    members: dict[str, set[str]] = defaultdict(set)
    for ip in truth:
        members[owner.get(ip, f"alone-{ip}")].add(ip)
    groups: dict[str, set[str]] = defaultdict(set)
    for ip, name in truth.items():
        groups[name].add(ip)
    for ip, name in truth.items():
        mine = members[owner.get(ip, f"alone-{ip}")]
        # A forged flood would drown every other group.
        weight = 1 / len(groups[name])
        both += weight * len(mine & groups[name]) / max(len(mine), len(groups[name]))
        found += weight
        real += weight
    for name, ips in groups.items():
        split = {owner.get(ip, "none") for ip in ips}
        if len(split) > 1 or "none" in split:
            notes.append(
                f"{name}: {len(ips)} addresses are in {len(split)} actors{' or none' if 'none' in split else ''}"
            )
    for actor, ips in members.items():
        names = {truth[ip] for ip in ips}
        if len(names) > 1:
            notes.append(f"{actor} joins {sorted(names)}")
    grouping = 2 * both / (found + real)
    hit: dict[str, list[int]] = {intent: [0, 0, 0] for intent in INTENTS}
    intents_of: dict[str, set[str]] = {actor["id"]: set(actor["intents"]) for actor in report["actors"]}
    for attacker in world.attackers:
        said: set[str] = set()
        for ip in attacker.addresses:
            said |= intents_of.get(owner.get(ip, ""), set())
        if said != attacker.intents:
            notes.append(f"{attacker.name}: intents {sorted(said)} instead of {sorted(attacker.intents)}")
        for intent in INTENTS:
            hit[intent][0] += intent in said and intent in attacker.intents
            hit[intent][1] += intent in said and intent not in attacker.intents
            hit[intent][2] += intent not in said and intent in attacker.intents
    f1 = [2 * a / (2 * a + b + c) if a + b + c else 1.0 for a, b, c in hit.values()]
    missed = []
    for attacker in world.attackers:
        for kind in attacker.campaigns:
            same = [
                c
                for c in report["campaigns"]
                if c["type"] == kind and len(attacker.addresses & set(c["sources"])) * 2 >= len(attacker.addresses)
            ]
            if not same:
                missed.append(f"{attacker.name}: {kind} of {sorted(attacker.addresses)[:3]}")
    accused = [
        f"{ip}: {actor['tier']} {actor['score_parts']} {actor['campaigns']}"
        for actor in report["actors"] if actor["tier"] != "low" for ip in actor["addresses"] if ip in world.legitimate
    ]  # fmt: skip
    return Score(grouping, sum(f1) / len(f1), missed, accused, notes)


def make(seed: int) -> World:
    """The world of a seed."""
    from .attackers import attack
    from .people import populate

    world = World(seed)
    world.with_replies = world.random.random() < 0.7
    populate(world)
    attack(world)
    return world
