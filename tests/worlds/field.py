"""A network in the field: a server with accounts, and people who use it.

Answers follow from what the server knows (accounts, passwords, numbers), requests from what a program does: nothing here
is made with an eye on how the analysis groups.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field

from .programs import MAKES, SIPSAK, SWITCHES, Program, written
from .world import DAY, HOUR, START, Sent, World

SDP = b"v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\nm=audio 40000 RTP/AVP 0\r\n"


@dataclass
class Field:
    """One network while it is made."""

    world: World
    accounts: dict[str, str] = field(default_factory=dict)
    trusted: set[str] = field(default_factory=set)
    scale: int = 1

    @property
    def random(self) -> random.Random:
        """The world's."""
        return self.world.random

    def answer(self, method: str, user: str, caller: str, password: str | None, ip: str) -> int:
        """What the server says: RFC 3261 10.3, 22.1."""
        if method == "OPTIONS":
            return 200
        if method == "REGISTER":
            if password is None:
                return 401
            return 200 if self.accounts.get(user) == password else 403
        if ip not in self.trusted:
            if password is None:
                return 401
            if self.accounts.get(caller) != password:
                return 403
        if user in self.accounts or len(user) >= 7:
            return self.random.choice((200, 200, 200, 486, 480))
        return 404

    def ask(
        self, time: float, ip: str, program: Program, method: str, user: str, *, port: int = 5060, caller: str = "", password: str | None = None,
        payload: str = "", call_id: str = "", cseq: int = 0, tag: str = "", body: bytes | None = None, transport: str = "udp", drop: bool = False,
        change: tuple[bytes, bytes] | None = None,
    ) -> tuple[int, str]:  # fmt: skip
        """One request on its way, and the answer."""
        if body is None:
            body = SDP if method == "INVITE" else b""
        raw, call_id = written(program, self.random, method, ip, port, user, caller=caller, call_id=call_id, tag=tag, cseq=cseq,
                               credentials=password is not None, payload=payload, body=body, transport=transport.upper())  # fmt: skip
        status = 0 if drop or method in ("ACK",) else self.answer(method, user, caller or user, password, ip)
        if change:
            raw = raw.replace(*change, 1)
        self.world.messages.append(Sent(time, ip, port, transport, raw, status, call_id, method))
        return status, call_id

    def register(
        self,
        time: float,
        ip: str,
        program: Program,
        user: str,
        password: str,
        port: int = 5060,
        call_id: str = "",
        cseq: int = 1,
    ) -> bool:
        """A challenge and its answer."""
        _, call_id = self.ask(time, ip, program, "REGISTER", user, port=port, call_id=call_id, cseq=cseq)
        status, _ = self.ask(
            time + 0.06, ip, program, "REGISTER", user, port=port, password=password, call_id=call_id, cseq=cseq + 1
        )
        return status == 200

    def stay(
        self,
        ip: str,
        program: Program,
        user: str,
        password: str,
        begin: float,
        end: float,
        every: float,
        port: int = 5060,
    ) -> None:
        """Registers for as long as it is there."""
        call_id, time, cseq = "", begin, 1
        call_id = program.call(self.random) + (f"@{ip}" if program.call_host else "")
        while time < end:
            self.register(time, ip, program, user, password, port, call_id, cseq)
            cseq += 2
            time += every * self.random.uniform(0.9, 1.1)

    def dial(self, time: float, ip: str, program: Program, caller: str, number: str, password: str | None = None, port: int = 5060,
             transport: str = "udp") -> int:  # fmt: skip
        """A call; where it is answered, also its end."""
        tag = program.tag(self.random)
        status, call_id = self.ask(
            time, ip, program, "INVITE", number, caller=caller, port=port, tag=tag, cseq=1, transport=transport
        )
        if status == 401:
            self.ask(
                time + 0.05,
                ip,
                program,
                "ACK",
                number,
                caller=caller,
                port=port,
                call_id=call_id,
                tag=tag,
                cseq=1,
                body=b"",
                transport=transport,
            )
            if password is None:
                return status
            status, _ = self.ask(
                time + 0.1,
                ip,
                program,
                "INVITE",
                number,
                caller=caller,
                port=port,
                password=password,
                call_id=call_id,
                tag=tag,
                cseq=2,
                transport=transport,
            )
        self.ask(
            time + 2,
            ip,
            program,
            "ACK",
            number,
            caller=caller,
            port=port,
            call_id=call_id,
            tag=tag,
            cseq=2,
            body=b"",
            transport=transport,
        )
        if status == 200:
            self.world.messages.append(
                Sent(time + self.random.uniform(10, 400), ip, port, transport,
                     written(program, self.random, "BYE", ip, port, number, caller=caller, call_id=call_id, tag=tag, cseq=3)[0], 200, call_id, "BYE")
            )  # fmt: skip
        return status

    def account(self) -> tuple[str, str]:
        """A new account."""
        user = str(1000 + len(self.accounts))
        self.accounts[user] = f"{self.random.getrandbits(40):x}"
        return user, self.accounts[user]

    def addresses(self, count: int, near: bool = False) -> list[str]:
        """New addresses, in one network or anywhere."""
        first = self.world.address()
        return [first, *(self.world.address(first if near else "") for _ in range(count - 1))]

    def number(self) -> str:
        """A number as people here dial it."""
        return self.random.choice(("030", "040", "0221", "089")) + str(self.random.randrange(10**6, 10**8))


def people(f: Field) -> None:
    """Homes, offices, trunks and machines, `scale` times."""
    rng, world = f.random, f.world
    for _ in range(12 * f.scale):
        ip, program, (user, password) = world.address(), rng.choice(MAKES), f.account()
        begin = START + rng.uniform(0, 3 * DAY)
        f.stay(
            ip,
            program,
            user,
            password,
            begin,
            begin + rng.uniform(5, 40) * HOUR,
            rng.choice((600, 1800, 3000)),
            rng.randint(1025, 65000),
        )
        for _ in range(rng.randint(0, 6)):
            f.dial(begin + rng.uniform(0, 5 * HOUR), ip, program, user, f.number(), password)
        world.legitimate.add(ip)
    for _ in range(2 * f.scale):
        office(f)
    for _ in range(f.scale):
        _stale_switch(f)
        _call_centre(f)
        _carrier(f)
        _monitor(f)
        _roaming(f)
        _after_the_outage(f)
    for _ in range(2 * f.scale):
        ip, program, begin = world.address(), rng.choice(MAKES), START + rng.uniform(0, 3 * DAY)
        user, _ = f.account()
        # A password was changed; the phone was forgotten.
        f.stay(ip, program, user, "old", begin, begin + rng.uniform(3, 20) * HOUR, rng.choice((20, 30, 60, 180)))
        world.legitimate.add(ip)


def office(f: Field) -> None:
    rng = f.random
    ip, begin = f.world.address(), START + rng.uniform(0, DAY)
    for n in range(rng.randint(6, 20)):
        program, (user, password) = rng.choice(MAKES), f.account()
        f.stay(ip, program, user, password, begin + n, begin + 12 * HOUR, rng.choice((600, 1200)), 20000 + n)
        for _ in range(rng.randint(1, 5)):
            f.dial(begin + rng.uniform(0, 8 * HOUR), ip, program, user, f.number(), password, 20000 + n)
    f.world.legitimate.add(ip)


def _stale_switch(f: Field) -> None:
    """A PBX with twenty accounts and the password of last year."""
    rng = f.random
    ip, program, begin = f.world.address(), rng.choice(SWITCHES), START + rng.uniform(0, 2 * DAY)
    for _ in range(20):
        user, _ = f.account()
        f.stay(
            ip, program, user, "old", begin + rng.uniform(0, 5), begin + rng.uniform(2, 8) * HOUR, rng.choice((30, 60))
        )
    f.world.legitimate.add(ip)


def _call_centre(f: Field) -> None:
    """Strangers' numbers all day, half of them not answering; abroad too."""
    rng = f.random
    ip, program, (user, password), begin = (
        f.world.address(),
        rng.choice(SWITCHES),
        f.account(),
        START + rng.uniform(0, 2 * DAY),
    )
    f.stay(ip, program, user, password, begin, begin + 9 * HOUR, 1800)
    for _ in range(rng.randint(150, 300)):
        number = (
            f.number()
            if rng.random() < 0.7
            else rng.choice(("0044", "0033", "0043")) + str(rng.randrange(10**8, 10**9))
        )
        f.dial(begin + rng.uniform(0, 8 * HOUR), ip, program, user, number, password)
    f.world.legitimate.add(ip)


def _carrier(f: Field) -> None:
    """A trunk that is known by its address; never registers."""
    rng = f.random
    ip, program, transport = f.world.address(), rng.choice(SWITCHES), rng.choice(("udp", "tcp"))
    f.trusted.add(ip)
    for hour in range(10):
        for _ in range(rng.randint(5, 40)):
            f.dial(
                START + hour * HOUR + rng.uniform(0, HOUR),
                ip,
                program,
                f"+49{rng.randrange(10**8, 10**9)}",
                rng.choice(("1000", f.number(), f"+44{rng.randrange(10**8, 10**9)}")),
                transport=transport,
            )
    f.world.legitimate.add(ip)


def _monitor(f: Field) -> None:
    """Whoever watches the server: a ping each minute."""
    rng = f.random
    ip, program = f.world.address(), rng.choice((SIPSAK, *SWITCHES))
    for minute in range(rng.randint(60, 600)):
        f.ask(START + minute * 60, ip, program, "OPTIONS", "")
    f.world.legitimate.add(ip)


def _roaming(f: Field) -> None:
    """One phone, a new address every few hours."""
    rng = f.random
    program, (user, password), begin = rng.choice(MAKES), f.account(), START + rng.uniform(0, DAY)
    for n, ip in enumerate(f.addresses(rng.randint(2, 5))):
        f.stay(ip, program, user, password, begin + n * 5 * HOUR, begin + (n + 1) * 5 * HOUR, 900)
        f.world.legitimate.add(ip)


def _after_the_outage(f: Field) -> None:
    """Power is back: a street full of phones of one make registers within a minute."""
    rng = f.random
    program, begin = rng.choice(MAKES), START + rng.uniform(0, 3 * DAY)
    for ip in f.addresses(30, near=rng.random() < 0.5):
        user, password = f.account()
        f.register(begin + rng.uniform(0, 60), ip, program, user, password)
        f.world.legitimate.add(ip)
