//! The one reader of SIP: bytes in, spans and names out. Bounded, tolerant, zero-copy.

pub mod model;

pub use model::{Defect, Field, Header, HeaderName, Kind, Last, Message, Part, PartKind, Span};
