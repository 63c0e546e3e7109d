//! How many tokens a text costs a model, about.

/// Letters that one token holds, in the mean of definitions of tools.
const LETTERS: usize = 8;
/// Digits that one token holds (o200k).
const DIGITS: usize = 3;

/// An estimate of how many tokens of o200k a text is, within about 15 % for definitions of tools. Other models count otherwise.
pub fn estimate_tokens(text: &str) -> usize {
    // In eighths of a token.
    let mut eighths = 0;
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let kind = CharKind::of(first);
        let end = match kind {
            CharKind::Other => first.len_utf8(),
            _ => rest.find(|c| CharKind::of(c) != kind).unwrap_or(rest.len()),
        };
        eighths += match kind {
            CharKind::Letter => end.max(LETTERS) * 8 / LETTERS,
            CharKind::Digit => end.div_ceil(DIGITS) * 8,
            // `":{"` is one token.
            CharKind::Mark => end.div_ceil(3) * 7,
            CharKind::Space => 0,
            CharKind::Other => 6,
        };
        rest = &rest[end..];
    }
    eighths.div_ceil(8)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum CharKind {
    Letter,
    Digit,
    Mark,
    Space,
    Other,
}

impl CharKind {
    fn of(c: char) -> Self {
        match c {
            'a'..='z' | 'A'..='Z' => Self::Letter,
            '0'..='9' => Self::Digit,
            // A space belongs to the word behind it.
            '\0'..=' ' => Self::Space,
            '!'..='\u{7f}' => Self::Mark,
            _ => Self::Other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_near_what_a_model_counts() {
        for text in [
            r#"{"name":"create_pull_request","description":"Creates a pull request in a repository and returns its number. The branch must exist.","inputSchema":{"type":"object","properties":{"owner":{"type":"string","description":"Who owns the repository"},"repository":{"type":"string","description":"Its name"},"title":{"type":"string"},"head":{"type":"string","description":"The branch with the changes"},"base":{"type":"string","description":"The branch that they go into","default":"main"},"draft":{"type":"boolean","default":false}},"required":["owner","repository","title","head"]}}"#,
            r#"{"name":"get_forecast","description":"Weather forecast for the next days at a place, hour by hour: temperature in °C, wind in km/h, rain in mm.","inputSchema":{"type":"object","properties":{"latitude":{"type":"number","minimum":-90,"maximum":90},"longitude":{"type":"number","minimum":-180,"maximum":180},"days":{"type":"integer","minimum":1,"maximum":16,"default":7}},"required":["latitude","longitude"],"additionalProperties":false}}"#,
        ] {
            let (counted, estimated) = (bpe_openai::o200k_base().count(text), estimate_tokens(text));
            let off = estimated.abs_diff(counted) * 100 / counted;
            assert!(off <= 15, "{estimated} for {counted}");
        }
        assert_eq!(estimate_tokens(""), 0);
        assert_eq!(estimate_tokens("a"), 1);
    }
}
