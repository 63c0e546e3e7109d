//! What must not be seen on a terminal.

use std::borrow::Cow;

/// Shorter values are not masked: they are switches, and every second word would become `***`.
const MIN: usize = 4;

/// Values that are printed as `***`.
#[derive(Debug)]
pub(crate) struct Mask(Vec<String>);

impl Mask {
    pub(crate) fn new(values: impl Iterator<Item = String>) -> Self {
        let mut all = Vec::new();
        for value in values.filter(|value| value.len() >= MIN) {
            // In a line of JSON a value stands with its escapes.
            let quoted = mcproxy_mcp::json_string(&value);
            let escaped = quoted.get().trim_matches('"').to_owned();
            all.extend([value, escaped]);
        }
        // The longest first, so that nothing of it is left when a part of it is a secret, too.
        all.sort_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
        all.dedup();
        Self(all)
    }

    pub(crate) fn apply<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let mut masked = Cow::Borrowed(text);
        for secret in self.0.iter().filter(|secret| !secret.is_empty()) {
            if masked.contains(secret.as_str()) {
                masked = Cow::Owned(masked.replace(secret.as_str(), "***"));
            }
        }
        masked
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_masked_raw_and_escaped_and_short_words_stay() {
        let mask = Mask::new(["tok\"en", "tok\"en-long", "1"].map(str::to_owned).into_iter());
        assert_eq!(mask.apply("a tok\"en-long b tok\"en 1"), "a *** b *** 1");
        assert_eq!(mask.apply(r#"{"k":"tok\"en"}"#), r#"{"k":"***"}"#);
    }
}
