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
}
