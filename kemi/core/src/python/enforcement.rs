//! Carries out what was decided on a message: replaced, banned, recorded and answered.

use pyo3::prelude::*;
use pyo3::types::PyBytes;

use super::guard::{Guard, PASS, REPLACE, STOP};
use crate::detect::Scratch;
use crate::engine::Seen;
use crate::judge::limits::Counts;
use crate::judge::pressure::Step;
use crate::judge::{self, Answer, Decision, Verdict};
use crate::python::account::{ERROR, Entry};
use crate::sip::{Kind, Message};
use crate::sources::Source;
use crate::state::clock;

/// When a message is decided on: seconds since the epoch, and of the steady clock.
#[derive(Clone, Copy)]
pub(super) struct Moment {
    pub wall: f64,
    pub steady: u64,
}

/// A scrubbed message that sipsieve.cfg puts in place.
pub(super) struct Scrubbed {
    pub raw: Vec<u8>,
    pub replacement: Vec<u8>,
    pub source: Source,
    pub enforced: bool,
    pub reason: String,
    pub counts: Counts,
    pub ban: Option<judge::Ban>,
    pub now: Moment,
}

impl Guard {
    /// Replaces, bans, records and answers, in this order: what was answered is in the log, whoever is killed when, and nothing
    /// that fails keeps a record from being written.
    #[allow(clippy::too_many_arguments)]
    pub(super) fn carry_out(
        &self,
        py: Python<'_>,
        decision: &mut Decision<'_>,
        seen: &Seen<'_>,
        source: &Source,
        now: Moment,
        by_route: bool,
        unparsable: bool,
        step: Step,
    ) -> i64 {
        if let Some(ban) = &decision.ban {
            self.impose(py, ban, now.wall);
        }
        if unparsable {
            self.account.decision(py, &entry(decision, source, &seen.message, now));
            return PASS;
        }
        if decision.enforced && decision.verdict == Verdict::Scrub {
            let made = decision.replacement.take().unwrap_or_default();
            let replaced = self.calls.replace.call1(py, (PyBytes::new(py, &made), by_route));
            let replaced = replaced.and_then(|code| code.extract::<i64>(py));
            match self.account.report(py, replaced) {
                Some(0) => {}
                Some(2) => {
                    let scrubbed = Scrubbed {
                        raw: seen.message.raw.to_vec(),
                        replacement: made,
                        source: source.clone(),
                        enforced: decision.enforced,
                        reason: std::mem::take(&mut decision.reason),
                        counts: std::mem::take(&mut decision.counts),
                        ban: decision.ban.take(),
                        now,
                    };
                    if let Ok(mut work) = self.work.try_borrow_mut() {
                        work.scrubbed = Some(scrubbed);
                    }
                    return REPLACE;
                }
                _ => {
                    unscrubbed(&mut decision.reason);
                    (decision.verdict, decision.answer) = instead(seen.message.kind);
                }
            }
        }
        let ends = decision.enforced && decision.verdict.ends();
        if ends && step >= Step::Silent {
            (decision.verdict, decision.answer) = (Verdict::Drop, Answer::NONE);
        }
        if ends && decision.answer.status > 0 && !self.answerable(py) {
            (decision.verdict, decision.answer) = (Verdict::Drop, Answer::NONE);
            decision.reason.push_str("; no answer could be built");
        }
        let entry = entry(decision, source, &seen.message, now);
        if ends && step >= Step::Folded {
            self.account.shed(py, &entry, step.min(Step::Silent));
        } else {
            self.account.decision(py, &entry);
        }
        if !ends {
            return PASS;
        }
        self.answer(py, decision.answer);
        STOP
    }

    /// Refuses what is not even looked at, and counts it first.
    pub(super) fn turn_away(
        &self,
        py: Python<'_>,
        mut decision: Decision<'_>,
        message: &Message<'_>,
        source: &Source,
        now: Moment,
    ) {
        if decision.answer.status > 0 && !self.answerable(py) {
            (decision.verdict, decision.answer) = (Verdict::Drop, Answer::NONE);
        }
        self.account
            .shed(py, &entry(&decision, source, message, now), Step::Unproven);
        self.answer(py, decision.answer);
    }

    /// What becomes of a scrubbed message whose bytes are in place, or could not be put there.
    pub(super) fn settle(&self, py: Python<'_>, scrubbed: Scrubbed, in_place: bool) -> i64 {
        let (verdict, mut answer) = instead(crate::sip::parse(&scrubbed.raw).kind);
        let refused = !in_place && verdict.ends();
        if !refused || !self.answerable(py) {
            answer = Answer::NONE;
        }
        self.settle_record(py, &scrubbed, in_place, answer);
        if !refused {
            return PASS;
        }
        self.answer(py, answer);
        STOP
    }

    pub(super) fn settle_record(&self, py: Python<'_>, scrubbed: &Scrubbed, in_place: bool, answer: Answer) {
        let seen = self.judge.engine.look(&scrubbed.raw, false, &mut Scratch::default());
        let mut verdict = Verdict::Scrub;
        let mut reason = scrubbed.reason.clone();
        if !in_place {
            verdict = instead(seen.message.kind).0;
            if verdict == Verdict::Reject && answer.status == 0 {
                verdict = Verdict::Drop;
            }
            unscrubbed(&mut reason);
        }
        self.account.decision(
            py,
            &Entry {
                now: scrubbed.now.wall,
                steady: scrubbed.now.steady,
                source: &scrubbed.source,
                action: verdict.name(),
                enforced: scrubbed.enforced,
                reason: reason.as_bytes(),
                status: answer.status,
                counts: &scrubbed.counts,
                ban: scrubbed.ban.as_ref(),
                findings: &seen.findings,
                message: &seen.message,
            },
        );
    }

    pub(super) fn failed_on(
        &self,
        py: Python<'_>,
        place: &str,
        message: &Message<'_>,
        passes: bool,
        status: u16,
        reason: &str,
    ) -> PyResult<()> {
        let source = self.meet(place)?;
        let status = if passes || status == 0 || !self.answerable(py) {
            0
        } else {
            status
        };
        self.account.decision(
            py,
            &Entry {
                now: clock::wall(),
                steady: clock::steady() as u64,
                source: &source,
                action: ERROR,
                enforced: true,
                reason: reason.as_bytes(),
                status,
                counts: &Counts::new(),
                ban: None,
                findings: &[],
                message,
            },
        );
        self.answer(py, Answer::new(status, "Service Unavailable"));
        Ok(())
    }
}

/// What becomes of a message whose bytes could not be replaced: a request is refused, a reply passes.
fn instead(kind: Kind) -> (Verdict, Answer) {
    match kind {
        Kind::Reply => (Verdict::Allow, Answer::NONE),
        _ => (Verdict::Reject, Answer::FORBIDDEN),
    }
}

fn unscrubbed(reason: &mut String) {
    reason.push_str("; could not be scrubbed");
}

pub(super) fn entry<'e, 'a>(
    decision: &'e Decision<'a>,
    source: &'e Source,
    message: &'e Message<'a>,
    now: Moment,
) -> Entry<'e, 'a> {
    Entry {
        now: now.wall,
        steady: now.steady,
        source,
        action: decision.verdict.name(),
        enforced: decision.enforced,
        reason: decision.reason.as_bytes(),
        status: decision.answer.status,
        counts: &decision.counts,
        ban: decision.ban.as_ref(),
        findings: &decision.findings,
        message,
    }
}
