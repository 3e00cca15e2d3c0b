//! The lines of the decision log, from one definition of their fields.
//!
//! A line is JSON in printable ASCII: what a sender wrote is escaped, cut, without digest secrets, and masked where
//! that is asked for. What the guard knows by itself stands before it.

mod decision;
pub mod fields;
pub mod fingerprint;
pub mod indicators;
pub mod json;
mod mask;
mod replay;
mod summary;
mod text;
pub mod throttle;
mod time;

pub use decision::{Ban, Decision, Finding, MAX_FINDINGS, MAX_VALUE, Recorder, Settings, UNKNOWN};
pub use mask::Mask;
pub use summary::Summary;
pub use time::Clock;
