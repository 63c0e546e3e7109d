//! Masks secrets: values that are shown as `***`, in one text or in a stream that arrives in pieces of any size.

use std::borrow::Cow;

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD},
};
use memchr::{memchr, memmem::Finder, memrchr};

/// The text in the place of a value.
const STARS: &str = "***";
/// Shorter values, and shorter lines of values, are not masked: every second word would become `***`.
const SHORTEST: usize = 4;
/// The same of values in a form of their own: a few letters of it are found anywhere.
const SHORTEST_FORM: usize = 8;
/// Longer values are masked in pieces of this length, which bounds how much of a stream may be held back.
const LONGEST: usize = 1024;

/// Values that are shown as [`STARS`].
#[derive(Debug, Default)]
pub(crate) struct Mask {
    /// The longest first, so that nothing of it is left when a part of it is a secret, too. None is empty or holds a line end.
    patterns: Vec<Finder<'static>>,
}

/// A stream on its way through a mask.
#[derive(Debug, Default)]
pub(crate) struct Veil {
    mask: Mask,
    /// The beginning of a value, most likely: what comes next decides.
    held: Vec<u8>,
}

impl Mask {
    /// Masks these values, as they are and as they are most often written elsewhere: in JSON, in a URL, in base64.
    pub(crate) fn new(values: impl IntoIterator<Item = String>) -> Self {
        let mut all: Vec<Vec<u8>> = values.into_iter().flat_map(|value| forms(&value)).collect();
        all.sort_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
        all.dedup();
        Self { patterns: all.iter().map(|pattern| Finder::new(pattern).into_owned()).collect() }
    }

    /// A whole text. In one whose end was cut off the last value may be there in part.
    pub(crate) fn apply<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let bytes = text.as_bytes();
        let (mut out, done) = self.starred(bytes);
        if done == 0 {
            return Cow::Borrowed(text);
        }
        out.extend_from_slice(&bytes[done..]);
        // Values are text themselves, so only whole characters were taken out.
        Cow::Owned(String::from_utf8_lossy(&out).into_owned())
    }

    /// Bytes up to the end of the last value in them, with stars in the place of each; and where that is.
    fn starred(&self, bytes: &[u8]) -> (Vec<u8>, usize) {
        let mut matches = Matches::of(self, bytes);
        let (mut out, mut done) = (Vec::new(), 0);
        while let Some((at, end)) = matches.next(done) {
            out.extend_from_slice(&bytes[done..at]);
            out.extend_from_slice(STARS.as_bytes());
            done = end;
        }
        (out, done)
    }

    /// Whether there is nothing to mask.
    pub(crate) fn is_empty(&self) -> bool {
        self.patterns.is_empty()
    }

    /// Where the end of `bytes` could be the beginning of a value.
    fn doubtful(&self, bytes: &[u8]) -> usize {
        let Some(longest) = self.patterns.first().map(|pattern| pattern.needle().len()) else { return bytes.len() };
        let line = memrchr(b'\n', bytes).map_or(0, |at| at + 1);
        let from = line.max((bytes.len() + 1).saturating_sub(longest));
        let begins = |at: usize| {
            let rest = &bytes[at..];
            self.patterns.iter().any(|p| p.needle().len() > rest.len() && p.needle().starts_with(rest))
        };
        (from..bytes.len()).find(|at| begins(*at)).unwrap_or(bytes.len())
    }
}

impl Veil {
    /// A stream that has not begun.
    pub(crate) fn new(mask: Mask) -> Self {
        Self { mask, held: Vec::new() }
    }

    /// The part of the stream that can be shown, now that this has come.
    pub(crate) fn pass<'a>(&mut self, bytes: &'a [u8]) -> Cow<'a, [u8]> {
        if self.mask.is_empty() {
            return Cow::Borrowed(bytes);
        }
        let mut all = std::mem::take(&mut self.held);
        all.extend_from_slice(bytes);
        let mut out = Vec::with_capacity(all.len());
        let mut matches = Matches::of(&self.mask, &all);
        let (mut done, mut until) = (0, self.mask.doubtful(&all));
        // One that begins before the doubt is no part of a longer one: else the doubt would begin there.
        while let Some((at, end)) = matches.next(done).filter(|(at, _)| *at < until) {
            out.extend_from_slice(&all[done..at]);
            out.extend_from_slice(STARS.as_bytes());
            done = end;
            if done > until {
                until = done + self.mask.doubtful(&all[done..]);
            }
        }
        out.extend_from_slice(&all[done..until]);
        self.held = all.split_off(until);
        Cow::Owned(out)
    }

    /// The rest at the end of the stream. The beginning of a value is not shown either, unless it is a few bytes that anything
    /// may end with.
    pub(crate) fn finish(&mut self) -> Vec<u8> {
        let held = std::mem::take(&mut self.held);
        let (mut out, done) = self.mask.starred(&held);
        let until = done + self.mask.doubtful(&held[done..]);
        out.extend_from_slice(&held[done..until]);
        let rest = &held[until..];
        out.extend_from_slice(if rest.len() < SHORTEST { rest } else { STARS.as_bytes() });
        out
    }
}

/// The values in some bytes, from left to right; of those that begin at the same place the longest.
struct Matches<'a> {
    mask: &'a Mask,
    bytes: &'a [u8],
    /// Where each pattern is found next.
    next: Vec<Option<usize>>,
}

impl<'a> Matches<'a> {
    fn of(mask: &'a Mask, bytes: &'a [u8]) -> Self {
        let next = mask.patterns.iter().map(|pattern| pattern.find(bytes)).collect();
        Self { mask, bytes, next }
    }

    /// The first one from there on: where it begins and ends.
    fn next(&mut self, from: usize) -> Option<(usize, usize)> {
        let mut first: Option<(usize, usize)> = None;
        for (pattern, at) in self.mask.patterns.iter().zip(&mut self.next) {
            if at.is_some_and(|at| at < from) {
                *at = pattern.find(&self.bytes[from..]).map(|at| at + from);
            }
            // The longest stands first in the list.
            if let Some(at) = *at
                && first.is_none_or(|(first, _)| at < first)
            {
                first = Some((at, at + pattern.needle().len()));
            }
        }
        first
    }
}

/// A value as it may be met, without line ends: text is shown line by line.
fn forms(value: &str) -> Vec<Vec<u8>> {
    let mut forms = Vec::new();
    let lines = value.lines().map(str::trim).filter(|line| line.len() >= SHORTEST);
    for line in lines {
        // In a line of JSON a value stands with its escapes.
        let quoted = mcproxy_mcp::json_string(line);
        forms.extend([line.as_bytes().to_vec(), quoted.get().trim_matches('"').into()]);
    }
    let whole = value.trim();
    if whole.len() >= SHORTEST {
        forms.push(mcproxy_mcp::json_string(whole).get().trim_matches('"').into());
        for space in ["%20", "+"] {
            forms.push(percent_encoded(whole, space));
        }
        forms.extend(in_base64(whole).into_iter().filter(|form| form.len() >= SHORTEST_FORM));
    }
    forms.retain(|form| memchr(b'\n', form).is_none());
    forms.into_iter().flat_map(pieces).collect()
}

/// The value within a longer text in base64, wherever it begins there: without the characters that hold bits of its neighbours.
fn in_base64(value: &str) -> Vec<Vec<u8>> {
    let mut forms = Vec::new();
    for before in 0..3 {
        let bytes = [&[0; 2][..before], value.as_bytes()].concat();
        let range = [0, 2, 3][before]..bytes.len() * 8 / 6;
        for encoded in [STANDARD_NO_PAD.encode(&bytes), URL_SAFE_NO_PAD.encode(&bytes)] {
            forms.extend(encoded.as_bytes().get(range.clone()).map(<[u8]>::to_vec));
        }
    }
    forms
}

/// As a URL has it (RFC 3986 §2.1), with everything encoded that may have to be.
fn percent_encoded(value: &str, space: &str) -> Vec<u8> {
    let mut out = String::with_capacity(value.len());
    for byte in value.bytes() {
        match byte {
            b' ' => out.push_str(space),
            _ if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) => out.push(char::from(byte)),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out.into_bytes()
}

/// Of at most [`LONGEST`] bytes each, and of about the same length: none is so short that it is found anywhere.
fn pieces(form: Vec<u8>) -> Vec<Vec<u8>> {
    let count = form.len().div_ceil(LONGEST).max(1);
    form.chunks(form.len().div_ceil(count).max(1)).map(<[u8]>::to_vec).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn mask(values: &[&str]) -> Mask {
        Mask::new(values.iter().map(|value| (*value).to_owned()))
    }

    fn streamed(values: &[&str], text: &[u8], cuts: &[usize]) -> Vec<u8> {
        let mut veil = Veil::new(mask(values));
        let (mut out, mut rest) = (Vec::new(), text);
        for cut in cuts.iter().cycle() {
            let (now, later) = rest.split_at((*cut).clamp(1, rest.len().max(1)).min(rest.len()));
            out.extend_from_slice(&veil.pass(now));
            rest = later;
            if rest.is_empty() {
                break;
            }
        }
        out.extend(veil.finish());
        out
    }

    #[test]
    fn secrets_are_masked_raw_and_escaped_and_short_words_stay() {
        let mask = mask(&["tok\"en", "tok\"en-long", "1"]);
        assert_eq!(mask.apply("a tok\"en-long b tok\"en 1"), "a *** b *** 1");
        assert_eq!(mask.apply(r#"{"k":"tok\"en"}"#), r#"{"k":"***"}"#);
    }

    #[test]
    fn secrets_are_masked_in_urls_and_in_base64_wherever_they_begin_there() {
        let secret = "p@ss/wörd & more?";
        let mask = mask(&[secret]);
        assert_eq!(mask.apply("?k=p%40ss%2Fw%C3%B6rd%20%26%20more%3F&x"), "?k=***&x");
        assert_eq!(mask.apply("k=p%40ss%2Fw%C3%B6rd+%26+more%3F"), "k=***");
        for before in ["", "u", "us", "use", "user:"] {
            let encoded = STANDARD_NO_PAD.encode(format!("{before}{secret}!"));
            let shown = mask.apply(&encoded);
            assert!(shown.contains(STARS) && shown.len() < before.len() * 2 + 10, "{encoded} {shown}");
        }
    }

    #[test]
    fn each_line_of_a_secret_of_several_lines_is_masked() {
        let key = "-----BEGIN KEY-----\nMIIEvQIBADANBgkq\r\nhkiG9w0BAQEF\n-----END KEY-----\n";
        let said = "loaded -----BEGIN KEY-----\nMIIEvQIBADANBgkq\nhkiG9w0BAQEF\n";
        assert_eq!(streamed(&[key], said.as_bytes(), &[7]), b"loaded ***\n***\n***\n");
        let escaped = serde_json::to_string(key.trim()).expect("a string");
        assert!(!mask(&[key]).apply(&escaped).contains("hkiG9w0BAQEF"));
    }

    #[test]
    fn a_secret_of_any_length_is_masked_whole_and_little_is_held_back() {
        let long = "x1y2".repeat(2_000);
        let shown = streamed(&[&long], format!("<{long}>\n").as_bytes(), &[777]);
        assert!(!shown.windows(8).any(|part| part == b"x1y2x1y2"), "{}", String::from_utf8_lossy(&shown));
        let mut veil = Veil::new(mask(&[&long]));
        for _ in 0..100 {
            veil.pass(b"x1y2x1y2x1y2");
            assert!(veil.held.len() < LONGEST);
        }
    }

    #[test]
    fn what_cannot_be_a_secret_is_not_held_back() {
        let mut veil = Veil::new(mask(&["secret-value"]));
        assert_eq!(*veil.pass(b"name: "), *b"name: ");
        assert_eq!(*veil.pass(b"se"), *b"");
        assert_eq!(*veil.pass(b"ven\nsecret-"), *b"seven\n");
        assert_eq!(*veil.pass(b"value\n"), *b"***\n");
        assert_eq!(*veil.pass(b"the end is secret-val"), *b"the end is ");
        assert_eq!(veil.finish(), b"***", "not even a part of it");
    }

    proptest! {
        #[test]
        fn a_stream_is_masked_the_same_however_it_is_cut(
            text in prop::collection::vec(prop::sample::select(b"ab-\n".to_vec()), 0..200),
            secrets in prop::collection::vec("[ab-]{4,9}", 1..4),
            cuts in prop::collection::vec(1usize..12, 1..10),
        ) {
            let secrets: Vec<&str> = secrets.iter().map(String::as_str).collect();
            let shown = streamed(&secrets, &text, &cuts);
            prop_assert_eq!(&shown, &streamed(&secrets, &text, &[usize::MAX]));
            for secret in secrets {
                prop_assert!(!String::from_utf8_lossy(&shown).contains(secret));
            }
        }

        #[test]
        fn a_text_and_a_stream_are_masked_alike(text in "[ab\n-]{0,60}", secret in "[ab-]{4,9}") {
            let whole = mask(&[&secret]).apply(&format!("{text}\n")).into_owned();
            prop_assert_eq!(whole.into_bytes(), streamed(&[&secret], format!("{text}\n").as_bytes(), &[usize::MAX]));
        }
    }
}
