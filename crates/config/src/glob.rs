//! Patterns with `*`, for tool names.

use std::fmt;

/// A pattern in which `*` stands for any run of characters, the empty one included.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Glob(String);

impl Glob {
    /// Any text is a pattern.
    pub fn new(pattern: impl Into<String>) -> Self {
        Self(pattern.into())
    }

    /// The pattern as written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the whole of `text` fits; linear in practice and never worse than length × length.
    pub fn matches(&self, text: &str) -> bool {
        let (pattern, text) = (self.0.as_bytes(), text.as_bytes());
        let (mut p, mut t) = (0, 0);
        let mut star: Option<(usize, usize)> = None;
        while t < text.len() {
            if pattern.get(p) == Some(&b'*') {
                star = Some((p, t));
                p += 1;
            } else if pattern.get(p) == Some(&text[t]) {
                (p, t) = (p + 1, t + 1);
            } else if let Some((star_p, star_t)) = star {
                // Let the last star take one more byte and try again from there.
                star = Some((star_p, star_t + 1));
                (p, t) = (star_p + 1, star_t + 1);
            } else {
                return false;
            }
        }
        pattern[p..].iter().all(|&byte| byte == b'*')
    }
}

impl fmt::Debug for Glob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for Glob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The definition, exponential and obvious.
    fn reference(pattern: &[char], text: &[char]) -> bool {
        match pattern.split_first() {
            None => text.is_empty(),
            Some(('*', rest)) => (0..=text.len()).any(|skip| reference(rest, &text[skip..])),
            Some((first, rest)) => {
                text.split_first().is_some_and(|(head, tail)| head == first && reference(rest, tail))
            }
        }
    }

    #[test]
    fn a_star_matches_a_prefix_a_suffix_and_everything() {
        assert!(Glob::new("browser_*").matches("browser_click"));
        assert!(Glob::new("*_click").matches("browser_click"));
        assert!(Glob::new("*").matches(""));
        assert!(!Glob::new("").matches("x"));
        assert!(!Glob::new("browser").matches("browser_click"));
    }

    proptest! {
        #[test]
        fn matching_agrees_with_its_definition(pattern in "[abé*]{0,7}", text in "[abé]{0,8}") {
            let (p, t): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
            prop_assert_eq!(Glob::new(pattern).matches(&text), reference(&p, &t));
        }
    }
}
