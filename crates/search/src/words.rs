//! The words of a text, as they are compared: in small letters, without what inflection added, identifiers taken apart.

use std::borrow::Cow;

use rust_stemmers::{Algorithm, Stemmer};
use unicode_segmentation::UnicodeSegmentation as _;

/// Longest word that is compared as a whole, in bytes; of a longer one (a key, base64) its beginning is.
const MAX_WORD: usize = 48;

/// Words of English that say nothing about what a tool does. They are those of requests: a tool's description has few of them.
const STOP_WORDS: [&str; 97] = [
    "a",
    "about",
    "all",
    "also",
    "an",
    "and",
    "any",
    "are",
    "as",
    "at",
    "be",
    "been",
    "but",
    "by",
    "can",
    "could",
    "did",
    "do",
    "does",
    "each",
    "every",
    "everything",
    "for",
    "from",
    "get",
    "give",
    "given",
    "got",
    "had",
    "has",
    "have",
    "he",
    "her",
    "him",
    "his",
    "how",
    "i",
    "if",
    "in",
    "into",
    "is",
    "it",
    "its",
    "just",
    "like",
    "me",
    "more",
    "my",
    "need",
    "no",
    "not",
    "of",
    "off",
    "on",
    "one",
    "only",
    "or",
    "our",
    "out",
    "please",
    "put",
    "she",
    "should",
    "so",
    "some",
    "than",
    "that",
    "the",
    "their",
    "them",
    "then",
    "there",
    "these",
    "they",
    "this",
    "those",
    "to",
    "up",
    "us",
    "use",
    "used",
    "using",
    "want",
    "was",
    "we",
    "were",
    "what",
    "when",
    "where",
    "which",
    "who",
    "why",
    "will",
    "with",
    "would",
    "you",
    "your",
];

/// Whether a word in small letters says nothing.
pub(crate) fn is_stop_word(word: &str) -> bool {
    STOP_WORDS.binary_search(&word).is_ok()
}

/// Calls `each` with every word of `text`, in small letters and not yet stemmed.
pub(crate) fn for_each_word(text: &str, mut each: impl FnMut(&str)) {
    let mut small = String::new();
    let mut word = |part: &str| {
        if part.len() <= MAX_WORD && part.bytes().all(|byte| byte.is_ascii() && !byte.is_ascii_uppercase()) {
            return each(part);
        }
        small.clear();
        if part.is_ascii() {
            small.extend(part.bytes().take(MAX_WORD).map(|byte| char::from(byte.to_ascii_lowercase())));
        } else {
            small.extend(part.chars().flat_map(char::to_lowercase));
            small.truncate(small.floor_char_boundary(MAX_WORD));
        }
        each(&small)
    };
    if text.is_ascii() {
        return ascii_runs(text, |run, has_capitals| {
            // Only a capital takes an identifier apart, and most words of a text have none.
            if has_capitals {
                parts_of_identifier(run, &mut word);
            } else {
                word(run);
            }
        });
    }
    let mut unspaced = String::new();
    for run in text.unicode_words() {
        // The segmentation gives each ideograph alone, and leaves scripts without spaces in one piece.
        if run.chars().all(is_unspaced) {
            unspaced.push_str(run);
            continue;
        }
        bigrams(&mut unspaced, &mut word);
        run.split(['_', '.', ':', '\'', '’']).for_each(|run| parts_of_identifier(run, &mut word));
    }
    bigrams(&mut unspaced, &mut word);
}

/// The stem of a word in small letters: English of Latin letters, and of other scripts what is written in them most.
pub(crate) fn stem<'w>(stemmers: &Stemmers, word: &'w str) -> Cow<'w, str> {
    let Some(first) = word.chars().next() else { return Cow::Borrowed(word) };
    match first {
        _ if word.is_ascii() => stemmers.english.stem(word),
        'а'..='я' | 'ё' => stemmers.russian.stem(word),
        'α'..='ω' | 'ά'..='ώ' => stemmers.greek.stem(word),
        '\u{620}'..='\u{64a}' => stemmers.arabic.stem(word),
        _ => Cow::Borrowed(word),
    }
}

/// What brings words to their stems.
pub(crate) struct Stemmers {
    english: Stemmer,
    russian: Stemmer,
    greek: Stemmer,
    arabic: Stemmer,
}

impl Stemmers {
    pub(crate) fn new() -> Self {
        let [english, russian, greek, arabic] =
            [Algorithm::English, Algorithm::Russian, Algorithm::Greek, Algorithm::Arabic].map(Stemmer::create);
        Self { english, russian, greek, arabic }
    }
}

/// Calls `each` with every run of letters and digits of an ASCII text, and whether it has a capital.
fn ascii_runs(text: &str, mut each: impl FnMut(&str, bool)) {
    let (mut begin, mut has_capitals) = (0, false);
    for (at, byte) in text.bytes().chain([b' ']).enumerate() {
        if byte.is_ascii_alphanumeric() {
            has_capitals |= byte.is_ascii_uppercase();
            continue;
        }
        if begin < at {
            each(&text[begin..at], has_capitals);
        }
        (begin, has_capitals) = (at + 1, false);
    }
}

/// `readHTTPFile` → `read`, `HTTP`, `File`. Digits stay with the letters before them.
fn parts_of_identifier(run: &str, word: &mut impl FnMut(&str)) {
    let mut begin = 0;
    let mut before = [None, None];
    for (at, c) in run.char_indices() {
        if let [last_but_one, Some((last_at, last))] = before {
            let ends_word = c.is_uppercase() && (char::is_lowercase(last) || char::is_numeric(last));
            // The last capital of a run of them begins the next word.
            let begins_before = c.is_lowercase()
                && char::is_uppercase(last)
                && last_but_one.is_some_and(|(_, c)| char::is_uppercase(c));
            let cut = if ends_word {
                at
            } else if begins_before {
                last_at
            } else {
                begin
            };
            if cut > begin {
                word(&run[begin..cut]);
                begin = cut;
            }
        }
        before = [before[1], Some((at, c))];
    }
    if begin < run.len() {
        word(&run[begin..]);
    }
}

/// Of a text without spaces each two neighbours, since nothing says where its words end.
fn bigrams(text: &mut String, word: &mut impl FnMut(&str)) {
    let ends: Vec<usize> = text.char_indices().map(|(at, _)| at).skip(1).chain([text.len()]).collect();
    match ends.as_slice() {
        [] | [0] => {}
        [only] => word(&text[..*only]),
        ends => {
            let begins = [0].iter().chain(ends);
            begins.zip(&ends[1..]).for_each(|(begin, end)| word(&text[*begin..*end]));
        }
    }
    text.clear();
}

/// Whether a character is of a script whose words are not told apart by spaces (or, in Korean, carry their particles).
fn is_unspaced(c: char) -> bool {
    matches!(u32::from(c),
        0xe00..=0xeff // Thai, Lao
        | 0x1000..=0x109f | 0x1780..=0x17ff // Burmese, Khmer
        | 0x3005..=0x3007 | 0x3040..=0x30ff | 0x31f0..=0x31ff // Japanese
        | 0x3400..=0x4dbf | 0x4e00..=0x9fff | 0xf900..=0xfaff | 0x2_0000..=0x3_ffff // Han
        | 0x1100..=0x11ff | 0x3130..=0x318f | 0xac00..=0xd7af) // Hangul
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        let mut all = Vec::new();
        for_each_word(text, |word| all.push(word.to_owned()));
        all
    }

    #[test]
    fn identifiers_are_taken_apart() {
        assert_eq!(words("git_diff-staged.all"), ["git", "diff", "staged", "all"]);
        assert_eq!(words("readHTTPFile2Disk"), ["read", "http", "file2", "disk"]);
        assert_eq!(words("getBaziDetail ID URLs"), ["get", "bazi", "detail", "id", "ur", "ls"]);
        assert_eq!(words("sha256 of x"), ["sha256", "of", "x"]);
        assert_eq!(words("Größe_der Datei’s"), ["größe", "der", "datei", "s"]);
    }

    #[test]
    fn scripts_without_spaces_become_pairs() {
        assert_eq!(words("天気予報 を"), ["天気", "気予", "予報", "報を"]);
        assert_eq!(words("查"), ["查"]);
        assert_eq!(words("search 天気 now"), ["search", "天気", "now"]);
        assert_eq!(words("파일을"), ["파일", "일을"]);
        assert_eq!(words("ค้นหา").len(), 4);
        assert_eq!(words("फ़ाइल खोजें").len(), 2, "a vowel sign ends no word");
        assert_eq!(words(""), [""; 0]);
    }

    #[test]
    fn stems_are_those_of_the_script() {
        let stemmers = Stemmers::new();
        assert_eq!(stem(&stemmers, "directories"), stem(&stemmers, "directory"));
        assert_eq!(stem(&stemmers, "файлами"), stem(&stemmers, "файлы"));
        assert_eq!(stem(&stemmers, "天気"), "天気");
    }

    #[test]
    fn the_stop_words_are_in_order() {
        assert!(STOP_WORDS.is_sorted());
        assert!(is_stop_word("the") && !is_stop_word("delete"));
    }

    #[test]
    fn a_long_word_is_cut_at_a_character() {
        assert_eq!(words(&"a".repeat(1000))[0].len(), MAX_WORD);
        assert!(words(&"é".repeat(1000))[0].len() <= MAX_WORD);
    }

    proptest::proptest! {
        #[test]
        fn any_text_has_words_of_bounded_length(text in ".{0,200}") {
            for word in words(&text) {
                proptest::prop_assert!(!word.is_empty() && word.len() <= MAX_WORD, "{word:?}");
            }
        }
    }
}
