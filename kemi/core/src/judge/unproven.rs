//! Tells which messages of strangers are not even looked at in the last step of shedding.

use super::counters::Counters;
use super::{Answer, Decision, Judge, Verdict, credentials};
use crate::judge::limits::Counts;
use crate::sip::{Kind, Message, dialog};
use crate::sources::Source;
use crate::state::region::SECRET;

/// What such messages are counted under.
pub const RULE: &str = "shed-unproven";

/// Methods that start nothing: what an ACK, a BYE or a CANCEL ends or confirms was begun before.
const GOES_ON: [&[u8]; 6] = [b"ACK", b"BYE", b"CANCEL", b"INFO", b"PRACK", b"UPDATE"];

/// Seconds after which a refused sender may try again: a step holds for one second, or for two.
const RETRY_AFTER: u64 = 2;

impl Judge {
    /// The refusal of a request that starts something and shows nothing for itself; `None` for all others, which are served.
    ///
    /// Proof is a trusted network, earned trust, a dialog that was seen answered, or credentials whose nonce had been sent to this
    /// very source: whoever forges datagrams can't know it. A UDP client sends again by itself, so datagrams get no answer
    /// (RFC 3261 17.1.1.2); over connections nothing is sent again, so there a 503 says when to try.
    pub fn unproven<'a>(
        &self,
        message: &Message<'_>,
        source: &Source,
        now: u64,
        counters: &impl Counters,
    ) -> Option<Decision<'a>> {
        let is_served = message.kind != Kind::Request
            || source.trusted
            || !self.enforces(source)
            || GOES_ON.contains(&message.method)
            || self.has_earned(source, now, counters)
            || credentials::answers_a_challenge(message, source, now, counters)
            || dialog::identity(message).is_some_and(|parts| {
                counters.knows_dialog(SECRET.identity(&[parts.call_id, parts.one, parts.other]), now)
            });
        if is_served {
            return None;
        }
        let (verdict, answer) = if source.connected {
            let answer = Answer {
                retry_after: RETRY_AFTER,
                ..Answer::new(503, "Service Unavailable")
            };
            (Verdict::Reject, answer)
        } else {
            (Verdict::Drop, Answer::NONE)
        };
        Some(Decision {
            verdict,
            enforced: true,
            answer,
            reason: String::new(),
            findings: Vec::new(),
            counts: Counts::new(),
            ban: None,
            replacement: None,
        })
    }
}
