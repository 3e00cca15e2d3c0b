//! The one reader of SIP: bytes in, spans and names out. Bounded, tolerant, zero-copy.

pub mod dialog;
pub mod grammar;
pub mod http;
pub mod model;
pub mod names;
pub mod parser;
pub mod parts;
pub mod sdp;

pub use model::{Defect, Field, Header, Kind, Last, Message, Part, PartKind, Span};
pub use names::HeaderName;
pub use parser::{parse, unfold};
