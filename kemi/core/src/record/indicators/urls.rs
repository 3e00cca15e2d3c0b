//! URLs in a payload, and their hosts.

use super::addresses::is_address;
use crate::record::text::{begins_word, is_space, part, run, stands};

const SCHEMES: [&str; 9] = ["http", "https", "ftp", "tftp", "ldap", "ldaps", "rmi", "dns", "iiop"];

/// `scheme "://" 3*200(any but space and what ends a URL in a shell, script or mark-up)`
pub(super) fn urls(text: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let mut done = 0;
    let mut from = 0;
    while let Some(position) = text.get(from..).and_then(|rest| rest.find("://")) {
        let colon = from + position;
        from = colon + 3;
        let start = SCHEMES.iter().filter_map(|scheme| {
            let start = colon.checked_sub(scheme.len())?;
            (start >= done && stands(text, start, scheme) && begins_word(text, start)).then_some(start)
        });
        let Some(start) = start.min() else { continue };
        let (end, count) = run(text, from, 200, |c| {
            !matches!(c, '\'' | '"' | '<' | '>' | '\\' | ')' | '}' | '|' | ';' | '`') && !is_space(c)
        });
        if count >= 3 {
            found.push(part(text, start, end));
            done = end;
            from = end;
        }
    }
    found
}

/// The host of a URL, where it is a name.
pub(super) fn host(url: &str) -> Option<&str> {
    let rest = url.split_once("://").map_or("", |(_, rest)| rest);
    let authority = rest.split('/').next().unwrap_or_default();
    let host = authority
        .rsplit('@')
        .next()
        .unwrap_or_default()
        .split(':')
        .next()
        .unwrap_or_default();
    (!host.is_empty() && !host.starts_with('[') && !is_address(host)).then_some(host)
}
