//! Decides on a message that was looked at: what its findings weigh by the policy, what its source has sent, what follows.

pub mod accounts;
pub mod counters;
mod counting;
mod credentials;
mod decision;
pub mod destinations;
pub mod limits;
pub mod offences;
pub mod policy;
pub mod pressure;
pub mod scoring;
mod standing;
pub mod tally;
pub mod unproven;

use std::borrow::Cow;
use std::sync::Arc;

use crate::detect::{self, Finding, Scratch};
use crate::engine::{Engine, Seen};
use crate::feeds::Action as Listing;
use crate::networks::Networks;
use crate::sip::{Kind, PartKind, Span, dialog, http};
use crate::sources::Source;
use crate::state::region::SECRET;
use crate::structure;
use counters::Counters;
use counting::of_limit;
pub use decision::{Answer, Ban, Decision, Scope, VERDICTS, Verdict};
use limits::Counts;
use policy::{Bodiless, Policy};

/// Decides by one revision of policy, rules and networks. Immutable; shared by all workers.
pub struct Judge {
    pub engine: Arc<Engine>,
    pub networks: Arc<Networks>,
    pub policy: Policy,
}

/// The method under which HTTP requests are counted, whatever theirs is.
pub const HTTP: &[u8] = b"HTTP";

const CONTENT_LENGTH_ZERO: &str = "content-length-zero";

/// Rule and family of what lists from outside say of a source.
pub const LISTED: &str = "feed";

/// Rule and family of what the policy says of countries and operators.
pub const BARRED: &str = "network";

/// The dialog's identity, the same from either side; 0 without one.
pub fn dialog_identity(seen: &Seen<'_>) -> u64 {
    dialog::identity(&seen.message).map_or(0, |parts| SECRET.identity(&[parts.call_id, parts.one, parts.other]))
}

/// An objection to a request as a finding.
fn objected(rule: &'static str, family: &'static str, field: &'static str, reason: String) -> Finding<'static> {
    Finding {
        rule,
        family,
        score: 5,
        field: Cow::Borrowed(field),
        reason: Cow::Owned(reason),
        excerpt: Cow::Borrowed(b""),
        span: Span::default(),
        part: PartKind::Text,
        removable: false,
    }
}

/// The finding on a request whose source is not wanted.
fn unwanted(rule: &'static str, reason: String) -> Finding<'static> {
    Finding {
        score: 0,
        ..objected(rule, rule, "source", reason)
    }
}

impl Judge {
    /// Decides on one message. `now` in seconds of a clock that never steps.
    ///
    /// `in_transaction` is asked only for answers that tell something: whether the reply belongs to a transaction of this
    /// server (`None`: can't be known). `unparsable`: the server has given the message up already. The findings are taken out of
    /// `seen`.
    pub fn decide<'a>(
        &self,
        seen: &mut Seen<'a>,
        source: &Source,
        now: u64,
        counters: &impl Counters,
        in_transaction: &dyn Fn() -> Option<bool>,
        unparsable: bool,
    ) -> Decision<'a> {
        let kind = seen.message.kind;
        if kind == Kind::Malformed && source.connected && !unparsable && http::is_request(seen.message.raw) {
            return self.http(seen, source, now, counters);
        }
        let (mut decision, mut watched) = self.weighed(seen, unparsable);
        let mut in_dialog = false;
        if kind == Kind::Request {
            let identity = dialog_identity(seen);
            in_dialog = identity != 0 && counters.knows_dialog(identity, now);
            if in_dialog && seen.message.method == b"ACK" {
                credentials::acknowledged(identity, source, now, counters);
            }
            if let Some(finding) = self.bodiless(seen, source, in_dialog) {
                let only_watched = self.policy.is_observed(finding.rule);
                let is_worse = !only_watched && (watched || decision.verdict == Verdict::Scrub);
                if decision.verdict == Verdict::Allow || is_worse {
                    watched = only_watched;
                    decision.verdict = Verdict::Reject;
                    decision.answer = Answer::new(400, "INVITE With Content-Length 0 Not Accepted");
                    decision.reason = finding.reason.clone().into_owned();
                }
                decision.findings.push(finding);
            }
        } else if kind == Kind::Reply && !seen.malformed {
            decision.ban = self.learn(seen, now, counters, in_transaction);
        }
        // Trusted networks stand on no list; what belongs to a call goes on.
        if !source.trusted && kind != Kind::Reply && !in_dialog {
            watched = self.unwanted(&mut decision, source, watched);
        }
        if decision.verdict == Verdict::Scrub {
            self.scrub(seen, &mut decision);
        }
        if seen.message.method == b"ACK" && decision.verdict == Verdict::Reject {
            (decision.verdict, decision.answer) = (Verdict::Drop, Answer::NONE);
        }
        // What the server's parser refused is gone, whatever the mode.
        decision.enforced = self.enforces(source) && !watched || unparsable || decision.verdict == Verdict::Allow;
        if kind != Kind::Reply && !source.trusted && self.policy.limits.enabled {
            self.count(&mut decision, seen, source, now, counters, in_dialog);
        }
        if !self.policy.accounts.is_empty() {
            self.of_account(&mut decision, seen, source, now, counters, in_transaction, in_dialog);
        }
        if kind == Kind::Request && !self.policy.destinations.is_empty() {
            self.called(&mut decision, seen, source, now, counters, in_dialog);
        }
        if kind == Kind::Request && !source.trusted {
            self.disgrace(&decision, source, counters);
        }
        decision
    }

    /// Where a call goes, of one that is not refused already. Nobody is banned for it: phones dial what people press.
    fn called(
        &self,
        decision: &mut Decision<'_>,
        seen: &Seen<'_>,
        source: &Source,
        now: u64,
        counters: &impl Counters,
        in_dialog: bool,
    ) {
        let destinations = &self.policy.destinations;
        if seen.message.method == b"BYE" && in_dialog {
            destinations.ended(dialog_identity(seen), now, counters);
        }
        let refused = decision.verdict.ends() && decision.enforced;
        if seen.message.method != b"INVITE" || in_dialog || seen.malformed || refused {
            return;
        }
        if let Some(objection) = destinations.judge(seen, source, now, counters) {
            let enforced = objection.enforce && self.enforces(source);
            let finding = objected(
                destinations::RULES[objection.rule],
                destinations::FAMILY,
                "request_uri",
                objection.reason,
            );
            self.object(decision, finding, enforced, Answer::new(403, "Destination Not Allowed"));
        }
    }

    /// What is counted of an account: at an answer what the backend said of it, at a request what speaks against it.
    #[allow(clippy::too_many_arguments)]
    fn of_account(
        &self,
        decision: &mut Decision<'_>,
        seen: &Seen<'_>,
        source: &Source,
        now: u64,
        counters: &impl Counters,
        in_transaction: &dyn Fn() -> Option<bool>,
        in_dialog: bool,
    ) {
        if seen.malformed || decision.verdict.ends() && decision.enforced {
            return;
        }
        let accounts = &self.policy.accounts;
        match seen.message.kind {
            Kind::Reply => accounts.answered(seen, now, counters, in_transaction),
            Kind::Request if !source.trusted && !matches!(seen.message.method, b"ACK" | b"CANCEL" | b"BYE") => {
                if let Some(objection) = accounts.judge(seen, in_dialog, source, now, counters) {
                    let enforced = objection.enforce && self.enforces(source);
                    let rule = accounts::RULES[objection.rule];
                    let finding = objected(rule, accounts::FAMILY, "authorization", objection.reason);
                    self.object(decision, finding, enforced, Answer::new(403, "Account Limit Reached"));
                }
            }
            _ => {}
        }
    }

    /// Refuses what was let through, or where that is only watched, notes it.
    fn object<'a>(&self, decision: &mut Decision<'a>, finding: Finding<'a>, enforced: bool, answer: Answer) {
        let enforced = enforced && !self.policy.is_observed(finding.rule);
        if decision.verdict == Verdict::Allow || enforced {
            decision.verdict = Verdict::Reject;
            decision.enforced = enforced;
            decision.reason = finding.reason.clone().into_owned();
            decision.answer = answer;
            decision.replacement = None;
        }
        decision.findings.push(finding);
    }

    /// Decides on what is not SIP but HTTP: a handshake of WebSocket, or for the host's `xhttp`. It is not looked into.
    fn http<'a>(&self, seen: &mut Seen<'a>, source: &Source, now: u64, counters: &impl Counters) -> Decision<'a> {
        seen.findings.clear();
        seen.message.method = HTTP;
        let (mut decision, _) = self.weighed(seen, false);
        if source.trusted || !self.policy.limits.enabled {
            return decision;
        }
        if let Some(excess) = self.policy.limits.http(source, now, counters, &mut decision.counts) {
            // An answer would be SIP, which no browser reads.
            decision.verdict = Verdict::Drop;
            decision.reason = excess.reason();
            decision.enforced = self.enforces(source) && !self.policy.is_observed(excess.rule());
            decision.findings.push(of_limit(&excess));
        }
        decision
    }

    /// Whether decisions on this source are carried out: its network's `mode`, or the policy's.
    fn enforces(&self, source: &Source) -> bool {
        source.enforced.unwrap_or(self.policy.enforce)
    }

    /// The verdict on what the rules found, and whether it is one of rules that are only watched.
    fn weighed<'a>(&self, seen: &mut Seen<'a>, unparsable: bool) -> (Decision<'a>, bool) {
        let mut watched = false;
        let mut findings = std::mem::take(&mut seen.findings);
        self.policy.except(&seen.message, &mut findings);
        let mut decision = Decision {
            verdict: Verdict::Allow,
            enforced: true,
            answer: Answer::NONE,
            reason: String::new(),
            findings,
            counts: Counts::new(),
            ban: None,
            replacement: None,
        };
        if !decision.findings.is_empty() {
            let kind = seen.message.kind;
            let mut weighed = scoring::weigh(&self.policy, kind, &decision.findings);
            if weighed.verdict != Verdict::Allow && !self.policy.observed.is_empty() {
                // What is left without the rules that are only watched is done; where that is nothing, what they would have
                // done is logged.
                let real = scoring::weigh(&self.policy, kind, &self.heeded(&decision.findings));
                if real.verdict == Verdict::Allow {
                    watched = true;
                } else {
                    weighed = real;
                }
            }
            (decision.verdict, decision.answer, decision.reason) = (weighed.verdict, weighed.answer, weighed.reason);
        }
        let hopeless = decision.verdict == Verdict::Reject && seen.malformed && !structure::answerable(&seen.message);
        if unparsable || hopeless {
            (decision.verdict, decision.answer) = (Verdict::Drop, Answer::NONE);
        }
        (decision, watched)
    }

    /// The findings of rules that are not only watched.
    fn heeded<'a>(&self, findings: &[Finding<'a>]) -> Vec<Finding<'a>> {
        let heeded = findings.iter().filter(|finding| !self.policy.is_observed(finding.rule));
        heeded.cloned().collect()
    }

    /// What lists from outside, and the policy on countries and operators, say of a source, beside what was found. Returns whether
    /// the verdict is only watched.
    fn unwanted(&self, decision: &mut Decision<'_>, source: &Source, mut watched: bool) -> bool {
        let listed = source.listed().map(|listed| {
            let reason = format!("the source is on the list {}: {}", listed.feed, listed.entry);
            (LISTED, listed.action, reason)
        });
        let barred = source
            .barred()
            .map(|barred| (BARRED, barred.action, barred.reason.clone()));
        for (rule, action, reason) in listed.into_iter().chain(barred) {
            let only_watched = self.policy.is_observed(rule);
            let refused = decision.verdict.ends() && !watched;
            let finding = unwanted(rule, reason);
            if action != Listing::Note && !refused && !(only_watched && decision.verdict != Verdict::Allow) {
                (decision.verdict, decision.answer) = match action {
                    Listing::Drop => (Verdict::Drop, Answer::NONE),
                    _ => (Verdict::Reject, Answer::FORBIDDEN),
                };
                decision.reason = finding.reason.clone().into_owned();
                watched = only_watched;
            }
            decision.findings.push(finding);
        }
        watched
    }

    /// Makes the new bytes; a request in which something is left is refused: where grammar is broken, a placeholder may make
    /// another part of what stands beside it.
    fn scrub(&self, seen: &Seen<'_>, decision: &mut Decision<'_>) {
        let removable = decision.findings.iter().filter(|finding| finding.removable);
        let spans = removable.map(|finding| finding.span).chain(seen.more.iter().copied());
        let made = detect::scrub::scrub(seen.message.raw, spans.collect());
        if seen.message.kind == Kind::Request {
            let mut left = self.engine.look(&made, false, &mut Scratch::default());
            self.policy.except(&left.message, &mut left.findings);
            let left = scoring::weigh(&self.policy, Kind::Request, &self.heeded(&left.findings));
            if left.verdict != Verdict::Allow {
                (decision.verdict, decision.answer) = (Verdict::Reject, Answer::FORBIDDEN);
                return;
            }
        }
        decision.replacement = Some(made);
    }

    /// An INVITE without an offer is legal (RFC 3261 13.2.1), and what fuzzers send.
    fn bodiless<'a>(&self, seen: &Seen<'a>, source: &Source, in_dialog: bool) -> Option<Finding<'a>> {
        let message = &seen.message;
        if message.method != b"INVITE" || self.policy.bodiless == Bodiless::Allow || structure::has_body(message) {
            return None;
        }
        if source.trusted || in_dialog {
            return None;
        }
        if self.policy.bodiless == Bodiless::RejectInitial && dialog::to_tag(message).is_some() {
            return None;
        }
        Some(Finding {
            rule: CONTENT_LENGTH_ZERO,
            family: "content_length_zero",
            score: 5,
            field: Cow::Borrowed("content-length"),
            reason: Cow::Borrowed("an INVITE without a body, outside any dialog that was seen answered"),
            excerpt: Cow::Borrowed(b""),
            span: Span::default(),
            part: PartKind::Text,
            removable: false,
        })
    }
}
