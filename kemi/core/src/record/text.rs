//! What the scanners of indicators and numbers ask about the characters around a place in a text.

/// The character before `at`.
pub fn before(text: &str, at: usize) -> Option<char> {
    match text.as_bytes().get(at.checked_sub(1)?) {
        Some(&byte) if byte.is_ascii() => Some(char::from(byte)),
        _ => text.get(..at)?.chars().next_back(),
    }
}

/// The character that begins at `at`.
pub fn at(text: &str, at: usize) -> Option<char> {
    match text.as_bytes().get(at)? {
        byte if byte.is_ascii() => Some(char::from(*byte)),
        _ => text.get(at..)?.chars().next(),
    }
}

/// Letters, digits and `_` of any script.
pub fn is_word(character: char) -> bool {
    character == '_' || character.is_alphanumeric()
}

/// White space of any script, and the four separators of ASCII.
pub fn is_space(character: char) -> bool {
    character.is_whitespace() || matches!(character, '\x1c'..='\x1f')
}

/// Where the run of at most `most` such characters ends that begins at `start`, and how many these are.
pub fn run(text: &str, start: usize, most: usize, is: impl Fn(char) -> bool) -> (usize, usize) {
    let mut end = start;
    let mut count = 0;
    while count < most {
        match at(text, end) {
            Some(character) if is(character) => end += character.len_utf8(),
            _ => break,
        }
        count += 1;
    }
    (end, count)
}

/// Whether no word goes on into `at`.
pub fn begins_word(text: &str, at: usize) -> bool {
    !before(text, at).is_some_and(is_word)
}

/// Whether these ASCII letters stand at `at`, in upper or lower case.
pub fn stands(text: &str, at: usize, word: &str) -> bool {
    text.as_bytes()
        .get(at..at + word.len())
        .is_some_and(|bytes| bytes.eq_ignore_ascii_case(word.as_bytes()))
}

/// The part of a text between two places that are known to be between characters.
pub fn part(text: &str, start: usize, end: usize) -> &str {
    text.get(start..end).unwrap_or_default()
}
