//! Writes the findings of a record, and what their values point at.

use super::decision::Finding;
use super::indicators::{Indicator, of_texts};
use super::json;
use super::recorder::Recorder;

/// Bytes of one finding's value that are looked through for indicators.
const MAX_PAYLOAD: usize = 4096;

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

impl Recorder {
    /// An excerpt that is `shown` already is not written again.
    pub(super) fn findings(&mut self, out: &mut Vec<u8>, findings: &[Finding], shown: &[u8]) {
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
    pub(super) fn indicators(&mut self, out: &mut Vec<u8>, findings: &[Finding]) {
        let mut named = Self::named(findings);
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

    /// Whether any are named.
    pub(super) fn indicates(findings: &[Finding]) -> bool {
        !Self::named(findings).is_empty()
    }

    fn named(findings: &[Finding]) -> Vec<Indicator> {
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
        of_texts(texts.iter().map(String::as_str))
    }
}

/// The weightiest finding, and of equal ones the first; one of a rule before one of the framing.
pub(super) fn worst<'f, 'a>(findings: &'f [Finding<'a>]) -> Option<&'f Finding<'a>> {
    let weight = |finding: &Finding| (finding.score, finding.family != "structure");
    findings
        .iter()
        .reduce(|worst, next| if weight(next) > weight(worst) { next } else { worst })
}

fn comma(out: &mut Vec<u8>, place: usize) {
    if place > 0 {
        out.push(b',');
    }
}
