//! Named transforms that undo what hides a payload from a pattern, and the forms of a value that they lead to.

mod base64;
mod comments;
mod entities;
mod escapes;
mod percent;
mod shell;
mod spaces;
mod token;
mod unicode;
mod utf7;

use std::borrow::Cow;
use std::sync::LazyLock;

use memchr::memmem::Finder;

pub use base64::unbase64;
pub use comments::{comments, without_comments};
pub use entities::entities;
pub use escapes::{escapes, hex_bytes, quoted_pair};
pub use percent::{percent, percent_u};
pub use shell::shell_noise;
pub use spaces::{no_controls, plus, spaces};
pub use token::tokens;
pub use unicode::{is_undecodable, overlong, plain_unicode};
pub use utf7::utf7;

use crate::sip::{Part, PartKind, unfold};

/// A transform: a value it changes nothing in comes back as it is.
pub type Transform = fn(&[u8]) -> Cow<'_, [u8]>;

/// Rounds of decoding. `%25252e` needs three; what is packed deeper no backend unpacks.
const MAX_ROUNDS: usize = 4;

/// The transforms by name, in the order in which forms are made.
pub static TRANSFORMS: &[(&str, Transform)] = &[
    ("unfold", unfold),
    ("quoted_pair", quoted_pair),
    ("percent", percent),
    ("percent_u", percent_u),
    ("entities", entities),
    ("escapes", escapes),
    ("overlong", overlong),
    ("plain_unicode", plain_unicode),
    ("no_controls", no_controls),
    ("hex_bytes", hex_bytes),
    ("comments", comments),
    ("spaces", spaces),
    ("plus", plus),
    ("shell_noise", shell_noise),
    ("utf7", utf7),
    ("unbase64", unbase64),
];

/// One round of decoding, outermost layer first.
const DECODERS: [Transform; 5] = [percent_u, percent, entities, escapes, overlong];

/// What a byte may mean beside itself.
const ODD: u8 = 1;
/// It begins something only with the byte behind it.
const FIRST: u8 = 2;
/// It may be a layer of encoding.
const ENCODED: u8 = 4;

const MEANS: [u8; 256] = means();

const fn means() -> [u8; 256] {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let value = byte as u8;
        table[byte] = match value {
            b'%' | b'&' | b'\\' | 0x80.. => ODD | ENCODED,
            b'"' | b'\'' | b'*' | b'+' | b'^' | b'`' => ODD,
            0..0x20 | 0x7f => ODD,
            b'$' | b'0' | b' ' | b'J' => FIRST,
            _ => 0,
        };
        byte += 1;
    }
    table
}

/// Whether a byte means something beside itself wherever it stands.
pub const fn is_odd(byte: u8) -> bool {
    MEANS[byte as usize] & ODD != 0
}

/// Whether a value can be read in more than one way.
pub fn needs_decoding(value: &[u8]) -> bool {
    value.iter().enumerate().any(|(at, &byte)| match MEANS[byte as usize] {
        0 => false,
        FIRST => is_opening(value, at, byte),
        _ => true,
    })
}

/// Whether a value can be read in more ways than one beside that of characters beyond ASCII. They count where a lax reader may take
/// one of their bytes for white space.
fn needs_more(value: &[u8]) -> bool {
    value.iter().enumerate().any(|(at, &byte)| match byte {
        0xa0 => true,
        0x80.. => false,
        _ => is_odd(byte) || MEANS[usize::from(byte)] == FIRST && is_opening(value, at, byte),
    })
}

/// Whether two bytes, or the end of a token's head, stand in a value that mean something together.
pub fn has_openings(value: &[u8]) -> bool {
    let mut all = value.iter().enumerate();
    all.any(|(at, &byte)| MEANS[usize::from(byte)] == FIRST && is_opening(value, at, byte))
}

/// Whether such a byte, which stands there, means something with what is beside it.
fn is_opening(value: &[u8], at: usize, byte: u8) -> bool {
    match byte {
        b'J' => token::ends_head(value, at),
        _ => value.get(at + 1).is_some_and(|&next| opens(byte, next)),
    }
}

/// Whether two bytes together mean something else to a shell, to a reader of numbers, or as white space.
fn opens(byte: u8, next: u8) -> bool {
    match byte {
        b'$' => matches!(next, b'{' | b'I' | b'i' | b'@' | b'*' | b'0'..=b'9'),
        b'0' => matches!(next, b'x' | b'X'),
        _ => next == b' ',
    }
}

/// Whether a value may have layers of encoding, each of which costs a round.
pub fn is_encoded(value: &[u8]) -> bool {
    value.iter().any(|&byte| MEANS[byte as usize] & ENCODED != 0)
}

/// Whether no decoder finds anything in a value: characters beyond ASCII that are as short as they can be are no layer.
fn is_decoded(value: &[u8]) -> bool {
    !value.iter().any(|byte| matches!(byte, b'%' | b'&' | b'\\')) && std::str::from_utf8(value).is_ok()
}

/// Undoes layers of encoding until nothing changes, four at the most.
pub fn decode(value: &[u8]) -> Cow<'_, [u8]> {
    if is_decoded(value) {
        return Cow::Borrowed(value);
    }
    let mut value = Cow::Borrowed(value);
    for _ in 0..MAX_ROUNDS {
        let mut changed = false;
        for decoder in DECODERS {
            value = match value {
                Cow::Borrowed(plain) => {
                    let made = decoder(plain);
                    changed |= matches!(made, Cow::Owned(_));
                    made
                }
                Cow::Owned(plain) => match decoder(&plain) {
                    Cow::Borrowed(_) => Cow::Owned(plain),
                    Cow::Owned(made) => {
                        changed |= made != plain;
                        Cow::Owned(made)
                    }
                },
            };
        }
        if !changed {
            break;
        }
    }
    value
}

/// The forms of a value to match, without repeats: as sent, and as a backend may come to read it.
pub struct Forms<'a>(Vec<Cow<'a, [u8]>>);

impl<'a> Forms<'a> {
    fn add(&mut self, form: Cow<'a, [u8]>) {
        if !self.0.contains(&form) {
            self.0.push(form);
        }
    }

    /// A form that a transform made of `from`: where it changed nothing, `from` stands here already.
    fn made(&mut self, form: Cow<'_, [u8]>) {
        if let Cow::Owned(form) = form {
            self.add(Cow::Owned(form));
        }
    }
}

/// Where a value stood, which says what its marks mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stood {
    Bare,
    /// In quotes, which were taken off: a backslash quotes the next byte (RFC 3261 25.1, quoted-pair).
    Quoted,
    /// In a URI's userinfo, where a plus is a plus: nothing decodes a user as a form (19.1.2).
    User,
}

impl Stood {
    pub const ALL: [Self; 3] = [Self::Bare, Self::Quoted, Self::User];

    pub fn of(part: &Part<'_>) -> Self {
        match part.kind {
            PartKind::Userinfo | PartKind::Password => Self::User,
            _ if part.quoted => Self::Quoted,
            _ => Self::Bare,
        }
    }

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Bare => "bare",
            Self::Quoted => "quoted",
            Self::User => "user",
        }
    }
}

/// The forms of a value, as sent first.
pub fn forms(value: &[u8], stood: Stood) -> Vec<Cow<'_, [u8]>> {
    let mut forms = Forms(Vec::with_capacity(8));
    match unfold(value) {
        Cow::Borrowed(value) => all(value, stood, &mut forms),
        Cow::Owned(value) => {
            let mut own = Forms(Vec::with_capacity(8));
            all(&value, stood, &mut own);
            for form in own.0 {
                forms.add(Cow::Owned(form.into_owned()));
            }
        }
    }
    forms.0
}

fn all<'a>(value: &'a [u8], stood: Stood, forms: &mut Forms<'a>) {
    forms.add(Cow::Borrowed(value));
    if !value.contains(&b'\\') {
        return each(Cow::Borrowed(value), stood, forms);
    }
    let unquoted = quoted_pair(value);
    if stood == Stood::Quoted || value.contains(&b'"') {
        each(unquoted, stood, forms);
        each(Cow::Borrowed(value), stood, forms);
    } else {
        each(Cow::Borrowed(value), stood, forms);
        each(unquoted, stood, forms);
    }
}

/// The forms that begin with one reading of a value.
fn each<'a>(start: Cow<'a, [u8]>, stood: Stood, forms: &mut Forms<'a>) {
    forms.add(start.clone());
    let mut plain = start.clone();
    if is_encoded(&start) {
        let decoded = match decode(&start) {
            Cow::Owned(decoded) if decoded != *start => Some(decoded),
            _ => None,
        };
        if let Some(decoded) = decoded {
            // A per cent sign that was an entity or escape may open a directive, which the next round takes apart.
            forms.made(percent(&start));
            forms.add(Cow::Owned(escapes(&entities(&start)).into_owned()));
            forms.add(Cow::Owned(decoded.clone()));
            plain = Cow::Owned(decoded);
        }
        if !plain.is_ascii() {
            let folded = match plain_unicode(&plain) {
                Cow::Owned(folded) if folded != *plain => Some(folded),
                _ => None,
            };
            if let Some(folded) = folded {
                forms.add(Cow::Owned(folded.clone()));
                // What was folded may be an escape itself.
                plain = Cow::Owned(decode(&folded).into_owned());
            }
        }
        forms.add(plain.clone());
    }
    if !needs_more(&start) && !needs_more(&plain) && !names_base64(&plain) {
        return;
    }
    forms.made(no_controls(&plain));
    forms.made(hex_bytes(&plain));
    for text in tokens(&start) {
        forms.add(Cow::Owned(decode(&text).into_owned()));
        forms.add(Cow::Owned(text));
    }
    let quiet = quiet(&plain);
    forms.add(Cow::Owned(quiet.to_vec()));
    if plain.windows(2).any(|mark| mark == b"/*") {
        forms.made(without_comments(&plain));
    }
    if stood != Stood::User {
        forms.made(plus(&quiet));
    }
    forms.made(utf7(&plain));
    forms.made(shell_noise(&quiet));
    if names_base64(&plain) {
        forms.add(Cow::Owned(unbase64(&plain).into_owned()));
    }
}

/// Without comments and runs of white space.
fn quiet(plain: &[u8]) -> Cow<'_, [u8]> {
    match comments(plain) {
        Cow::Borrowed(plain) => spaces(plain),
        Cow::Owned(plain) => match spaces(&plain) {
            Cow::Borrowed(_) => Cow::Owned(plain),
            Cow::Owned(quiet) => Cow::Owned(quiet),
        },
    }
}

/// Whether a value says that there is base64 in it.
pub fn names_base64(value: &[u8]) -> bool {
    static NUMBER: LazyLock<Finder<'_>> = LazyLock::new(|| Finder::new(b"64"));
    NUMBER.find_iter(value).any(|at| {
        let before = &value[..at];
        let ends = |word: &[u8]| {
            let start = before.len().checked_sub(word.len());
            start.is_some_and(|start| before[start..].eq_ignore_ascii_case(word))
        };
        ends(b"b") || ends(b"base")
    })
}

/// A value with what `replaced` finds replaced: it is asked at each byte in `first`, and answers how many bytes it took and
/// what stands for them.
fn rewrite<'v>(
    value: &'v [u8],
    first: impl Fn(u8) -> bool,
    mut replaced: impl FnMut(&'v [u8], usize, &mut Vec<u8>) -> Option<usize>,
) -> Cow<'v, [u8]> {
    let mut made: Option<Vec<u8>> = None;
    let (mut kept, mut at) = (0, 0);
    let mut piece = Vec::new();
    while let Some(next) = value[at..].iter().position(|&byte| first(byte)) {
        at += next;
        piece.clear();
        match replaced(value, at, &mut piece) {
            Some(taken) => {
                let made = made.get_or_insert_with(|| Vec::with_capacity(value.len()));
                made.extend_from_slice(&value[kept..at]);
                made.extend_from_slice(&piece);
                // Nothing that takes no bytes is ever replaced.
                at += taken.max(1);
                kept = at;
            }
            None => at += 1,
        }
    }
    match made {
        None => Cow::Borrowed(value),
        Some(mut made) => {
            made.extend_from_slice(&value[kept..]);
            Cow::Owned(made)
        }
    }
}

/// The number of so many hexadecimal digits at a place.
fn hexadecimal(value: &[u8], at: usize, digits: usize) -> Option<u32> {
    value.get(at..at + digits)?.iter().try_fold(0, |sum: u32, &byte| {
        char::from(byte).to_digit(16).map(|digit| (sum << 4) | digit)
    })
}

/// A code point in UTF-8; a surrogate too, as lax encoders write it.
fn push_code(code: u32, made: &mut Vec<u8>) {
    match char::from_u32(code) {
        Some(character) => made.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes()),
        None if code < 0x1_0000 => {
            made.extend([
                0xe0 | (code >> 12) as u8,
                0x80 | (code >> 6 & 0x3f) as u8,
                0x80 | (code & 0x3f) as u8,
            ]);
        }
        None => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    fn has(value: &str, form: &str) {
        let forms = forms(value.as_bytes(), Stood::Bare);
        let shown: Vec<_> = forms
            .iter()
            .map(|form| String::from_utf8_lossy(form).into_owned())
            .collect();
        assert!(shown.iter().any(|one| one == form), "{value}: {shown:?}");
    }

    #[test]
    fn a_plain_value_is_read_in_one_way() {
        assert!(!needs_decoding(b"bob.smith-1_2@example.com"));
        assert_eq!(forms(b"bob", Stood::Bare).len(), 1);
        for odd in ["+49", "a  b", "0x2e", "$1", "a%20b", "é", "a\tb", "x'y"] {
            assert!(needs_decoding(odd.as_bytes()), "{odd}");
        }
    }

    #[test]
    fn layers_come_off() {
        has("%2527%20or%201=1", "' or 1=1");
        has("&lt;script&gt;", "<script>");
        has("\\x3cscript\\x3e", "<script>");
        has("%u003cscript%u003e", "<script>");
        has("un/**/ion+sel/*x*/ect", "union+select");
        has("un/**/ion", "un ion");
        has("＜script＞", "<script>");
        has("ｊａｖａｓｃｒｉｐｔ：", "javascript:");
        has("c\"a\"t${IFS}/etc/pas$@swd", "cat /etc/passwd");
        has("0x2fetc0x2fpasswd", "/etc/passwd");
        has("a+b", "a b");
        has("a \t\r\n b", "a b");
        has("base64 L2V0Yy9wYXNzd2QgYW5k", "/etc/passwd and");
        has("\u{c0}", "A");
        has("%c0%ae%c0%ae/", "../");
    }

    #[test]
    fn a_plus_is_a_blank_where_forms_are_decoded_and_in_no_user() {
        let blank = b"a&b=c d".to_vec();
        for stood in Stood::ALL {
            let made = forms(b"a&b=c+d", stood);
            assert_eq!(
                made.iter().any(|form| **form == blank),
                stood != Stood::User,
                "{stood:?}"
            );
        }
        assert!(forms(b"a%20b+c", Stood::User).iter().any(|form| **form == *b"a b+c"));
    }

    #[test]
    fn decoding_ends() {
        let deep = "%25".to_owned() + &"25".repeat(2000);
        assert!(decode(deep.as_bytes()).len() < deep.len());
    }

    #[test]
    fn what_needs_no_more_is_changed_by_nothing_else() {
        let mut random = Random(0x5eed);
        let pieces = "a 1 x A 0 J eyJ e { } ( ) [ / * - . @ $ + \\ \" ' ` ^ % & ; b64 base64 = \t \u{1} é ñ Ж 名 ’ \u{a0} \u{300}";
        let mut pieces: Vec<&[u8]> = pieces.split(' ').map(str::as_bytes).collect();
        pieces.extend([&b" "[..], b"\xa0", b"\xe9", b"I", b"FS"]);
        let mut ended = 0;
        for _ in 0..300_000 {
            let count = 1 + random.below(6);
            let text: Vec<u8> = (0..count).flat_map(|_| random.one(&pieces).to_vec()).collect();
            if needs_more(&text) || names_base64(&text) {
                continue;
            }
            ended += usize::from(!text.is_ascii());
            let shown = String::from_utf8_lossy(&text);
            for (name, transform) in TRANSFORMS {
                let is_earlier = matches!(*name, "overlong" | "plain_unicode" | "unbase64");
                assert!(is_earlier || *transform(&text) == *text, "{name}: {shown}");
            }
            assert!(tokens(&text).is_empty() && *without_comments(&text) == *text, "{shown}");
        }
        assert!(ended > 1000, "{ended}");
    }

    #[test]
    fn a_name_with_accents_has_a_form_without() {
        for (value, form) in [
            ("Zoë Dvořák", "Zoe Dvorak"),
            ("Žižka", "Zizka"),
            ("Ｆｏｏ", "Foo"),
            ("q\u{323}\u{307}x", "qx"),
        ] {
            let expected = [value.as_bytes(), form.as_bytes()];
            assert_eq!(forms(value.as_bytes(), Stood::Quoted), expected, "{value}");
        }
    }
}
