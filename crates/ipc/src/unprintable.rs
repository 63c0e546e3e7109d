//! Which characters of foreign text a person must not be shown as they are.

/// Whether a terminal obeys this character instead of showing it, or shows nothing: control characters (line feeds and tabs
/// too), line and paragraph separators, marks that turn the direction of what follows so that a text reads as another one
/// (Unicode UAX #9), characters that join or part others unseen, and those that carry text for programs only.
pub fn is_unprintable(c: char) -> bool {
    let hides = matches!(
        c,
        '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}'
            | '\u{e0000}'..='\u{e007f}'
    );
    hides || c.is_control()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_seen_or_moves_other_text_is_unprintable_and_letters_are_not() {
        let unseen =
            "\0\u{1b}\u{9b}\r\n\t\u{61c}\u{200b}\u{200e}\u{2028}\u{202e}\u{2060}\u{2065}\u{2069}\u{feff}\u{e0041}";
        assert!(unseen.chars().all(is_unprintable));
        assert!(!"aé漢 –👩".chars().any(is_unprintable));
    }
}
