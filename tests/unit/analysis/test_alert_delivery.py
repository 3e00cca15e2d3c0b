"""Alerts reach mail, chat and webhooks: real servers that are down, slow and refuse; signed, by tier, and not at night."""

from __future__ import annotations

import email
import email.policy
import json
import socket
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from aiosmtpd.controller import Controller
from click.testing import CliRunner
from standardwebhooks.webhooks import Webhook

from sipsieve_analysis.cli import main
from sipsieve_analysis.watch import alerts, channels, words
from sipsieve_analysis.watch.delivery import Delivery
from sipsieve_analysis.watch.memory import Memory

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
NIGHT = datetime(2026, 11, 22, 23, 30, tzinfo=UTC)
SECRET = "whsec_" + "c2lwc2lldmUtdGVzdC1zZWNyZXQtMzItYnl0ZXMtbG9uZw=="


def alert(number: int, tier: str = "high", **more: Any) -> dict[str, Any]:
    return {
        "id": f"{number:016x}",
        "kind": "actor",
        "tier": tier,
        "score": 50,
        "addresses": [f"203.0.113.{number}"],
        "address_count": 1,
        "new_addresses": [],
        "spoofed": False,
        "intents": ["toll_fraud"],
        "campaigns": ["dialled_numbers"],
        "new_campaigns": ["dialled_numbers"],
        "why": [f"40 numbers dialled, the {number}th"],
        "first_seen": "2026-11-22T10:00:00Z",
        "last_seen": "2026-11-22T11:00:00Z",
        "action": "block the address",
        **more,
    }


class Hook:
    """A real HTTP server, on a port of its own that stays the same while it is down."""

    def __init__(self) -> None:
        self.seen: list[tuple[dict[str, str], bytes]] = []
        self.refuses: set[str] = set()
        self.status = 204
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.server: ThreadingHTTPServer | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/sip"

    def up(self) -> None:
        hook = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                status = 400 if any(word.encode() in body for word in hook.refuses) else hook.status
                if status < 300:
                    hook.seen.append((dict(self.headers.items()), body))
                self.send_response(status)
                self.send_header("Location", "http://127.0.0.1:1/")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()

    def down(self) -> None:
        if self.server is not None:
            self.server.shutdown()
            self.server.server_close()
            self.server = None


class Mailbox:
    """Takes what a real SMTP server hands it, or answers that it can't."""

    def __init__(self) -> None:
        self.mails: list[Any] = []
        self.answer = "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        if self.answer.startswith("250"):
            self.mails.append(email.message_from_bytes(envelope.content, policy=email.policy.default))
        return self.answer


@pytest.fixture
def hook() -> Iterator[Hook]:
    made = Hook()
    yield made
    made.down()


@pytest.fixture
def post_office() -> Iterator[tuple[Mailbox, Controller]]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    box = Mailbox()
    controller = Controller(box, hostname="127.0.0.1", port=port)
    yield box, controller
    if controller.loop.is_running():
        controller.stop()


class Post:
    """An outbox on disk, and what brings its alerts to the channels of a file. Its clock is the test's."""

    def __init__(self, folder: Path, text: str) -> None:
        self.folder = folder
        self.settings = folder / "alerts.toml"
        self.settings.write_text(text)
        self.now = 0.0
        self.warned: list[str] = []
        self.start()

    def start(self) -> None:
        self.memory = Memory(self.folder / "state", "200MB")
        sinks = channels.read(self.settings, ZoneInfo("UTC"), {"SIPSIEVE_SECRET": SECRET})
        self.delivery = Delivery(self.memory, sinks, self.warned.append, lambda: self.now)

    def post(self, *told: dict[str, Any]) -> None:
        with self.memory.step():
            for one in told:
                self.delivery.post(one)

    def later(self, when: datetime = NOON) -> None:
        self.now += 1000
        self.delivery.round(when)


@pytest.fixture
def post(tmp_path: Path) -> Iterator[Any]:
    made: list[Post] = []

    def make(text: str) -> Post:
        made.append(Post(tmp_path, text))
        return made[-1]

    yield make
    for one in made:
        one.memory.close()


def test_a_signed_webhook_gets_each_alert_once_though_it_was_down_and_the_watch_restarted(
    hook: Hook, post: Any
) -> None:
    there = post(f'[[channel]]\nname = "soc"\nwebhook = "{hook.url}"\nsecret_env = "SIPSIEVE_SECRET"\n')
    there.post(alert(1), alert(2))
    there.later()
    assert hook.seen == [] and "tried again in 5 s, 2 wait" in there.warned[0]
    there.memory.close()
    there.start()
    there.post(alert(3))
    hook.up()
    hook.status = 503
    there.later()
    assert hook.seen == [] and "answered 503" in there.warned[-1]
    hook.status = 204
    there.later()
    there.later()
    assert [json.loads(body) for _, body in hook.seen] == [alert(1), alert(2), alert(3)]
    for headers, body in hook.seen:
        # The library that receivers use. It looks at the time, too, which is now.
        assert Webhook(SECRET).verify(body, {name.lower(): value for name, value in headers.items()})
        assert headers["Webhook-Id" if "Webhook-Id" in headers else "webhook-id"] == json.loads(body)["id"]
    with pytest.raises(Exception, match=r"(?i)signature"):
        Webhook(SECRET).verify(body + b" ", {name.lower(): value for name, value in headers.items()})
    assert there.memory.pending("channel:soc") == []


def test_a_redirect_is_no_delivery(hook: Hook, post: Any) -> None:
    there = post(f'[[channel]]\nname = "soc"\nwebhook = "{hook.url}"\n')
    hook.up()
    hook.status = 302
    there.post(alert(1))
    there.later()
    assert "answered 302" in there.warned[0] and len(there.memory.pending("channel:soc")) == 1


def test_waits_grow_and_end_with_the_first_delivery(hook: Hook, post: Any) -> None:
    there = post(f'[[channel]]\nname = "soc"\nwebhook = "{hook.url}"\n')
    there.post(alert(1))
    for _ in range(12):
        there.later()
    assert [warned.split(" in ")[1].split(" s,")[0] for warned in there.warned[:9]] == [
        "5", "10", "20", "40", "80", "160", "320", "640", "900",
    ]  # fmt: skip
    there.now += 10
    before = len(there.warned)
    there.delivery.round(NOON)
    assert len(there.warned) == before, "it is not asked before its time"
    hook.up()
    there.later()
    assert len(hook.seen) == 1


def test_one_alert_that_is_refused_for_itself_does_not_hold_up_the_others(hook: Hook, post: Any) -> None:
    there = post(f'[[channel]]\nname = "soc"\nwebhook = "{hook.url}"\n')
    hook.up()
    hook.refuses = {"203.0.113.1"}
    there.post(alert(1), alert(2), alert(3))
    for _ in range(9):
        there.later()
    assert sorted(json.loads(body)["id"] for _, body in hook.seen) == [alert(2)["id"], alert(3)["id"]]
    [kept] = (there.folder / "state" / "undelivered.jsonl").read_text().splitlines()
    assert json.loads(kept)["alert"] == alert(1) and "400" in json.loads(kept)["problem"]
    assert there.memory.pending("channel:soc") == []


def test_mail_arrives_after_the_mail_server_came_back(post: Any, post_office: tuple[Mailbox, Controller]) -> None:
    box, server = post_office
    there = post(
        f'[[channel]]\nname = "mail"\nurl = "mailto://127.0.0.1:{server.port}?from=edge@example.net&to=soc@example.net"\n'
    )
    there.post(alert(1), alert(2, "immediate", addresses=["203.0.113.2", "203.0.113.9"], address_count=2))
    there.later()
    assert len(there.warned) == 1 and "2 wait" in there.warned[0]
    server.start()
    box.answer = "451 try again later"
    there.later()
    assert box.mails == [] and len(there.warned) == 2
    box.answer = "250 OK"
    there.later()
    there.later()
    [mail] = box.mails
    assert mail["To"] == "soc@example.net" and mail["Subject"] == "sipsieve: 2 alerts, the gravest immediate"
    text = mail.get_body(("plain", "html")).get_content()
    for part in ("203.0.113.1", "203.0.113.2 and 1 more", "toll fraud", "block the address", alert(1)["id"]):
        assert part in text, part


def test_a_chat_gets_words_and_the_report_what_is_new_first(hook: Hook, post: Any) -> None:
    there = post(f'[[channel]]\nname = "chat"\nurl = "json://127.0.0.1:{hook.port}/chat"\nreports = ["weekly"]\n')
    hook.up()
    actor = {"tier": "high", "addresses": ["203.0.113.5"], "address_count": 1, "intents": ["reconnaissance"]}
    report = {
        "id": "r", "kind": "report", "name": "weekly-2026-W47", "span": "weekly", "tier": "high", "messages": 12345,
        "page": "/srv/weekly-2026-W47.html", "new": [actor], "new_count": 1,
        "known": [actor | {"addresses": ["203.0.113.6"]}], "known_count": 1,
    }  # fmt: skip
    there.post(report)
    there.later()
    said = json.loads(hook.seen[0][1])
    assert said["title"] == "sipsieve: report weekly-2026-W47: 1 new, 1 seen before"
    assert said["message"].index("203.0.113.5") < said["message"].index("203.0.113.6") and "12,345" in said["message"]
    there.post(report | {"span": "daily", "id": "d"})
    assert there.memory.pending("channel:chat") == []


def test_at_night_only_the_gravest_is_told_and_the_rest_in_the_morning_in_one_message(hook: Hook, post: Any) -> None:
    there = post(
        f'[[channel]]\nname = "chat"\nurl = "json://127.0.0.1:{hook.port}/"\nquiet = "22:00-07:00"\ntier = "medium"\n'
    )
    hook.up()
    there.post(alert(1, "medium"), alert(2, "high"), alert(3, "immediate"))
    there.later(NIGHT)
    [(_, body)] = hook.seen
    assert "203.0.113.3" in json.loads(body)["title"]
    there.later(NIGHT.replace(hour=6, minute=59))
    assert len(hook.seen) == 1
    there.later(NIGHT.replace(hour=7, minute=0))
    told = json.loads(hook.seen[1][1])
    assert told["title"] == "sipsieve: 2 alerts, the gravest high" and len(hook.seen) == 2


@pytest.mark.parametrize(("tier", "heard"), [("review", 4), ("medium", 3), ("high", 2), ("immediate", 1)])
def test_a_channel_is_told_from_its_tier_on(tier: str, heard: int, tmp_path: Path) -> None:
    path = tmp_path / "a.toml"
    path.write_text(f'[[channel]]\nname = "x"\nwebhook = "http://127.0.0.1:9/"\ntier = "{tier}"\n')
    [sink] = channels.read(path, UTC)
    assert sum(sink.wants(alert(1, grade)) for grade in ("review", "medium", "high", "immediate")) == heard


def test_what_a_stranger_wrote_is_no_line_link_or_mention() -> None:
    evil = "x\r\nBcc: all@example.net\r\n<https://evil.example|click> @everyone \x1b[2J\u202eabc " + "y" * 5000
    title, body = words.message([alert(1, why=[evil], action=evil, intents=[evil], addresses=[evil])])
    lines = body.splitlines()
    assert "\n" not in title and "\r" not in title + body and len(lines) == 4
    assert not any(mark in title + body for mark in ("@", "://", "<", "\x1b", "\u202e"))
    assert max(map(len, lines)) < 600


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "lacks required field `channel`"),
        ('[[channel]]\nname = "a"', "channel a: needs one of url, url_env, url_file and webhook; it has none"),
        ('[[channel]]\nname = "a"\nurl = "json://x"\nwebhook = "http://x/"', "it has url, webhook"),
        ('[[channel]]\nname = "a"\nurl = "nosuch://x"', "url: no service of Apprise takes this URL (nosuch://…)"),
        ('[[channel]]\nname = "a"\nurl_env = "NOT_SET_HERE"', "url_env: the environment variable NOT_SET_HERE is not set"),
        ('[[channel]]\nname = "a"\nurl_file = "/nonexistent"', "url_file: /nonexistent: No such file"),
        ('[[channel]]\nname = "a"\nwebhook = "ftp://x/"', "webhook: 'ftp://x/' is no http or https URL"),
        ('[[channel]]\nname = "a"\nwebhook = "http://x/"\nsecret_env = "SHORT"', "secret_env: the secret has 3 bytes"),
        ('[[channel]]\nname = "a"\nurl = "json://x"\nsecret_env = "SHORT"', "sign a webhook"),
        ('[[channel]]\nname = "a"\nurl = "json://x"\nquiet = "22-7"', "quiet: '22-7' are no hours; write them as"),
        ('[[channel]]\nname = "a"\nurl = "json://x"\nquiet = "07:00-07:00"', "begins when it ends"),
        ('[[channel]]\nname = "a"\nurl = "json://x"\nattach = true', "attach: is for reports"),
        ('[[channel]]\nname = "a"\nurl = "json://x"\ntier = "grave"', "Invalid enum value 'grave'"),
        ('[[channel]]\nname = "a"\nurl = "json://x"\nuri = "x"', "unknown field `uri`"),
        ('[[channel]]\nname = "a"\nurl = "json://x"\n[[channel]]\nname = "a"\nurl = "json://x"', "is there twice"),
    ],
)  # fmt: skip
def test_wrong_settings_are_named(text: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / "alerts.toml"
    path.write_text(text)
    with pytest.raises(channels.ChannelError) as error:
        channels.read(path, UTC, {"SHORT": "YWJj"})
    assert str(path) in str(error.value) and said in str(error.value)


def test_no_secret_is_in_a_problem_or_a_channels_name(tmp_path: Path) -> None:
    path = tmp_path / "alerts.toml"
    path.write_text('[[channel]]\nname = "a"\nurl = "json://user:hunter2@127.0.0.1:1/"\n')
    [sink] = channels.read(path, UTC)
    problem = sink.send([("1", alert(1))])
    assert problem and "hunter2" not in problem + sink.name
    path.write_text('[[channel]]\nname = "a"\nurl = "nosuch://user:hunter2@127.0.0.1:1/"\n')
    with pytest.raises(channels.ChannelError) as error:
        channels.read(path, UTC)
    assert "hunter2" not in str(error.value)


def test_notify_tries_each_channel(hook: Hook, tmp_path: Path) -> None:
    path = tmp_path / "alerts.toml"
    path.write_text(
        f'[[channel]]\nname = "chat"\nurl = "json://127.0.0.1:{hook.port}/"\n'
        '[[channel]]\nname = "gone"\nwebhook = "http://127.0.0.1:1/"\n'
    )
    hook.up()
    ended = CliRunner().invoke(main, ["notify", str(path)])
    assert ended.exit_code == 1 and "chat: told" in ended.output and "gone: failed: webhook: " in ended.output
    assert "a test; nobody attacks" in json.loads(hook.seen[0][1])["title"]
    ended = CliRunner().invoke(main, ["notify", "--channel", "chat", "--json", str(path)])
    assert ended.exit_code == 0 and json.loads(ended.output) == [{"channel": "chat", "sent": True, "problem": ""}]
    assert CliRunner().invoke(main, ["notify", "--check", str(path)]).exit_code == 0
    assert len(hook.seen) == 2
    assert CliRunner().invoke(main, ["notify", "--channel", "nobody", str(path)]).exit_code == 2


def test_the_signature_is_the_standards() -> None:
    # The example of the Standard Webhooks specification, "Signature scheme".
    key = alerts.secret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    made = alerts.signature(key, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}')
    assert made["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_what_is_unusual_is_told_in_words_where_a_channel_asks_for_it(hook: Hook, post: Any) -> None:
    there = post(f'[[channel]]\nname = "chat"\nurl = "json://127.0.0.1:{hook.port}/"\ntier = "review"\n')
    hook.up()
    there.post(alert(1, "review", kind="unusual", intents=[]), alert(2, "high"))
    there.later()
    said = json.loads(hook.seen[0][1])
    assert said["title"] == "sipsieve: 2 alerts, the gravest high" and "unusual here" in said["message"]
