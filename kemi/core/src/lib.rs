//! What sipsieve does to each SIP message: it is read, looked at, judged, counted and written down.
//!
//! Nothing here has a policy of its own: rules, thresholds and limits come from Python, which reads and checks them.
//! Without the feature `python` this is a plain library.

pub mod bulk;
pub mod detect;
pub mod engine;
pub mod feeds;
pub mod geo;
pub mod journal;
pub mod judge;
pub mod networks;
pub mod numbering;
pub mod patches;
#[cfg(test)]
mod random;
pub mod record;
pub mod sip;
pub mod sources;
pub mod state;
pub mod structure;

#[cfg(feature = "python")]
mod python;
