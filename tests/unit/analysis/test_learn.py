"""A site's own normal: what is learned and what is left out, what is unusual and why, and the rules that are proposed."""

from __future__ import annotations

import json
import random
import sys
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

import fastjsonschema
import pytest
from click.testing import CliRunner, Result

from harness import ROOT

sys.path.insert(0, str(ROOT / "tests" / "novelty"))

from measure import FIELDS
from normal_site import DAY, START, Message, Site, records

from sipsieve.detection import ruleset
from sipsieve_analysis.cli import main
from sipsieve_analysis.novelty import model as models
from sipsieve_analysis.novelty.accounts import country_of
from sipsieve_analysis.novelty.clients import make_of
from sipsieve_analysis.novelty.form import form, grams, plain
from sipsieve_analysis.novelty.judge import Judge, Kind
from sipsieve_analysis.novelty.learner import LearnError, learn
from sipsieve_analysis.novelty.model import Model, ModelError
from sipsieve_analysis.novelty.observe import number, observed, told
from sipsieve_analysis.novelty.reviews import Looker
from sipsieve_analysis.novelty.values import Samples, Values, fit, full
from sipsieve_analysis.novelty.views import OF_OTHERS, spelled
from sipsieve_analysis.readers.replayed import Replay

#: What no rule names, and nobody here is called.
STRANGE = [b"=&~%s~&=*%d,,=~%s!" % (name, place, name) for place, name in enumerate((b"ab", b"qq12", b"zz", b"Some", b"OneTwo"))]  # fmt: skip

PHONES, DAYS = 100, 6


class Learned(NamedTuple):
    site: Site
    lines: list[bytes]
    model: Model


def logged(messages: list[Message]) -> list[bytes]:
    return records(Replay(threads=2, raw_bytes=65_535), messages)


@pytest.fixture(scope="module")
def learned() -> Learned:
    site = Site(3, PHONES)
    lines = logged([sent for day in range(DAYS) for sent in site.day(day)])
    return Learned(site, lines, learn(lambda: lines))


def sent(site: Site, texts: list[bytes], field: str = "from.display_name", ip: str = "198.51.100.9") -> list[Message]:
    """Texts in INVITEs of the site, from an address that it does not know."""
    rng = random.Random(1)
    invites = [one.raw for one in site.day(0) if one.raw.startswith(b"INVITE")]
    return [
        Message(START + (DAYS + 1) * DAY + place, ip, FIELDS[field](rng.choice(invites), text), 0)
        for place, text in enumerate(texts)
    ]


def unusual(model: Model, messages: list[Message]) -> list[Any]:
    looker = Looker(Judge(model))
    return [one for _, found in looker.feed(logged(messages)) for one in found]


def test_a_form_keeps_marks_and_no_letter() -> None:
    assert form(b"O'Brien, Sean 12") == b"A'Aa, Aa 0"
    assert form(b"\x00\xc3\xa9") == b"\x01a"
    assert plain(b"kG--6aw_x") == b"a--a_a"
    assert b"\x02A'" in grams(form(b"O'Brien"))
    assert len(form(b"x'" * 100_000)) <= 2048


def test_no_view_of_a_value_sees_its_letters() -> None:
    assert spelled(b"O'Brien, Sean 12\x00\xc3\xa9") == b"E'Bbeeb, Beeb 00\x01\x80\x80"
    for one, other in ((b"rm -rf secret", b"ls -qz pastel"), (b"Ann Lee 7001", b"Ida Coo 9999")):
        assert [view.see(spelled(one)) for view in OF_OTHERS] == [view.see(spelled(other)) for view in OF_OTHERS]
    assert len(spelled(b"x" * 100_000)) == 2048
    for view in OF_OTHERS:
        said = [
            view.tell(gram)
            for gram in view.see(spelled(b"rm -rf /tmp/x; O'Brien's GmbH \xc3\xa9 2>&1//" + b"x y " * 40))
        ]
        assert all(said) and not any(byte < " " or byte > "~" for text in said for byte in text)


def test_words_are_looked_at_where_people_write_their_own() -> None:
    rng = random.Random(4)
    words = [
        b"Ann",
        b"LEE",
        b"McCoy",
        b"de",
        b"Bobby",
        b"Alexandria",
        b"Ng",
        b"J.",
        b"O'Hara",
        b"7",
        b"4711",
        b"Inc.",
        b"of",
    ]
    own = learned_field([(place, b" ".join(rng.choices(words, k=4))) for place in range(500)])
    same = learned_field([(place, words[place % 9]) for place in range(500)])
    assert "words" in own.views and "words" not in same.views
    # As many small words as others have, of a kind that nobody has.
    view, strange = own.strange(spelled(b"Ann grxml GRXML Inc."))
    assert view.name == "words" and "word of 4 to 6 letters without a vowel" in view.tell(strange[0][0])


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (b"a/b/c/d", "/"),
        (b"or id is of", "without a capital"),
        (b"mostly everybody writes capitals", "small letters"),
        (b"Ann Lee Ann Lee Ann Lee Ann Lee Ann Lee Ann Lee", "words or more"),
    ],
)
def test_each_view_says_in_words_what_is_rare(value: bytes, why: str) -> None:
    people = [(place, b"%s %s" % (first, last)) for place, (first, last) in enumerate(
        (first, last) for first in (b"Ann", b"Bobby", b"J.", b"Al-Bo", b"Zo\xc3\xab", b"McCoy") for last in (b"Lee", b"O'Hara", b"de Vries", b"Miller & Sons", b"A", b"ABC") for _ in range(20)
    )]  # fmt: skip
    values = learned_field(people)
    assert values.score(spelled(value)) > 1
    view, strange = values.strange(spelled(value))
    assert strange and any(why in view.tell(gram) for gram, _ in strange)


def learned_field(values: list[tuple[int, bytes]]) -> Values:
    """A field of (sender, value) pairs."""
    samples = Samples()
    for place, (sender, value) in enumerate(values):
        samples.add(sender, place, spelled(value))
    return fit(samples.forms(Counter(sender for sender, _ in values)))


NAMES = [(place % 500, b"%s %s" % (first, last)) for place, (first, last) in enumerate(
    (first, last) for first in (b"Ann", b"bob", b"J.", b"Al-Bo", b"Zo\xc3\xab") for last in (b"Lee", b"O'Hara", b"de Vries", b"& Sons") for _ in range(100)
)]  # fmt: skip
ODD = b"$<x1|y2>;"


def test_one_sender_makes_nothing_usual() -> None:
    values = learned_field([*NAMES, *((7, ODD + b"%d" % place) for place in range(20_000))])
    assert values.score(spelled(ODD)) > 1
    assert values.score(spelled(b"Ann O'Hara")) < 1


def test_what_each_sends_seldom_stays_unusual() -> None:
    values = learned_field([*NAMES * 20, *((place % 500, ODD) for place in range(1000))])
    assert values.score(spelled(ODD)) > 1


def test_accounts_that_are_made_up_are_not_many() -> None:
    samples, messages = Samples(), Counter[int]()
    values = [*NAMES * 10, *((10_000 + place, ODD) for place in range(300))]
    for place, (sender, value) in enumerate(values):
        samples.add(sender, place, spelled(value))
        messages[sender] += 1
    # Of 500 accounts with forty messages each and 300 with one, the 300 say next to nothing.
    assert full(messages.values()) == 20
    each, weighed = fit(samples.forms(messages)), fit(samples.forms(messages, full(messages.values())))
    assert weighed.score(spelled(ODD)) > 1 > each.score(spelled(ODD))
    # Where everybody calls once, as behind a trunk, each counts.
    assert full([1] * 500) == 1 and full([]) == 1


def test_what_many_write_once_beside_few_who_write_it_always_stays_unusual() -> None:
    samples, messages = Samples(), Counter[int]()
    for place in range(4000):
        samples.add(place % 100, place, spelled(b"transport%d" % (place % 7)))
    for sender in range(1000, 1170):
        samples.add(sender, sender, spelled(ODD))
        messages[sender] = 60
    messages.update(dict.fromkeys(range(100), 40))
    values = fit(samples.forms(messages, pooled=True))
    assert values.score(spelled(ODD)) > 1 > values.score(spelled(b"transport3"))


def test_poison_moves_a_limit_no_further_than_what_is_usual_allows() -> None:
    usual = spelled(b"4915112345000")
    poison = {spelled(b"/".join([ODD] * 4) + b"%s" % (b"ab " * place)): 1.0 for place in range(40)}
    clean, poisoned = fit({usual: 500.0}), fit({usual: 460.0, **poison})
    for name, view in clean.views.items():
        assert poisoned.views[name].limit <= 4 * view.limit
    assert all(poisoned.score(text) > 1 for text in poison) and poisoned.score(usual) == 0


def test_what_is_nobodys_habit_is_no_field_of_its_own() -> None:
    messages = Counter(dict.fromkeys(range(500), 100)) + Counter(dict.fromkeys(range(1000, 1300), 1))
    seldom, habit, made_up = Samples(), Samples(), Samples()
    for sender in range(500):
        seldom.add(sender, sender, b"x", sender)
    for sender in range(1000, 1300):
        made_up.add(sender, sender, b"x", sender)
    for place in range(3000):
        habit.add(place % 30, place, b"x", place % 30)
    least = full(messages.values())
    assert not seldom.is_habit(messages, least) and not made_up.is_habit(messages, least)
    assert habit.is_habit(messages, least)


def test_the_order_in_which_values_come_changes_nothing() -> None:
    there, back = Samples(), Samples()
    entries = [(place % 4000, place, spelled(b"Name %d'" % (place * 7919 % 4000))) for place in range(20_000)]
    for entry in entries:
        there.add(*entry)
    for entry in reversed(entries):
        back.add(*entry)
    assert there.forms({}) == back.forms({})
    forms = {spelled(b"Alice Smith"): 40, spelled(b"O'Brien"): 4, spelled(b"x<y>"): 1}
    assert fit(forms) == fit(dict(reversed(forms.items())))


def test_a_field_has_a_bound_whatever_comes() -> None:
    samples = Samples()
    for place in range(20_000):
        samples.add(place, place, b"a" * (place % 50))
    assert sum(samples.forms({}).values()) <= 3000


def test_accepted_dialogs_alone_are_learned(learned: Learned) -> None:
    assert learned.model.messages > 2000 and learned.model.whole == learned.model.messages
    assert learned.model.left_out["not accepted by the server"] > 100
    refused = [one._replace(ip="198.51.100.77", status=403) for one in sent(learned.site, STRANGE * 200)]
    lines = [*learned.lines, *logged(refused)]
    again = learn(lambda: lines)
    assert again.messages == learned.model.messages
    assert again.fields == learned.model.fields
    # Of some the guard's own second opinion has said something, which keeps them out before their sender is asked for.
    why = ("of senders that were never let in", "refused, or a rule found something")
    assert sum(again.left_out[one] - learned.model.left_out.get(one, 0) for one in why) >= 0.9 * len(refused)


def forged(learned: Learned, whose: set[str], every: int) -> list[bytes]:
    """What was learned, and after every so many messages of `whose` an attack that is refused, from the same address."""
    messages, count = [], 0
    for one in (sent for day in range(DAYS) for sent in learned.site.day(day)):
        messages.append(one)
        count += one.ip in whose
        if one.ip in whose and count % every == 0 and one.raw.startswith((b"INVITE", b"REGISTER")):
            raw = FIELDS["from.display_name"](one.raw, b"x' UNION SELECT 1,2 -- <script>alert(1)</script>")
            messages.append(one._replace(time=one.time + 0.01, raw=raw, status=403))
    return logged(messages)


def test_attacks_in_everybodys_name_keep_nothing_from_being_learned(learned: Learned) -> None:
    everybody = {one.ip for one in learned.site.day(0)}
    lines = forged(learned, everybody, 12)
    again = learn(lambda: lines)
    assert again.left_out["refused, or a rule found something"] > 0.04 * again.messages
    assert again.messages >= 0.99 * learned.model.messages
    assert again.fields.keys() == learned.model.fields.keys()
    # A trunk carries half of all callers: that it brought attacks, too, is no reason to know none of them.
    lines = forged(learned, {"192.0.2.201"}, 12)
    assert learn(lambda: lines).fields == learned.model.fields


def test_nothing_is_learned_of_the_few_who_were_refused_too_often(learned: Learned) -> None:
    own = learned.site.traffic.subscribers
    for whose, every in (({who.address for who in own[11:14]}, 4), ({"192.0.2.201"}, 1)):
        lines = forged(learned, whose, every)
        again = learn(lambda lines=lines: lines)  # type: ignore[misc]
        assert again.left_out["of senders that were refused too often"] > 100
        assert not {number(ip) for ip in whose} & set(again.senders)


def test_a_day_as_any_other_has_few_reviews(learned: Learned) -> None:
    looker = Looker(Judge(learned.model))
    found = looker.feed(logged(list(learned.site.day(DAYS))))
    assert looker.messages > 500
    assert len(found) < 0.02 * looker.messages
    assert len(looker.reviews()) <= 5


@pytest.mark.parametrize("field", list(FIELDS))
def test_what_nobody_here_writes_is_unusual_in_every_field(learned: Learned, field: str) -> None:
    # A Call-ID's grammar has other marks (RFC 3261 25.1, word): the guard refuses what is not in it.
    texts = [text.translate(None, b"=&,") + b"[]?<>{}:" for text in STRANGE] if field == "call-id" else STRANGE
    found = unusual(learned.model, sent(learned.site, texts, field))
    hit = [one for one in found if one.kind is Kind.VALUE]
    # What clients make up is measured by the make, of which a small site has few values.
    assert len(hit) >= (1 if field == "call-id" else 4)
    assert all(one.score > 1 and one.why.count("reads unlike") == 1 for one in hit)


def test_the_reason_is_said_in_words(learned: Learned) -> None:
    best = unusual(learned.model, sent(learned.site, STRANGE[:1]))[0]
    assert best.field == "from.display_name" and best.excerpt == STRANGE[0]
    assert "reads unlike what" in best.why and "here send" in best.why and "in none" in best.why


def test_strangers_are_judged_by_their_values_alone(learned: Learned) -> None:
    raw = learned.site.traffic.requests(0, 1)[0].raw
    foreign = raw.replace(b"User-Agent: ", b"User-Agent: Nobody's ").replace(b"CSeq:", b"X-Odd: 1\r\nCSeq:")
    kinds = {one.kind for one in unusual(learned.model, [Message(START + 9 * DAY, "198.51.100.5", foreign, 0)])}
    assert kinds <= {Kind.VALUE}


def test_a_new_make_and_a_clients_order_are_noticed_of_those_who_are_let_in(learned: Learned) -> None:
    who = next(one for one in learned.site.traffic.subscribers if one.make.name == "desk-b")
    rng = random.Random(2)
    raw = learned.site.traffic.request(rng, who, "INVITE").raw
    lines = raw.split(b"\r\n")
    agent = next(line for line in lines if line.startswith(b"User-Agent"))
    contact = next(line for line in lines if line.startswith(b"Contact"))
    lines.remove(contact)
    turned = b"\r\n".join([lines[0], contact, *lines[1:]])
    odd = raw.replace(agent, agent + b"\r\nX-Unseen: 1")
    new = raw.replace(agent, b"User-Agent: Tomorrow Phone 1.0")
    time = START + 9 * DAY
    found = {
        name: {one.kind: one.why for one in unusual(learned.model, [Message(time, who.address, message, 200)])}
        for name, message in (("same", raw), ("turned", turned), ("odd", odd), ("new", new))
    }
    assert not {Kind.ORDER, Kind.FIELDS, Kind.MAKE} & found["same"].keys()
    assert '"contact" stands before' in found["turned"][Kind.ORDER]
    assert '"x-unseen"' in found["odd"][Kind.FIELDS]
    assert "tomorrow phone" in found["new"][Kind.MAKE]


def test_phones_of_a_new_make_are_one_review(learned: Learned) -> None:
    site = Site(3, PHONES)
    rng = random.Random(5)
    messages = []
    for place, who in enumerate(site.traffic.subscribers[2:42]):
        raw = site.traffic.request(rng, who, "REGISTER").raw
        agent = next((line for line in raw.split(b"\r\n") if line.startswith(b"User-Agent")), b"")
        if agent:
            changed = raw.replace(agent, b"User-Agent: Tomorrow Phone 1.0")
            messages.append(Message(START + 9 * DAY + place, who.address, changed, 200))
    looker = Looker(Judge(learned.model))
    looker.feed(logged(messages))
    assert sum("make of client" in review.kinds for review in looker.reviews()) == 1


def test_habits_of_an_account() -> None:
    site = Site(8, 40)
    who = site.traffic.subscribers[5]
    rng = random.Random(1)

    def calls(day: int, hour: int, number: bytes, count: int, ip: str = who.address) -> list[Message]:
        found = []
        for place in range(count):
            raw = site.traffic.request(rng, who, "INVITE").raw
            uri = raw.split(b" ", 2)[1]
            raw = raw.replace(b"INVITE " + uri, b"INVITE sip:" + number + b"@voip.example.com", 1)
            found.append(Message(START + day * DAY + hour * 3600 + place * 20, ip, raw, 200))
        return found

    known = [one for day in range(DAYS + 4) for one in (*site.day(day), *calls(day, 10, b"030123456", 8))]
    lines = logged(sorted(known, key=lambda one: one.time))
    model = learn(lambda: lines)
    account = next(a for name, a in model.accounts.items() if name.startswith(who.user.lower() + "@"))
    assert account.calls >= 80 and account.is_known and account.has_habits

    def kinds(*messages: Message) -> set[Kind]:
        return {one.kind for one in unusual(model, list(messages))}

    assert not kinds(*calls(20, 10, b"030123456", 3)) & {Kind.HOUR, Kind.PLACE, Kind.COUNTRY, Kind.RATE}
    assert Kind.HOUR in kinds(*calls(20, 3, b"030123456", 1)) or account.hours[3] + account.hours[2] + account.hours[4]
    assert Kind.COUNTRY in kinds(*calls(20, 10, b"0088213555000", 1))
    assert Kind.PLACE in kinds(*calls(20, 10, b"030123456", 2, "203.0.113.200"))
    assert Kind.RATE in kinds(*calls(20, 10, b"030123456", 120))


@pytest.mark.parametrize(
    ("number", "country"),
    [("+442071234567", "+44"), ("0033145678901", "+33"), ("01188213555000", "+882"), ("0301234567", ""), ("+15551234567", "+1"), ("00", ""), ("+4", "")],
)  # fmt: skip
def test_countries_are_told_by_their_calling_codes(number: str, country: str) -> None:
    assert country_of(number) == country


def test_makes_are_told_without_version_and_serial() -> None:
    assert make_of("Yealink SIP-T46S 66.85.0.5") == make_of("Yealink SIP-T46S 66.86.0.1") == "yealink sip t"
    assert make_of("") == "" and make_of("9999") == ""


def test_the_same_traffic_makes_the_same_model(learned: Learned) -> None:
    assert learn(lambda: learned.lines) == learned.model


def test_too_little_and_no_answers_are_refused_with_what_to_do(learned: Learned) -> None:
    with pytest.raises(LearnError, match="give more days"):
        learn(lambda: learned.lines[:500])
    requests = [line for line in learned.lines if b'"type":"request"' in line]
    with pytest.raises(LearnError, match="captures of both directions"):
        learn(lambda: requests)


def test_hostile_lines_are_no_records() -> None:
    for line in (
        b"",
        b"{",
        b"[]",
        b'{"@timestamp":1}',
        b'{"@timestamp":"x","event":{}}',
        b"\xff" * 100,
        b"[" * 100_000,
    ):
        assert told(line) is None
    record = told(b'{"@timestamp":"2026-11-02T00:00:00Z","event":{"kind":"event","action":"allow"},"sip":{"type":"request","method":"IN\\nV","uri":"sip:\\r\\nX: 1@y","from":"<<>>\\r\\n","call_id":"\\r\\n\\r\\n"}}')  # fmt: skip
    assert record is not None
    assert {value.header for value in observed(record).values} <= {"method", "request_uri", "from", "to", "call-id", "user-agent"}  # fmt: skip


def test_a_models_file_is_checked(learned: Learned, tmp_path: Path) -> None:
    path = tmp_path / "normal.model"
    models.save(learned.model, path)
    assert models.load(path) == learned.model
    whole = path.read_bytes()
    head, _, content = whole.partition(b"\n")
    assert json.loads(head)["sipsieve_model"] == models.VERSION
    for damaged, why in (
        (head + b"\n" + content[:-1] + bytes([content[-1] ^ 1]), "checksum"),
        (head + b"\n" + content[:100], "checksum"),
        (b"nonsense", "is no model"),
        (b"", "is no model"),
        (b'{"sipsieve_model": 99}\n', "version 99"),
        (b'{"sipsieve_model": 1}\n', "version 1, .* learn anew"),
    ):
        path.write_bytes(damaged)
        with pytest.raises(ModelError, match=why):
            models.load(path)


def run(*words: object) -> Result:
    return CliRunner().invoke(main, ["learn", *map(str, words)])


def test_from_traffic_to_an_accepted_rule(learned: Learned, tmp_path: Path) -> None:
    weeks, today = tmp_path / "weeks.jsonl", tmp_path / "today.jsonl"
    weeks.write_bytes(b"\n".join(learned.lines) + b"\n")
    calm = [one for one in learned.site.day(DAYS) if one.status == 200][:300]
    today.write_bytes(b"\n".join(logged([*calm, *sent(learned.site, STRANGE)])) + b"\n")
    model, proposals, own = tmp_path / "normal.model", tmp_path / "proposals.toml", tmp_path / "own.toml"
    valid = fastjsonschema.compile(json.loads((ROOT / "docs" / "learn.schema.json").read_text()))

    made = run("from", weeks, "--model", model, "--json")
    assert made.exit_code == 0, made.output
    valid(json.loads(made.stdout))
    assert json.loads(made.stdout)["messages"] == learned.model.messages
    assert "less than a week" in run("show", "--model", model).output
    valid(json.loads(run("show", "--model", model, "--json").stdout))

    judged = run("judge", today, "--model", model, "--propose", proposals, "--json")
    assert judged.exit_code == 1, judged.output
    found = json.loads(judged.stdout)
    valid(found)
    review = next(one for one in found["reviews"] if one["sources"] == ["198.51.100.9"])
    assert review["messages"] == len(STRANGE)
    proposal = next(one for one in found["proposals"] if one["review"] == review["id"])
    assert proposal["caught"] == proposal["values"] == len(STRANGE) and proposal["misses"]

    accepted = run("accept", proposal["id"], "--proposals", proposals, "--into", own)
    assert accepted.exit_code == 0, accepted.output
    assert CliRunner().invoke(main, ["rules", str(own)]).exit_code == 0
    rules = ruleset.load(own=[str(own)])
    names = {rule.id for text in STRANGE for rule in rules.match(text)}
    assert proposal["id"] in names
    assert "already" in run("accept", proposal["id"], "--proposals", proposals, "--into", own).output
    assert "no proposal" in run("accept", "site-x-1", "--proposals", proposals, "--into", own).output

    assert run("usual", review["id"], "--model", model).exit_code == 0
    rest = json.loads(run("judge", today, "--model", model, "--json").stdout)["reviews"]
    assert review["id"] not in {one["id"] for one in rest}


def test_a_proposals_file_can_carry_whatever_was_sent(learned: Learned, tmp_path: Path) -> None:
    today, model, proposals = tmp_path / "today.jsonl", tmp_path / "m", tmp_path / "p.toml"
    nasty = [b"'''\"\n[[rule]] id=%d =>?=:" % n for n in range(6)]
    today.write_bytes(b"\n".join(logged(sent(learned.site, [t.replace(b"\n", b"\t") for t in nasty]))) + b"\n")
    models.save(learned.model, model)
    judged = run("judge", today, "--model", model, "--propose", proposals)
    assert judged.exit_code in (0, 1), judged.output
    assert "\t" not in judged.stdout
    if 'id = "' in proposals.read_text():
        assert not ruleset.load_file(proposals)[0].id.startswith("rule")


def test_analyze_and_watch_tell_what_is_unusual(learned: Learned, tmp_path: Path) -> None:
    today, model, html = tmp_path / "today.jsonl", tmp_path / "m", tmp_path / "r.html"
    today.write_bytes(b"\n".join(logged(sent(learned.site, STRANGE))) + b"\n")
    models.save(learned.model, model)
    made = CliRunner().invoke(main, ["analyze", "-q", "--model", str(model), "--html", str(html), "--json", str(today)])
    report = json.loads(made.stdout)
    fastjsonschema.compile(json.loads((ROOT / "docs" / "report.schema.json").read_text()))(report)
    assert len(report["unusual"]) == 1 and report["unusual"][0]["messages"] == len(STRANGE)
    assert "known to no rule" in html.read_text()
    shown = CliRunner().invoke(main, ["analyze", "-q", "--model", str(model), str(today)])
    assert "Unusual here" in shown.stdout
    without = CliRunner().invoke(main, ["analyze", "-q", "--json", str(today)])
    assert "unusual" not in json.loads(without.stdout)

    watch = ["watch", str(today), "--state", str(tmp_path / "state"), "--once", "--json", "--model", str(model)]
    alerts = [json.loads(line) for line in CliRunner().invoke(main, watch).stdout.splitlines()]
    assert [alert["kind"] for alert in alerts if alert["tier"] == "review"] == ["unusual"]
    assert CliRunner().invoke(main, watch).stdout == ""


def test_a_model_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    (tmp_path / "m").write_text("x")
    (tmp_path / "log").write_text("x")
    for words in (["learn", "show", "--model", str(tmp_path / "m")], ["analyze", "--model", str(tmp_path / "m"), str(tmp_path / "log")]):  # fmt: skip
        made = CliRunner().invoke(main, words)
        assert made.exit_code == 2 and "is no model" in made.output
