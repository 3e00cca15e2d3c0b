"""The lawful part of a world: phones, offices, trunks, and those who look like attackers."""

from __future__ import annotations

from .world import DAY, HOUR, START, World

PHONES = (
    "Yealink SIP-T46S 66.85.0.5", "Grandstream GXP2170 1.0.11.64", "Cisco-CP8841-3PCC/11.3.1", "snomD735/10.1.64.14", "PolycomVVX-VVX_410-UA/5.9.3",
    "Linphone/4.4.8 (belle-sip/5.1.0)", "Zoiper rv2.10.18", "MicroSIP/3.21.3", "Fanvil X4U 2.12.1", "AVM FRITZ!Box 7590 154.07.29",
)  # fmt: skip
TRUNKS = (
    "Asterisk PBX 18.10.0",
    "FPBX-16.0.33(18.13.0)",
    "3CXPhoneSystem 18.0.9",
    "FreeSWITCH-mod_sofia/1.10.9",
    "Cisco-SIPGateway/IOS-16.12.4",
    "AudioCodes Mediant 1000",
)


def register(
    world: World,
    ip: str,
    user: str,
    agent: str,
    port: int,
    begin: float,
    end: float,
    every: float,
    answers: tuple[int, ...] = (401, 200),
    pause: float = 0.05,
) -> None:
    """Registers again and again, under one Call-ID, as RFC 3261 10.2.4 asks; or under new ones, as some do."""
    rng = world.random
    same = rng.random() < 0.7
    call_id = f"{rng.getrandbits(60)}-{port}@{ip}"
    time, cseq = begin, 1
    while time < end:
        if not same:
            call_id = f"{rng.getrandbits(60)}-{port}@{ip}"
        for number, status in enumerate(answers):
            world.send(
                time + number * pause,
                ip,
                "REGISTER",
                port=port,
                user=user,
                agent=agent,
                call_id=call_id,
                cseq=cseq,
                status=status,
                authorization=user if number else "",
            )
            cseq += 1
        time += every * rng.uniform(0.9, 1.1)


def call(
    world: World,
    time: float,
    ip: str,
    port: int,
    agent: str,
    caller: str,
    number: str,
    status: int = 200,
    **more: object,
) -> None:
    """One call: INVITE, and where it is answered ACK and BYE."""
    rng = world.random
    call_id = f"{rng.getrandbits(80):x}@{ip}"
    tag = f"{rng.getrandbits(32):x}"
    world.send(
        time,
        ip,
        "INVITE",
        port=port,
        user=number,
        caller=caller,
        agent=agent,
        call_id=call_id,
        status=status,
        tag=tag,
        **more,
    )  # type: ignore[arg-type]
    world.send(time + 0.2, ip, "ACK", port=port, user=number, caller=caller, agent=agent, call_id=call_id, tag=tag)
    if status == 200:
        world.send(
            time + rng.uniform(5, 600),
            ip,
            "BYE",
            port=port,
            user=number,
            caller=caller,
            agent=agent,
            call_id=call_id,
            cseq=2,
            status=200,
            tag=tag,
        )


def populate(world: World) -> None:
    """A week's lawful sources."""
    rng = world.random
    for n in range(rng.randint(8, 20)):
        ip, agent = world.address(), rng.choice(PHONES)
        user = str(100 + n)
        begin = START + rng.uniform(0, 2 * DAY)
        register(
            world,
            ip,
            user,
            agent,
            rng.randint(1025, 65000),
            begin,
            begin + rng.uniform(6, 60) * HOUR,
            rng.choice((600, 1800, 3500)),
        )
        for _ in range(rng.randint(1, 8)):
            name = rng.choice(("O'Brien", "Müller & Söhne", "A & B Ltd", "Zoë", "COVER JERRY & M", "R&D"))
            call(world, begin + rng.uniform(0, 20 * HOUR), ip, 5060, agent, user, f"0{rng.randint(10**8, 10**9)}", rng.choice((200, 200, 200, 486, 487, 404)),
                 from_=f'"{name}" <sip:{user}@192.0.2.10>;tag={rng.getrandbits(30):x}')  # fmt: skip
        world.legitimate.add(ip)
    for _ in range(rng.randint(1, 3)):
        # A wrong password: every half minute or so, for days.
        ip, begin = world.address(), START + rng.uniform(0, 3 * DAY)
        register(
            world,
            ip,
            str(rng.randint(200, 240)),
            rng.choice(PHONES),
            rng.randint(1025, 65000),
            begin,
            begin + rng.uniform(4, 24) * HOUR,
            rng.choice((20, 30, 60, 120)),
            rng.choice(((401, 401), (401, 403))),
        )
        world.legitimate.add(ip)
    ip, begin = world.address(), START + rng.uniform(0, DAY)
    for n in range(rng.randint(12, 40)):
        # An office behind one address: many phones, many ports, calls in the morning all at once.
        register(
            world,
            ip,
            str(300 + n),
            rng.choice(PHONES),
            20000 + n * 7,
            begin + n,
            begin + rng.uniform(8, 30) * HOUR,
            rng.choice((300, 900, 1800)),
            (401, 403) if n == 3 and rng.random() < 0.5 else (401, 200),
        )
        for _ in range(rng.randint(1, 6)):
            call(
                world,
                begin + rng.choice((2, 8)) * HOUR + rng.uniform(0, 300),
                ip,
                20000 + n * 7,
                rng.choice(PHONES),
                str(300 + n),
                f"0{rng.randint(10**8, 10**9)}",
                rng.choice((200, 200, 486, 480)),
            )
    world.legitimate.add(ip)
    for _ in range(rng.randint(1, 2)):
        # A trunk: never registers, calls everywhere, all day; pings with OPTIONS.
        ip, agent = world.address(), rng.choice(TRUNKS)
        transport = rng.choice(("udp", "udp", "tcp"))
        for hour in range(rng.randint(8, 30)):
            for _ in range(rng.randint(5, 50)):
                number = rng.choice(("0044", "0033", "001", "0049", "")) + str(rng.randint(10**8, 10**10))
                call(
                    world,
                    START + hour * HOUR + rng.uniform(0, HOUR),
                    ip,
                    5060,
                    agent,
                    f"0{rng.randint(10**8, 10**9)}",
                    number,
                    rng.choice((200, 200, 200, 486, 404, 480)),
                    transport=transport,
                )
            world.send(START + hour * HOUR, ip, "OPTIONS", agent=agent, status=200, transport=transport)
        world.legitimate.add(ip)
    for _ in range(rng.randint(1, 3)):
        # Whoever measures the internet: one OPTIONS a day or so, and says who he is.
        ip = world.address()
        agent = rng.choice(
            (
                "Shodan",
                "censys.io scanner",
                "Mozilla/5.0 zgrab/0.x",
                "ONYPHE",
                "internet-measurement.com",
                "University research scan, opt-out: abuse@example.edu",
            )
        )
        for day in range(rng.randint(1, 7)):
            world.send(
                START + day * DAY + rng.uniform(0, DAY),
                ip,
                "OPTIONS",
                user=rng.choice(("", "100", "nm")),
                agent=agent,
                port=rng.randint(30000, 60000),
                status=200,
            )
        world.legitimate.add(ip)
    agent, user, begin = rng.choice(PHONES), "777", START + rng.uniform(0, DAY)
    for n in range(rng.randint(2, 6)):
        # A phone on the move: a new address every few hours.
        ip = world.address()
        register(
            world, ip, user, agent, rng.randint(1025, 65000), begin + n * 4 * HOUR, begin + (n + 1) * 4 * HOUR, 600
        )
        world.legitimate.add(ip)
