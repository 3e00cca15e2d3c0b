"""Attackers and people who do things by other principles than the analysis has signs for: does it generalise?

They were written down before anybody looked at how the analysis takes them, and stay as they are. A field with them is measured
by `measure.py --strangers`.
"""

from __future__ import annotations

from .field import Field
from .programs import MAKES, PJSIP, script
from .world import DAY, HOUR, START, Truth

_GIVEN = ("alice", "bruno", "chen", "dora", "emil", "fay", "gus", "hana", "ivo", "jana", "kim", "lars", "mona", "nils")


def _begin(f: Field) -> float:
    return START + f.random.uniform(0, 3 * DAY)


def relay(f: Field) -> Truth:
    """One address at a time, each under another phone's name; who is tired hands the rest of the shuffled list to the next."""
    rng = f.random
    ips, time = f.addresses(rng.randint(4, 8)), _begin(f)
    users = [str(3000 + n) for n in range(40 * len(ips))]
    rng.shuffle(users)
    for n, ip in enumerate(ips):
        program = PJSIP.named(rng.choice(MAKES).agent)
        for user in users[n * 40 : n * 40 + rng.randint(25, 40)]:
            f.ask(time, ip, program, "REGISTER", user)
            time += rng.expovariate(1 / 4)
        time += rng.uniform(30, 600)
    return Truth("relay", set(ips), {"reconnaissance"}, {"enumeration"})


def drip(f: Field) -> Truth:
    """All of them all day, now and then, each whom it likes."""
    rng = f.random
    ips, program, begin = f.addresses(rng.randint(6, 12)), script(rng), _begin(f)
    for ip in ips:
        time = begin + rng.uniform(0, 2 * HOUR)
        for _ in range(rng.randint(30, 60)):
            f.ask(time, ip, program, "INVITE", rng.choice(_GIVEN) + str(rng.randint(1, 40)), caller="guest")
            time += rng.expovariate(1 / 900)
    return Truth("drip", set(ips), {"reconnaissance"}, {"enumeration"})


def lockstep(f: Field) -> Truth:
    """Ten accounts; at each stroke all try the same one, and the strokes come slower and slower."""
    rng = f.random
    ips, program, time, step = f.addresses(rng.randint(5, 9)), script(rng), _begin(f), 2.0
    users = [f.account()[0] for _ in range(10)]
    for stroke in range(80):
        for ip in ips:
            f.register(time + rng.uniform(0, 1), ip, program, users[stroke % 10], f"{ip}{stroke}", cseq=program.cseq)
        step = min(60.0, step * 1.07)
        time += step
    return Truth("lockstep", set(ips), {"credential_theft"}, {"brute_force"})


def two_tools(f: Field) -> Truth:
    """One master, one list of names; half of the bots run one program, half another."""
    rng = f.random
    ips, begin = f.addresses(rng.randint(4, 8)), _begin(f)
    programs, users = (script(rng), PJSIP.named("")), [f"{name}.{n}" for name in _GIVEN for n in range(1, 4)]
    for n, ip in enumerate(ips):
        time = begin + rng.uniform(0, 90)
        for user in users:
            f.register(time, ip, programs[n % 2], user, f"spring{n}")
            time += rng.uniform(5, 9)
    return Truth("two_tools", set(ips), {"credential_theft"}, {"credential_stuffing"})


def patient(f: Field) -> Truth:
    """A slow sprayer with as many addresses as users: none is seen with the same user, or as often as six times."""
    rng = f.random
    ips, program, begin = f.addresses(60), script(rng), _begin(f)
    users = [str(1000 + n) for n in range(60)]
    for round_ in range(5):
        for n, user in enumerate(users):
            time = begin + round_ * 3 * HOUR + rng.uniform(0, 2.5 * HOUR)
            f.register(time, ips[(n * 7 + round_) % 60], program, user, f"Summer{round_}", cseq=program.cseq)
    return Truth("patient", set(ips), {"credential_theft"}, {"spraying"})


def routers(f: Field) -> None:
    """An upgrade in the night forgets the passwords of forty routers: each tries its one account, in a new call each time."""
    rng = f.random
    program, begin = rng.choice(MAKES), _begin(f)
    for ip in f.addresses(40, near=rng.random() < 0.5):
        user, _ = f.account()
        time = begin + rng.uniform(0, 60)
        for _ in range(rng.randint(20, 60)):
            f.register(time, ip, program, user, "forgotten")
            time += rng.uniform(30, 60)
        f.world.legitimate.add(ip)


def branches(f: Field) -> None:
    """A company's branches open at nine: the same PBX in each, a row of extensions in each, and calls all day."""
    rng = f.random
    program, begin = rng.choice(MAKES), START + rng.randint(0, 2) * DAY + 9 * HOUR
    for ip in f.addresses(8):
        for line in range(rng.randint(8, 12)):
            user, password = f.account()
            f.stay(ip, program, user, password, begin + rng.uniform(0, 40), begin + 8 * HOUR, 1200, 30000 + line)
            f.dial(begin + rng.uniform(0, 7 * HOUR), ip, program, user, f.number(), password, 30000 + line)
        f.world.legitimate.add(ip)


PEOPLE = (routers, branches)
KINDS = (relay, drip, lockstep, two_tools, patient)
