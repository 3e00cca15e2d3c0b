//! What a record holds, without the record: for who would read it at once.

use super::decision::{Decision, Finding};
use super::findings::worst;
use super::message::{Values, agent, values};
use super::recorder::{MAX_FINDINGS, MAX_VALUE, Recorder};
use super::{fingerprint, json, time};
use crate::sip::{Kind, names};

/// Bytes of a record beside what is counted: its members' names, numbers, times and versions take some 800.
const FRAME: usize = 1000;

/// The same of a counter, and of a finding or a ban, whose names and numbers take 76: one more estimates records as too long that
/// are not, of every message of a known tool.
const COUNTER: usize = 64;
const FINDING: usize = 80;

/// Times that readers take, in the year 2984; a log may name later ones.
const LAST: i64 = 32_000_000_000;

/// Bytes of a method that are written.
const METHOD: usize = 32;

/// A record's values, each just as it would be written.
pub struct Plain<'d> {
    /// Microseconds since the epoch.
    pub time: i64,
    pub ip: &'d str,
    pub port: u16,
    pub transport: &'d str,
    pub action: &'d str,
    pub enforced: bool,
    pub kind: Kind,
    pub method: &'d [u8],
    /// The reply's own, or the one that the message was answered with; 0 for none.
    pub status: u16,
    pub uri: Option<&'d [u8]>,
    pub from: Option<&'d [u8]>,
    pub to: Option<&'d [u8]>,
    pub call_id: Option<&'d [u8]>,
    pub cseq: Option<u64>,
    pub agent: Option<&'d [u8]>,
    pub authorization: bool,
    /// Of a message that is known as it was sent: its size.
    pub bytes: Option<usize>,
    pub client: Option<[u8; fingerprint::LENGTH]>,
    pub findings: &'d [Finding<'d>],
    /// The weightiest of all.
    pub worst: Option<&'d Finding<'d>>,
}

impl Recorder {
    /// What the record of a decision would hold: `None` where that is to be written and read to know it, as what has to be
    /// escaped, cut, masked, or names indicators. `quoted`: see there.
    pub fn plain<'d>(&self, decision: &'d Decision<'d>, quoted: bool) -> Option<Plain<'d>> {
        let message = decision.message;
        let place = decision.place;
        let odd = self.mask.is_some()
            || self.replay.is_some()
            || self.raw_bytes > 0
            || place.country.is_some()
            || place.asn > 0
            || decision.action == "error"
            || decision.findings.len() > MAX_FINDINGS;
        if odd {
            return None;
        }
        let Values {
            uri,
            call_id,
            from,
            to,
            cseq,
        } = values(message, quoted);
        let agent = agent(message);
        let told = [
            Some(decision.reason),
            Some(decision.ip.as_bytes()),
            Some(decision.transport.as_bytes()),
            uri,
            call_id,
            from,
            to,
            agent,
        ];
        let mut size = FRAME + self.after_rules.len() + decision.id.len() + decision.counters.len() * COUNTER;
        for value in told.into_iter().flatten() {
            size += value.len();
            if !json::stands(value, MAX_VALUE) {
                return None;
            }
        }
        if let Some(ban) = &decision.ban {
            size += FINDING + ban.source.len() + ban.rule.len();
        }
        for finding in decision.findings {
            let (field, reason) = (finding.field.as_bytes(), finding.reason.as_bytes());
            size += FINDING + 2 * (finding.rule.len() + field.len()) + finding.family.len() + reason.len();
            size += 2 * finding.excerpt.len();
            let stands = json::stands(field, MAX_VALUE)
                && json::stands(reason, MAX_VALUE)
                && json::stands(finding.rule.as_bytes(), MAX_VALUE)
                && json::stands(finding.family.as_bytes(), MAX_VALUE)
                && json::stands(finding.excerpt, self.excerpt_bytes);
            if !stands {
                return None;
            }
        }
        let (second, micro) = time::parts(decision.now);
        if second >= LAST
            || size > self.record_bytes
            || !json::stands(message.method, METHOD)
            || Self::indicates(decision.findings)
        {
            return None;
        }
        let is_reply = message.kind == Kind::Reply && message.status > 0;
        Some(Plain {
            time: second * 1_000_000 + i64::from(micro),
            ip: decision.ip,
            port: decision.port,
            transport: decision.transport,
            action: decision.action,
            enforced: decision.enforced,
            kind: message.kind,
            method: message.method,
            status: if is_reply { message.status } else { decision.status },
            uri,
            from,
            to,
            call_id,
            cseq,
            agent,
            authorization: (message.headers.iter())
                .any(|header| matches!(header.name.id, names::AUTHORIZATION | names::PROXY_AUTHORIZATION)),
            bytes: (!quoted).then_some(message.raw.len()),
            client: (!quoted).then(|| fingerprint::of(message)).flatten(),
            findings: decision.findings,
            worst: worst(decision.findings),
        })
    }
}
