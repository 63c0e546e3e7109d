//! A part of a result that was kept: which one is asked for, and what is in it. Pure.

use std::ops::Range;

/// Which part is asked for; without a length all that follows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(in crate::gateway::call) struct ResultPart {
    /// From this byte on.
    pub(in crate::gateway::call) offset: usize,
    /// At most so many.
    pub(in crate::gateway::call) length: Option<usize>,
}

impl ResultPart {
    /// Bytes of a part that is read at once, unless somebody says how many.
    pub(in crate::gateway::call) const DEFAULT_LENGTH: usize = 32 * 1024;

    /// Takes the query off a URI: `offset` and `length`, in bytes. `Err`: what is wrong with it.
    pub(in crate::gateway::call) fn of_uri(uri: &str) -> Result<(&str, Self), String> {
        let Some((plain, query)) = uri.split_once('?') else { return Ok((uri, Self::default())) };
        let mut part = Self::default();
        for pair in query.split('&') {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            let number =
                || value.parse().map_err(|_| format!("`{key}` of the URI must be a number of bytes, not {value:?}"));
            match key {
                "offset" => part.offset = number()?,
                "length" => part.length = Some(number()?),
                _ => return Err(format!("a result is read by `offset` and `length`, not by {key:?}")),
            }
        }
        Ok((plain, part))
    }

    /// Where that is in a text: it begins and ends between characters, and has one at least if there is one.
    pub(in crate::gateway::call) fn range(self, text: &str) -> Range<usize> {
        let from = text.floor_char_boundary(self.offset);
        let wanted = self.length.map_or(text.len(), |length| from.saturating_add(length));
        let end = text.floor_char_boundary(wanted);
        if end > from { from..end } else { from..text.ceil_char_boundary((from + 1).min(text.len())) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn part(offset: usize, length: Option<usize>) -> ResultPart {
        ResultPart { offset, length }
    }

    #[test]
    fn a_uri_says_which_part() {
        assert_eq!(ResultPart::of_uri("a:b"), Ok(("a:b", part(0, None))));
        assert_eq!(ResultPart::of_uri("a:b?offset=3&length=4"), Ok(("a:b", part(3, Some(4)))));
        for wrong in ["a:b?offset=x", "a:b?length=-1", "a:b?x=1", "a:b?", "a:b?offset"] {
            assert!(ResultPart::of_uri(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn parts_are_cut_between_characters() {
        assert_eq!(part(0, Some(3)).range("aéb"), 0..3);
        assert_eq!(part(0, Some(2)).range("aéb"), 0..1);
        assert_eq!(part(2, Some(1)).range("aéb"), 1..3, "at least one character");
        assert_eq!(part(9, Some(9)).range("aéb"), 4..4);
        assert_eq!(part(0, None).range(""), 0..0);
    }

    proptest! {
        #[test]
        fn parts_one_after_another_are_the_whole(text in "\\PC{0,300}", length in 0_usize..40) {
            let (mut at, mut read) = (0, String::new());
            while at < text.len() {
                let range = part(at, Some(length)).range(&text);
                prop_assert!(range.start == at && range.end > at);
                read.push_str(&text[range.clone()]);
                at = range.end;
            }
            prop_assert_eq!(read, text);
        }
    }
}
