//! The difference of two texts, word by word.

/// Longest texts, in words, of which the difference is looked for; longer ones are shown whole.
const MAX_WORDS: usize = 1500;

/// The new text with what went in `[-…-]` and what came in `{+…+}`.
pub(super) fn word_diff(before: &str, now: &str) -> String {
    let (old, new): (Vec<&str>, Vec<&str>) = (words(before), words(now));
    if old.len() > MAX_WORDS || new.len() > MAX_WORDS {
        return format!("[-{before}-]{{+{now}+}}");
    }
    let table = common(&old, &new);
    let (mut out, mut at, mut to) = (String::new(), 0, 0);
    let (mut gone, mut come) = (String::new(), String::new());
    let flush = |out: &mut String, gone: &mut String, come: &mut String| {
        if !gone.is_empty() {
            *out += &format!("[-{gone}-]");
        }
        if !come.is_empty() {
            *out += &format!("{{+{come}+}}");
        }
        gone.clear();
        come.clear();
    };
    while at < old.len() || to < new.len() {
        if at < old.len() && to < new.len() && old[at] == new[to] {
            flush(&mut out, &mut gone, &mut come);
            out += new[to];
            (at, to) = (at + 1, to + 1);
        } else if to == new.len() || (at < old.len() && table[at + 1][to] >= table[at][to + 1]) {
            gone += old[at];
            at += 1;
        } else {
            come += new[to];
            to += 1;
        }
    }
    flush(&mut out, &mut gone, &mut come);
    out
}

/// Words, and what is between them, each with nothing left out.
fn words(text: &str) -> Vec<&str> {
    let mut words = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let kind = first.is_alphanumeric();
        let end = rest.find(|c: char| c.is_alphanumeric() != kind).unwrap_or(rest.len());
        let (word, after) = rest.split_at(end);
        words.push(word);
        rest = after;
    }
    words
}

/// The length of the longest common part of what follows two places.
fn common(old: &[&str], new: &[&str]) -> Vec<Vec<u16>> {
    let mut table = vec![vec![0_u16; new.len() + 1]; old.len() + 1];
    for at in (0..old.len()).rev() {
        for to in (0..new.len()).rev() {
            table[at][to] =
                if old[at] == new[to] { table[at + 1][to + 1] + 1 } else { table[at + 1][to].max(table[at][to + 1]) };
        }
    }
    table
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_went_and_what_came_is_marked() {
        assert_eq!(word_diff("Reads a file.", "Reads a secret file."), "Reads a {+secret +}file.");
        assert_eq!(word_diff("a b c", "a c"), "a [-b -]c");
        assert_eq!(word_diff("old", "new"), "[-old-]{+new+}");
        assert_eq!(word_diff("", "new"), "{+new+}");
        assert_eq!(word_diff("same", "same"), "same");
    }

    proptest! {
        #[test]
        fn both_texts_can_be_read_off_it(before in "[ab .]{0,20}", now in "[ab .]{0,20}") {
            let diff = word_diff(&before, &now);
            let without = |open: &str, close: &str| {
                let mut text = diff.clone();
                while let Some(at) = text.find(open) {
                    let end = at + text[at..].find(close).expect("it is closed") + close.len();
                    text.replace_range(at..end, "");
                }
                text
            };
            prop_assert_eq!(without("[-", "-]").replace("{+", "").replace("+}", ""), now);
            prop_assert_eq!(without("{+", "+}").replace("[-", "").replace("-]", ""), before);
        }
    }
}
