//! The known word that a mistyped one most likely meant.

use crate::problem::printable;

/// The nearest of `known`, if it is near enough to be worth a question.
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    if word.len() > 64 {
        return None;
    }
    let lower = word.to_lowercase();
    known
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(&lower, &candidate.to_lowercase()), candidate))
        .filter(|(distance, candidate)| {
            let near = (candidate.len().max(lower.len()) / 3).max(1);
            *distance <= near || (candidate.len() > 2 && lower.starts_with(&candidate.to_lowercase()))
        })
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// `; did you mean …?`, or nothing.
pub(crate) fn did_you_mean<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    nearest(word, known).map(|near| format!("; did you mean `{}`?", printable(near))).unwrap_or_default()
}

/// The known word that this one is but for its spelling: as many slips as a hand makes, one in a short word and two in a
/// long one, and any way of writing several words as one.
pub(crate) fn typo_of<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    if word.len() > 64 {
        return None;
    }
    let plain = |text: &str| -> String {
        text.chars().filter(|c| !matches!(c, '_' | '-' | '.' | ' ')).flat_map(char::to_lowercase).collect()
    };
    let word = plain(word);
    let slips = |candidate: &'a str| {
        let known = plain(candidate);
        let most = match known.len() {
            0..=2 => 0,
            3..=5 => 1,
            _ => 2,
        };
        if known.len().abs_diff(word.len()) > most {
            return None;
        }
        let distance = strsim::damerau_levenshtein(&word, &known);
        (distance <= most).then_some((distance, candidate))
    };
    known.into_iter().filter_map(slips).min_by_key(|(distance, _)| *distance).map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_typo_finds_its_word_and_nonsense_finds_none() {
        let known = ["command", "args", "env", "cwd", "timeout", "maxTimeout"];
        assert_eq!(nearest("comand", known), Some("command"));
        assert_eq!(nearest("Timeout", known), Some("timeout"));
        assert_eq!(nearest("max_timeout", known), Some("maxTimeout"));
        assert_eq!(nearest("environment", known), Some("env"));
        assert_eq!(nearest("zzz", known), None);
    }

    #[test]
    fn a_slip_of_the_hand_is_told_from_another_word() {
        let known =
            ["command", "args", "env", "cwd", "timeout", "maxTimeout", "listen", "auth", "mcpServers", "servers"];
        for (word, meant) in [
            ("comand", "command"),
            ("lisen", "listen"),
            ("max_timeout", "maxTimeout"),
            ("Args", "args"),
            ("evn", "env"),
            ("mcpServer", "mcpServers"),
            ("auht", "auth"),
        ] {
            assert_eq!(typo_of(word, known), Some(meant), "{word}");
        }
        for word in ["environment", "preferences", "url", "headers", "tags", "icon", "globalShortcut", "inputs", ""] {
            assert_eq!(typo_of(word, known), None, "{word}");
        }
    }
}
