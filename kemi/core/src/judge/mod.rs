//! Decides on a message that was looked at: what its findings weigh by the policy, what its source has sent, what follows.

pub mod accounts;
pub mod counters;
mod credentials;
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
use crate::sip::{Kind, PartKind, Span, dialog, http};
use crate::sources::{Networks, Source};
use crate::state::region::SECRET;
use crate::structure;
use counters::{Counters, WINDOW};
use limits::{Counts, Excess};
use policy::{Bodiless, Policy};

/// What becomes of a message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Verdict {
    #[default]
    Allow,
    Scrub,
    Reject,
    Drop,
}

/// Names of the verdicts, in their order.
pub const VERDICTS: [&str; 4] = ["allow", "scrub", "reject", "drop"];

impl Verdict {
    pub fn name(self) -> &'static str {
        VERDICTS[self as usize]
    }

    /// Whether the message ends here.
    pub fn ends(self) -> bool {
        matches!(self, Verdict::Reject | Verdict::Drop)
    }
}

/// The answer of a reject: status and reason phrase.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// 0: none is given.
    pub status: u16,
    pub phrase: &'static str,
    /// Seconds after which to try again; 0: nothing is said of that.
    pub retry_after: u64,
}

impl Answer {
    pub const NONE: Answer = Answer::new(0, "");
    pub const FORBIDDEN: Answer = Answer::new(403, "Forbidden");

    pub const fn new(status: u16, phrase: &'static str) -> Self {
        Self {
            status,
            phrase,
            retry_after: 0,
        }
    }
}

/// What a ban shuts out: never more than the evidence can have come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    All,
    /// Anybody can send datagrams in another's name.
    Datagrams,
    /// Any web page can open a WebSocket in its visitor's name.
    WebSockets,
}

impl Scope {
    /// As it stands in the table of bans, and at the end of a counter's cell.
    pub fn letter(self) -> &'static str {
        match self {
            Scope::All => "a",
            Scope::Datagrams => "u",
            Scope::WebSockets => "w",
        }
    }

    /// What a source's messages can tell against.
    pub fn of(source: &Source) -> Scope {
        match source.cell.as_bytes().last() {
            Some(b'u') => Scope::Datagrams,
            Some(b'w') => Scope::WebSockets,
            _ => Scope::All,
        }
    }

    /// Whether somebody else may have sent what a ban rests on.
    pub fn is_forgeable(self) -> bool {
        self != Scope::All
    }
}

/// A source to be shut out, for the `offences`-th time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ban {
    pub key: String,
    pub seconds: u64,
    pub rule: &'static str,
    pub offences: u64,
    pub scope: Scope,
    pub reason: String,
}

/// What to do with one message, and all that the log needs to say why.
#[derive(Debug)]
pub struct Decision<'a> {
    /// Carried out where `enforced` is true; otherwise it is what would have been done.
    pub verdict: Verdict,
    pub enforced: bool,
    pub answer: Answer,
    pub reason: String,
    pub findings: Vec<Finding<'a>>,
    pub counts: Counts,
    pub ban: Option<Ban>,
    /// The new bytes of a scrub.
    pub replacement: Option<Vec<u8>>,
}

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

/// A limit that was passed as a finding.
fn of_limit(excess: &Excess) -> Finding<'static> {
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
        let listed = source.listed.as_ref().map(|listed| {
            let reason = format!("the source is on the list {}: {}", listed.feed, listed.entry);
            (LISTED, listed.action, reason)
        });
        let barred = (source.barred.as_ref()).map(|barred| (BARRED, barred.action, barred.reason.clone()));
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

    /// What an answer tells: a dialog was set up, a call attempt failed, or credentials were refused.
    fn learn(
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

    fn count(
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
