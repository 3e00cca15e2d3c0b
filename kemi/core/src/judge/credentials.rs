//! Tells refused credentials from a first challenge, and credentials of a source from forged ones.

use super::counters::Counters;
use crate::engine::Seen;
use crate::sip::dialog;
use crate::sources::Source;
use crate::state::region::SECRET;

/// Seconds for which a nonce is remembered; servers' nonces live for 30 to 300 s.
const NONCE_LIFE: u64 = 300;

/// Seconds that a transaction lives (RFC 3261 17.1.2.2, timer F).
const TRANSACTION: u64 = 32;

/// What is remembered of credentials: who sent them is not shown, or is.
const CLAIMED: u32 = 1;
pub const PROVEN: u32 = 2;

/// Whether an answer may mean that credentials were refused (RFC 3261 21.4.2, 21.4.4, 21.4.8).
pub fn is_refusal(status: u16) -> bool {
    matches!(status, 401 | 403 | 407)
}

fn transaction(seen: &Seen<'_>) -> Option<u64> {
    let (call_id, number) = dialog::transaction(&seen.message)?;
    Some(SECRET.identity(&[call_id, number]))
}

fn nonce_of(nonce: &[u8], source: &Source) -> u64 {
    SECRET.identity(&[nonce, source.key.as_bytes()])
}

/// Remembers that a request carries credentials, and whether they come from where they say.
///
/// They do over a connection, and where their nonce had been sent to this very source: whoever forges datagrams does not see
/// what is answered. That holds as far as the backend gives each client nonces of its own.
pub fn offered(seen: &Seen<'_>, source: &Source, now: u64, counters: &impl Counters) {
    let Some(offer) = dialog::credentials(&seen.message) else {
        return;
    };
    let Some(transaction) = transaction(seen) else { return };
    let known = |nonce: &[u8]| counters.marked(nonce_of(nonce, source), now, NONCE_LIFE) > 0;
    let proven = source.connected || offer.nonce.as_deref().is_some_and(known);
    counters.mark(transaction, if proven { PROVEN } else { CLAIMED }, now);
}

/// Whether an answer refuses credentials: 0, `CLAIMED` or `PROVEN`. Remembers the nonce of a challenge.
///
/// A 401 or 407 to a request without credentials is a first challenge, and one with `stale=true` (RFC 7616 3.3) says that the
/// password was right.
pub fn refused(seen: &Seen<'_>, source: &Source, now: u64, counters: &impl Counters) -> u32 {
    if !is_refusal(seen.message.status) {
        return 0;
    }
    if let Some(challenge) = dialog::challenge(&seen.message) {
        if let Some(nonce) = challenge.nonce.as_deref() {
            counters.mark(nonce_of(nonce, source), 1, now);
            if challenge.stale {
                return 0;
            }
        }
    }
    transaction(seen).map_or(0, |transaction| counters.marked(transaction, now, TRANSACTION))
}
