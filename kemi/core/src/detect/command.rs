//! Tells what a shell would run or open in a value whose grammar has no room for prose: a user, a URI's parameter, a line of a
//! session. By how a command line is made (POSIX.1-2024, XCU 2.10), whatever its words are called.

use super::kinds::{Kinds, of_class as class};
use super::shape::is_whole;
use crate::sip::{Last, Part, PartKind, names};

/// Marks without one of which no value is a command.
pub const MARKS: Kinds = class(b";|&<>\n");

/// How much of a word is read: longer ones than paths are no programs, and separators in a row cost little.
const WORD: usize = 64;
const SPACES: usize = 8;

/// Of a number, and of the unit behind it.
const NUMBER: usize = 32;
const UNIT: usize = 3;

/// What stands lawfully beside a separator differs from place to place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// A user or password.
    User,
    /// A parameter of a URI, name or value: a label may hold an ampersand (`R&D team`) there, a condition a number (`prio>5`).
    Parameter,
    /// A URI, key or origin of a session description (RFC 8866 5.2, 5.5, 5.12), none of which has words.
    Line,
}

impl Place {
    /// Where a part stands; `None` where a command can't be told from prose.
    pub fn of(part: &Part<'_>) -> Option<Self> {
        match part.kind {
            PartKind::Userinfo | PartKind::Password => Some(Self::User),
            PartKind::UriParameter if !is_whole(part) => Some(Self::Parameter),
            PartKind::Body if part.field.header.id == names::SDP => match part.field.last {
                Last::Named("u" | "k" | "o") => Some(Self::Line),
                _ => None,
            },
            _ => None,
        }
    }

    /// Whether a backend undoes escapes before it uses such a value: URLs of a session keep theirs.
    pub const fn is_decoded(self) -> bool {
        !matches!(self, Self::Line)
    }

    /// The structural rule that says so.
    pub const fn rule(self) -> &'static str {
        match self {
            Self::User => "user-command",
            Self::Parameter => "parameter-command",
            Self::Line => "session-command",
        }
    }
}

/// Whether a shell would run a program that a value names (a separator, a word, and an argument or a redirection behind it), or open
/// a file. In time linear in it.
pub fn is_command(value: &[u8], place: Place) -> bool {
    let of_session = place == Place::Line;
    if of_session && value.iter().any(|byte| matches!(byte, b'\r' | b'\n')) {
        // Lines beyond those that are read one by one.
        return false;
    }
    let first_low = memchr::memchr(b'<', value).unwrap_or(value.len());
    let mut in_quotes = false;
    for (at, &byte) in value.iter().enumerate() {
        let rest = &value[at + 1..];
        let found = match byte {
            b'"' => {
                in_quotes = !in_quotes;
                false
            }
            // Between angle brackets a parameter of another URI ends at the last of them.
            b';' if place == Place::Parameter && first_low < at && ends_uri(rest) => false,
            b';' | b'|' | b'\n' => !(of_session && in_quotes) && is_run(byte, rest, place),
            b'&' => place == Place::User && is_run(byte, rest, place),
            b'<' => is_read(rest, place),
            // Behind a word in angle brackets there is no redirection: that is markup, and another rule's to judge.
            b'>' if first_low < at => return false,
            b'>' => is_written(&value[..at], rest, place),
            _ => false,
        };
        if found {
            return true;
        }
    }
    false
}

/// Whether a parameter and a closing angle bracket begin a text.
fn ends_uri(text: &[u8]) -> bool {
    text.get(word(text)) == Some(&b'>')
}

/// Whether a program is named behind a separator.
fn is_run(separator: u8, rest: &[u8], place: Place) -> bool {
    let spaces = if separator == b'&' { 0 } else { blanks(rest) };
    let word = word(&rest[spaces..]);
    let name = &rest[spaces..spaces + word];
    if !name.iter().any(u8::is_ascii_alphabetic) {
        return false;
    }
    let behind = &rest[spaces + word..];
    match place {
        Place::User | Place::Parameter => match behind.first() {
            // Directives of a cache, as text of a cause, may stand apart from what parts them: `no-cache ; private`.
            Some(b' ' | b'\t') => {
                place == Place::User || !matches!(behind.trim_ascii_start().first(), Some(b';' | b'='))
            }
            Some(b'<' | b'>') => separator != b'&',
            // A comma parts words in braces only.
            Some(b',') => separator != b'&' && name.contains(&b'{'),
            _ => false,
        },
        Place::Line => {
            let end = behind
                .iter()
                .position(|byte| matches!(byte, b';' | b'|' | b'&' | b'#'))
                .unwrap_or(behind.len());
            let arguments = &behind[..end];
            let of_word = |byte: &u8| is_word(byte) || matches!(byte, b' ' | b'\t');
            // A build and its number are no command.
            name[0].is_ascii_lowercase()
                && matches!(arguments, [b' ' | b'\t', .., _])
                && arguments.iter().all(of_word)
                && arguments.iter().any(u8::is_ascii_lowercase)
        }
    }
}

/// Whether a file is read that is named behind a `<`, or written behind `<>`. A parameter may hold an address in brackets or a bound
/// (`<150ms`), and a program that only reads does little.
fn is_read(rest: &[u8], place: Place) -> bool {
    if let [b'>', file @ ..] = rest {
        let file = &file[blanks(file)..];
        return place != Place::User && is_file(file) && !is_number(file);
    }
    let word = word(rest);
    place == Place::User && rest.get(word) != Some(&b'>') && (word > 0 || rest.first() == Some(&b'&'))
}

/// Whether a file is written that is named behind a `>`: any but a separator may begin its name.
fn is_written(before: &[u8], rest: &[u8], place: Place) -> bool {
    // `>>` and `>|` write too, and a space may follow.
    let more = usize::from(matches!(rest.first(), Some(b'>' | b'|')));
    let file = &rest[more..];
    let file = &file[blanks(file)..];
    if place == Place::User {
        return is_file(file) || file.first() == Some(&b'&');
    }
    // An arrow, and a comparison with a number.
    let is_arrow = more == 0 && matches!(before.last(), Some(b'-' | b'=' | b'~'));
    is_file(file) && !is_arrow && !is_number(file)
}

/// Whether a word of a shell begins a text (XCU 2.3).
fn is_file(text: &[u8]) -> bool {
    !matches!(
        text.first(),
        None | Some(b' ' | b'\t' | b'\r' | b'\n' | b';' | b'|' | b'&' | b'<' | b'>' | b'(' | b')')
    )
}

/// A number with which something is compared, to the end, and its unit: `=4.5`, `>=150ms`.
fn is_number(text: &[u8]) -> bool {
    let text = text.strip_prefix(b"=").unwrap_or(text);
    let text = text.get(..NUMBER).unwrap_or(text).trim_ascii();
    let unit = text
        .iter()
        .rev()
        .take(UNIT)
        .take_while(|byte| byte.is_ascii_alphabetic())
        .count();
    let number = &text[..text.len() - unit];
    let of_number = |byte: &u8| byte.is_ascii_digit() || matches!(byte, b'.' | b',' | b'%' | b'+' | b'-');
    number.iter().any(u8::is_ascii_digit) && number.iter().all(of_number)
}

fn blanks(text: &[u8]) -> usize {
    text.iter().take(SPACES).take_while(|&&byte| byte == b' ').count()
}

fn word(text: &[u8]) -> usize {
    text.iter().take(WORD).take_while(|byte| is_word(byte)).count()
}

fn is_word(byte: &u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(
            byte,
            b'_' | b'.' | b'/' | b'~' | b'-' | b'[' | b']' | b'{' | b'\\' | b'$' | b'*' | b'?'
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_shell_would_run_or_open_is_told_by_its_place() {
        for (value, places) in [
            ("x;touch p", "upl"),
            ("x; frob a", "upl"),
            ("x|frob a", "upl"),
            ("x;tou*h p", "upl"),
            ("x;f?ob p", "upl"),
            ("max-age=0; no-cache ; private", "u"),
            ("R&d team", "u"),
            ("x>>! ", "upl"),
            ("x 2> :", "upl"),
            ("x 2>:", "upl"),
            ("a->b", "u"),
            ("prio>5", "u"),
            ("mos>=4.0", "u"),
            ("delay>=150ms", "u"),
            ("x<secret", "u"),
            ("<no name>", "u"),
            ("<a@192.0.2.4>", "u"),
            ("x<5", "u"),
            ("x<>p", "pl"),
            ("<urn:x>", "u"),
            ("<urn:x", "u"),
            ("<sip:192.0.2.4;lr>", "u"),
        ] {
            let told: String = [('u', Place::User), ('p', Place::Parameter), ('l', Place::Line)]
                .into_iter()
                .filter(|(_, place)| is_command(value.as_bytes(), *place))
                .map(|(letter, _)| letter)
                .collect();
            assert_eq!(told, places, "{value}");
        }
    }

    #[test]
    fn lines_of_a_session_beyond_those_read_one_by_one_are_no_commands() {
        assert!(!is_command(b"x;y a\nz;b c", Place::Line));
    }

    #[test]
    fn commands_in_a_user_are_seen_and_parameters_of_a_user_are_not() {
        for user in [
            "x;touch pwn",
            "x|pkill kamailio",
            "x; touch pwn",
            "x;{touch,pwn}",
            "x;>pwn",
            "x>pwn",
            "x >> pwn",
            "x>|pwn",
            "x;/b[i]n/touc[h] pwn",
            "a&b c",
        ] {
            assert!(is_command(user.as_bytes(), Place::User), "{user}");
        }
        for user in [
            "+49;phone-context=+1",
            "a;b=c,d",
            "a;ext,bob",
            "Smith & Jones Ltd",
            "a&b=c",
            "1;ext=5;isub=1",
            "bob",
            "a,b c",
            ";;;;",
            "x; 1 2",
            "<tag>",
            "<b>bob",
        ] {
            assert!(!is_command(user.as_bytes(), Place::User), "{user}");
        }
    }
}
