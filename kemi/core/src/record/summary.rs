//! Formats counts of messages that have no record of their own, and notices about the guard itself.

use super::json;
use super::recorder::{FORM, Recorder};

/// A count of messages. Times are seconds since the epoch.
pub struct Summary<'a> {
    pub now: f64,
    pub ip: &'a str,
    /// Empty for what was dropped before it was parsed.
    pub method: &'a str,
    pub action: &'a str,
    pub count: u64,
    pub first: f64,
    pub last: f64,
    /// The rule of a flood of like records that were folded, else empty.
    pub rule: &'a str,
}

impl Recorder {
    /// Appends a count of messages as a line.
    pub fn summary(&mut self, out: &mut Vec<u8>, summary: &Summary) {
        self.start(out, summary.now);
        out.extend_from_slice(b"\"source\":{\"ip\":");
        json::string(out, summary.ip);
        out.extend_from_slice(b"},\"event\":{\"kind\":\"metric\",\"action\":");
        json::string(out, summary.action);
        out.extend_from_slice(b",\"count\":");
        json::number(out, summary.count);
        out.extend_from_slice(b",\"start\":");
        self.time(out, summary.first);
        out.extend_from_slice(b",\"end\":");
        self.time(out, summary.last);
        out.extend_from_slice(b"},\"rule\":{");
        if !summary.rule.is_empty() {
            out.extend_from_slice(b"\"id\":[");
            json::string(out, summary.rule);
            out.extend_from_slice(b"],");
        }
        out.extend_from_slice(&self.rules);
        out.extend_from_slice(b"},");
        out.extend_from_slice(&self.policy);
        out.extend_from_slice(b"},");
        out.extend_from_slice(FORM);
        out.extend_from_slice(b"},\"sip\":{\"method\":");
        json::string(out, summary.method);
        out.extend_from_slice(b"}}\n");
    }

    /// Appends a notice as a line: a start, records lost, a failure.
    ///
    /// `detail` holds the members of `event` beyond kind and action, already as JSON in ASCII and without braces.
    pub fn notice(&mut self, out: &mut Vec<u8>, action: &str, now: f64, detail: &[u8]) {
        self.start(out, now);
        out.extend_from_slice(b"\"event\":{\"kind\":\"state\",\"action\":");
        json::string(out, action);
        if !detail.is_empty() {
            out.push(b',');
            out.extend_from_slice(detail);
        }
        out.extend_from_slice(b"},\"rule\":{");
        out.extend_from_slice(&self.rules);
        out.extend_from_slice(b"},");
        out.extend_from_slice(&self.policy);
        out.extend_from_slice(b"},");
        out.extend_from_slice(FORM);
        out.extend_from_slice(b"}}\n");
    }
}
