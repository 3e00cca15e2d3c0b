//! Counts what a message says of its source: the request it is, the answer it was given, what was found in it.

use std::borrow::Cow;

use super::counters::{Counters, WINDOW};
use super::limits::{Counts, Excess};
use super::{Answer, Ban, Decision, Judge, Verdict, credentials, dialog_identity, standing};
use crate::detect::Finding;
use crate::engine::Seen;
use crate::sip::{Kind, PartKind, Span, dialog};
use crate::sources::Source;
use crate::structure;

/// What one message can weigh against its source, twice what rejects it: four rules that fire on one odd name are one odd name.
const MAX_WEIGHT: u64 = 10;

/// Final answers that tell against whoever sent the INVITE: not permitted, not found, no such number, malformed. Challenges
/// (401, 407), busy, no answer and cancelled calls are everyday life.
fn is_failure(status: u16) -> bool {
    matches!(
        status,
        400 | 403 | 404 | 405 | 406 | 410 | 414 | 416 | 420 | 484 | 485 | 501 | 505 | 513 | 604 | 606
    )
}

/// A limit that was passed as a finding.
pub(super) fn of_limit(excess: &Excess) -> Finding<'static> {
    Finding {
        rule: excess.rule(),
        family: "limits",
        score: 5,
        field: Cow::Borrowed("source"),
        reason: Cow::Owned(excess.reason()),
        excerpt: Cow::Borrowed(b""),
        span: Span::default(),
        part: PartKind::Text,
        removable: false,
    }
}

impl Judge {
    /// What an answer tells: a dialog was set up, a call attempt failed, or credentials were refused.
    pub(super) fn learn(
        &self,
        seen: &Seen<'_>,
        now: u64,
        counters: &impl Counters,
        in_transaction: &dyn Fn() -> Option<bool>,
    ) -> Option<Ban> {
        let message = &seen.message;
        let status = message.status;
        let is_invite = message.method == b"INVITE";
        if (200..300).contains(&status) {
            let identity = if is_invite { dialog_identity(seen) } else { 0 };
            if identity != 0 && in_transaction() != Some(false) {
                if !self.policy.destinations.is_empty() && in_transaction() == Some(true) {
                    self.policy.destinations.answered(seen, identity, now, counters);
                }
                counters.remember_dialog(identity, now);
                if let Some((ip, port)) = dialog::requester(message) {
                    credentials::answered(identity, &self.networks.source(&ip, port, "udp"), now, counters);
                }
            } else if message.method == b"REGISTER" {
                credentials::accepted(seen, &self.networks, now, counters, in_transaction);
            }
            return None;
        }
        let failed = is_invite && is_failure(status);
        if !self.policy.limits.enabled || !(failed || credentials::is_refusal(status)) {
            return None;
        }
        // Only an answer of a transaction of ours: a forged one must not ban whom it names.
        let (ip, port) = dialog::requester(message)?;
        if in_transaction() != Some(true) {
            return None;
        }
        // By which transport the request came is not told by anything that its sender did not write.
        let source = self.networks.source(&ip, port, "udp");
        if source.trusted {
            return None;
        }
        let limits = &self.policy.limits;
        let refused = credentials::refused(seen, &source, now, counters);
        let mut excess = None;
        if refused > 0 {
            excess = limits.auth_failure(&source, credentials::scope(refused), now, counters);
        }
        if excess.is_none() && failed {
            excess = limits.suspicious(&source, now, counters, false, 0, &mut Counts::new());
        }
        self.ban(&seen.message, &source, &excess?, now, counters)
    }

    /// Counts a message with its source, and refuses it where that is too much.
    pub(super) fn count(
        &self,
        decision: &mut Decision<'_>,
        seen: &Seen<'_>,
        source: &Source,
        now: u64,
        counters: &impl Counters,
        in_dialog: bool,
    ) {
        let limits = &self.policy.limits;
        let mut excess = None;
        if seen.message.kind == Kind::Request {
            credentials::offered(seen, source, now, counters);
            // What is refused for itself uses up no calls of a customer in whose name somebody else may have sent it.
            let uses_none = decision.verdict.ends() && decision.enforced && self.is_spared(source, now, counters);
            if !uses_none {
                let (limit, count, over) = limits.request(seen, in_dialog, source, now, counters);
                if count > 0 {
                    decision.counts.push((limit, count));
                }
                excess = over;
            }
        }
        // A rule that is only watched counts for nothing; a policy or network that is only watched counts as it would, so
        // that the log shows what would have followed.
        let watched = !decision.enforced && self.enforces(source);
        if !watched && (seen.malformed || decision.verdict.ends()) {
            let attacks = decision
                .findings
                .iter()
                .filter(|finding| finding.family != structure::FAMILY);
            let weight = attacks
                .map(|finding| u64::from(finding.score))
                .sum::<u64>()
                .min(MAX_WEIGHT);
            let worse = limits.suspicious(source, now, counters, seen.malformed, weight, &mut decision.counts);
            excess = worse.or(excess);
        }
        if let Some(excess) = excess {
            self.over(decision, &excess, seen, source, now, counters);
        }
    }

    /// A limit was passed: what was let through before is refused, and the source perhaps banned.
    fn over(
        &self,
        decision: &mut Decision<'_>,
        excess: &Excess,
        seen: &Seen<'_>,
        source: &Source,
        now: u64,
        counters: &impl Counters,
    ) {
        let watched = self.policy.is_observed(excess.rule());
        decision.findings.push(of_limit(excess));
        decision.ban = if watched {
            None
        } else {
            self.ban(&seen.message, source, excess, now, counters)
        };
        let is_spared = !watched && self.bans(&seen.message, source, excess) && self.is_spared(source, now, counters);
        if decision.verdict.ends() && (decision.enforced || watched) || watched && decision.verdict == Verdict::Scrub {
            if is_spared {
                decision.reason.push_str(standing::SPARED);
            }
            return;
        }
        decision.enforced = self.enforces(source) && !watched;
        decision.reason = excess.reason();
        if is_spared {
            decision.reason.push_str(standing::SPARED);
        }
        decision.replacement = None;
        if self.policy.drop_excess || seen.message.method == b"ACK" {
            (decision.verdict, decision.answer) = (Verdict::Drop, Answer::NONE);
            return;
        }
        decision.verdict = Verdict::Reject;
        decision.answer = Answer::new(self.policy.excess_status, "Too Many Requests From Your Address");
        if self.policy.excess_status == 503 {
            // RFC 3261 21.5.4 has Retry-After for a 503; a 403 says not to try again.
            let left = WINDOW - now % WINDOW;
            decision.answer.retry_after = decision.ban.as_ref().map_or(left, |ban| ban.seconds);
        }
    }
}
