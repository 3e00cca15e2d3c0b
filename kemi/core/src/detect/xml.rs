//! Finds what makes a reader of XML fetch or swell: declared entities, external definitions, inclusions.

use std::borrow::Cow;

use memchr::memmem;

use crate::sip::grammar::{is_any_space, trim_start};

/// Bytes of a body that are looked at in an encoding of two bytes a character.
const MAX_WIDE: usize = 16 << 10;

/// Whether a body that may be XML declares an entity, includes a document, or names a definition elsewhere (CWE-611, CWE-776).
///
/// Presence and conference documents (RFC 3863, 4575) need none of these. XHTML names its definition by a public identifier.
pub fn is_external(body: &[u8]) -> bool {
    let body = narrow(body);
    let mut rest = &body[..];
    while let Some(at) = memmem::find(rest, b"<!") {
        rest = &rest[at + 2..];
        if begins(rest, b"entity") {
            return true;
        }
        if begins(rest, b"doctype") && names_elsewhere(&rest[7..rest.len().min(512)]) {
            return true;
        }
    }
    memmem::find(&body, b"2001/XInclude").is_some()
}

fn begins(text: &[u8], word: &[u8]) -> bool {
    text.get(..word.len())
        .is_some_and(|start| start.eq_ignore_ascii_case(word))
}

/// doctypedecl ::= '<!DOCTYPE' S Name (S ExternalID)? S? ('[' intSubset ']' S?)? '>'   (XML 1.0 2.8)
fn names_elsewhere(declaration: &[u8]) -> bool {
    let declaration = trim_start(declaration, is_any_space);
    if begins(declaration, b"html") {
        return false;
    }
    let end = memchr::memchr2(b'>', b'[', declaration).unwrap_or(declaration.len());
    let declaration = &declaration[..end];
    let mut words = declaration.windows(6);
    words.any(|word| word.eq_ignore_ascii_case(b"system")) && memchr::memchr2(b':', b'/', declaration).is_some()
}

/// UTF-16 without the bytes that are zero in it, so that ASCII is as it would be in UTF-8.
fn narrow(body: &[u8]) -> Cow<'_, [u8]> {
    let is_wide = matches!(
        body,
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] | [0, b'<', ..] | [b'<', 0, ..]
    );
    if !is_wide {
        return Cow::Borrowed(body);
    }
    let wide = &body[..body.len().min(MAX_WIDE)];
    Cow::Owned(wide.iter().copied().filter(|&byte| byte != 0).collect())
}

/// Whether a body may be read as XML: its type says so, or is of many parts, or it begins like it.
pub fn may_be(kind: &[u8], body: &[u8]) -> bool {
    let named = |word: &[u8]| kind.windows(word.len()).any(|found| found.eq_ignore_ascii_case(word));
    let body = trim_start(body, is_any_space);
    named(b"xml") || named(b"multipart/") || matches!(body.first(), Some(b'<' | 0xff | 0xfe | 0xef | 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entities_and_what_stands_elsewhere_are_found() {
        let attack = "<?xml version='1.0'?><!DOCTYPE x [<!ENTITY e SYSTEM 'file:///etc/passwd'>]><x>&e;</x>";
        let wide: Vec<u8> = attack.bytes().flat_map(|byte| [byte, 0]).collect();
        for body in [
            attack.as_bytes(),
            &wide,
            b"<!DOCTYPE x SYSTEM \"http://192.0.2.66/x.dtd\"><x/>",
            b"<!doctype x PUBLIC 'a' SYSTEM 'file:///x'>",
            b"<x xmlns:xi='http://www.w3.org/2001/XInclude'><xi:include href='file:///etc/passwd'/></x>",
        ] {
            assert!(is_external(body), "{}", String::from_utf8_lossy(body));
        }
        for body in [
            "<?xml version='1.0'?><presence xmlns='urn:ietf:params:xml:ns:pidf' entity='pres:a@b'/>",
            "<!DOCTYPE html PUBLIC '-//W3C//DTD XHTML 1.0 Strict//EN' 'http://www.w3.org/TR/xhtml1/DTD/xhtml1-strict.dtd'>",
            "<!DOCTYPE cpl SYSTEM 'cpl.dtd'><cpl/>",
            "<!DOCTYPE cpl PUBLIC '-//IETF//DTD RFC3880 CPL 1.0//EN' 'cpl.dtd'>",
            "",
            "<!",
        ] {
            assert!(!is_external(body.as_bytes()), "{body}");
        }
    }
}
