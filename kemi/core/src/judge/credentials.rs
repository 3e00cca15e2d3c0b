//! Tells refused credentials from a first challenge, and credentials of a source from forged ones.

use super::Scope;
use super::counters::Counters;
use crate::engine::Seen;
use crate::networks::Networks;
use crate::sip::{Message, dialog};
use crate::sources::Source;
use crate::state::earned::name_of;
use crate::state::region::SECRET;

/// Seconds for which a nonce is remembered; servers' nonces live for 30 to 300 s.
const NONCE_LIFE: u64 = 300;

/// Proofs that a source is where it says: an accepted registration, an acknowledged call.
const REGISTERED: &str = "registration";
const CALLED: &str = "call";

/// Seconds that a transaction lives (RFC 3261 17.1.2.2, timer F).
const TRANSACTION: u64 = 32;

/// What is remembered of credentials: who sent them is not shown, or is.
const CLAIMED: u32 = 1;
const PROVEN: u32 = 2;
const PROVEN_IN_A_BROWSER: u32 = 3;

/// What a ban may shut out that rests on refused credentials, by what `refused` told of them.
pub fn scope(refused: u32) -> Scope {
    match refused {
        PROVEN => Scope::All,
        PROVEN_IN_A_BROWSER => Scope::WebSockets,
        _ => Scope::Datagrams,
    }
}

/// Whether an answer may mean that credentials were refused (RFC 3261 21.4.2, 21.4.4, 21.4.8).
pub fn is_refusal(status: u16) -> bool {
    matches!(status, 401 | 403 | 407)
}

fn transaction(seen: &Seen<'_>) -> Option<u64> {
    let (call_id, number) = dialog::transaction(&seen.message)?;
    Some(SECRET.identity(&[call_id, number]))
}

fn nonce_of(nonce: &[u8], source: &Source) -> u64 {
    SECRET.identity(&[nonce, source.key().as_bytes()])
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
    let proven = source.connected || is_known(&offer, source, now, counters);
    let value = match proven {
        true if source.is_browser() => PROVEN_IN_A_BROWSER,
        true => PROVEN,
        false => CLAIMED,
    };
    counters.mark(transaction, value, now);
    if proven && seen.message.method == b"REGISTER" {
        counters.mark(registration(transaction), name_of(source.key()), now);
    }
}

/// Whether the nonce of these credentials had been sent to this very source.
fn is_known(offer: &dialog::Offer<'_>, source: &Source, now: u64, counters: &impl Counters) -> bool {
    let nonce = offer.nonce.as_deref();
    nonce.is_some_and(|nonce| counters.marked(nonce_of(nonce, source), now, NONCE_LIFE) > 0)
}

/// Whether a request carries credentials that answer a challenge which had been sent to its source.
pub fn answers_a_challenge(message: &Message<'_>, source: &Source, now: u64, counters: &impl Counters) -> bool {
    dialog::credentials(message).is_some_and(|offer| is_known(&offer, source, now, counters))
}

fn registration(transaction: u64) -> u64 {
    SECRET.identity(&[b"registration", &transaction.to_be_bytes()])
}

fn call(dialog: u64) -> u64 {
    SECRET.identity(&[b"call", &dialog.to_be_bytes()])
}

/// A registration was accepted: where its credentials answered a challenge that had gone to its source, that has earned trust.
pub fn accepted(
    seen: &Seen<'_>,
    networks: &Networks,
    now: u64,
    counters: &impl Counters,
    in_transaction: &dyn Fn() -> Option<bool>,
) {
    let Some(transaction) = transaction(seen) else { return };
    let name = counters.marked(registration(transaction), now, TRANSACTION);
    if name == 0 || in_transaction() != Some(true) {
        return;
    }
    let Some((ip, port)) = dialog::requester(&seen.message) else {
        return;
    };
    // The answer goes to where the request came from; a Via that says another thing earns nothing.
    let source = networks.source(&ip, port, "udp");
    if name_of(source.key()) == name {
        counters.earn(source.key(), REGISTERED, now);
    }
}

/// A call was answered, and the answer goes to `caller`.
pub fn answered(dialog: u64, caller: &Source, now: u64, counters: &impl Counters) {
    counters.mark(call(dialog), name_of(caller.key()), now);
}

/// An ACK knows the tag of an answer: where that went to its source, the source has earned trust.
pub fn acknowledged(dialog: u64, source: &Source, now: u64, counters: &impl Counters) {
    let name = name_of(source.key());
    if counters.marked(call(dialog), now, TRANSACTION) == name {
        counters.earn(source.key(), CALLED, now);
    }
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
