//! Tells how strictly a part is read: whether it is a token, a name or free text, what a rule weighs there, and what it is called.

use super::rule::Rule;
use crate::sip::{HeaderName, Last, Part, PartKind, names};

/// What weighs less is too weak to take a name away.
pub const WEAK: u8 = 3;

/// Whether a part is a token, host or userinfo, and no free text: what looks like code there is code.
///
/// A value that others act on is never scrubbed, so it is measured as strictly as a token.
fn is_tight(part: &Part<'_>) -> bool {
    let token = matches!(
        part.kind,
        PartKind::Userinfo
            | PartKind::Password
            | PartKind::Host
            | PartKind::Port
            | PartKind::UriParameter
            | PartKind::UriHeader
            | PartKind::Parameter
            | PartKind::Name
            | PartKind::Method
    );
    if token && !part.quoted {
        return true;
    }
    // A device writes SDP's lines, hardly ever a person, and what stands in them is never taken out; but for a session's name.
    if part.header.has(names::CREDENTIALS) || part.field.header.id == names::SDP && !is_session_name(part) {
        return true;
    }
    part.kind != PartKind::DisplayName && part.header.has(names::ROUTED)
}

/// The longest name in a part that was not taken apart: of an address, a Via or the like that is beyond what is split.
pub fn longest(part: &Part<'_>, most: usize) -> usize {
    let header = part.header;
    let apart = header.has(names::ADDRESS) || matches!(header.id, names::VIA | names::REQUEST_URI);
    if part.value.len() <= most || part.kind != PartKind::Text || !apart {
        return 0;
    }
    let separates = |byte: &u8| matches!(byte, b';' | b',' | b'<' | b'>' | b'@' | b'"' | b'=' | b':' | b'?');
    part.value.split(separates).map(<[u8]>::len).max().unwrap_or_default()
}

/// What a part is called in a reason.
pub fn what(part: &Part<'_>) -> &'static str {
    match part.kind {
        PartKind::Host => "host",
        PartKind::Port => "port",
        PartKind::Userinfo => "user",
        PartKind::Password => "password",
        PartKind::Method => "method",
        PartKind::Parameter | PartKind::UriParameter => "parameter",
        _ => "value of this kind",
    }
}

pub fn is_name(part: &Part<'_>) -> bool {
    let HeaderName { id, .. } = part.header;
    matches!(
        part.kind,
        PartKind::DisplayName | PartKind::Userinfo | PartKind::Password | PartKind::Host
    ) || id == names::CALL_ID
        || matches!(part.field.last, Last::Parameter(name) if name.eq_ignore_ascii_case(b"tag") || name.eq_ignore_ascii_case(b"branch"))
}

/// Whether a part is a session's name or what is said of it (RFC 8866 5.3, 5.4): for people to read, and nobody routes on it.
pub fn is_session_name(part: &Part<'_>) -> bool {
    part.field.header.id == names::SDP && matches!(part.field.last, Last::Named("s" | "i"))
}

/// Whether programs of one maker or people may have written a part whatever they like: a header field of no standard, a text body.
pub fn is_made(part: &Part<'_>) -> bool {
    match part.kind {
        PartKind::Text => part.header.id == names::OTHER,
        PartKind::Body => part.field.header.id == names::BODY,
        _ => false,
    }
}

/// What a rule weighs in that part.
///
/// At level 1 text gets the benefit of the doubt, and what stands lawfully in a field of no standard has a weight of its own. At
/// level 2 what a rule is sure of weighs as much there as in a token, at level 3 whatever a rule finds does: such a name is then
/// refused, not scrubbed.
pub fn score(rule: &Rule, part: &Part<'_>, paranoia: u8) -> u8 {
    let spec = &rule.spec;
    if is_tight(part) {
        return spec.tight;
    }
    if let (true, 1, Some(made)) = (is_made(part), paranoia, spec.made) {
        return made;
    }
    let strict = paranoia >= 3 || (paranoia == 2 && spec.sure);
    if strict && spec.score > 0 {
        spec.score.max(spec.tight)
    } else {
        spec.score
    }
}
