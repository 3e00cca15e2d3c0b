//! What holds for whatever a transform is given: the value itself stands first, decoding comes to an end, nothing swells.

use std::borrow::Cow;

use sipsieve_core::detect::transforms::{
    Stood, TRANSFORMS, decode, forms, has_openings, is_encoded, is_odd, is_undecodable, needs_decoding,
};
use sipsieve_core::sip::unfold;

use crate::bounded;

/// Bytes of a value; each round of decoding may take one layer off it.
const MAX_VALUE: usize = 1024;

/// Transforms that find nothing to do in what they made.
const ONCE: [&str; 3] = ["no_controls", "spaces", "plus"];

/// How many times a value can become longer: U+FDFA stands for 18 characters of 33 bytes in its three.
const MOST_GROWTH: usize = 11;

/// Forms of a value: of either of its two readings what each transform makes of it, and two of each text of its tokens, of
/// which at most 24 are read.
const MOST_FORMS: usize = 2 * (14 + 2 * 24);

pub fn check(data: &[u8]) {
    let data = &data[..data.len().min(MAX_VALUE)];
    for (name, made) in TRANSFORMS {
        let once = made(data);
        assert!(
            once.len() <= data.len() * MOST_GROWTH,
            "{name}: {} of {}",
            once.len(),
            data.len()
        );
        if let Cow::Borrowed(same) = once {
            assert_eq!(same, data, "{name} gave back another value");
        }
        if ONCE.contains(name) {
            assert_eq!(made(&once), once, "{name} twice");
        }
    }
    bounded("transforms", data.len(), || {
        TRANSFORMS.iter().for_each(|(_, made)| drop(made(data)));
        drop(forms(data, Stood::Quoted));
    });
    decoded(data);
    for stood in Stood::ALL {
        let made = forms(data, stood);
        assert_eq!(
            made.first().map(|form| &form[..]),
            Some(&unfold(data)[..]),
            "the value itself stands first"
        );
        assert!(made.len() <= MOST_FORMS, "{} forms", made.len());
        for (at, form) in made.iter().enumerate() {
            assert!(!made[..at].contains(form), "a form twice");
        }
        if !needs_decoding(data) && !names_base64(data) {
            assert_eq!(made.len(), 1, "a value that needs no decoding has one form");
        }
        let odd = data.iter().any(|&byte| byte.is_ascii() && is_odd(byte));
        if !odd && is_undecodable(data) && !has_openings(data) && !names_base64(data) {
            assert_eq!(made.len(), 1, "bytes that nothing decodes have one form");
        }
    }
}

/// Decoding comes to a value that it leaves as it is; of one without marks of an encoding it is itself.
fn decoded(data: &[u8]) {
    let first = decode(data);
    if !is_encoded(data) {
        assert_eq!(first, data);
    }
    let mut value = first.into_owned();
    // A round takes at least one byte off, four rounds are one call.
    for _ in 0..data.len() / 4 + 4 {
        let next = decode(&value).into_owned();
        if next == value {
            return;
        }
        value = next;
    }
    panic!("decoding does not come to an end");
}

fn names_base64(data: &[u8]) -> bool {
    data.to_ascii_lowercase().windows(2).any(|mark| mark == b"64")
}
