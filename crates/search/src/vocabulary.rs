//! Words that were read before, with their stems: the servers of one installation use the same words, and to stem a word takes longer than
//! all else that is done with it.

use std::{cell::RefCell, sync::Arc};

use hashbrown::HashMap;

use crate::words::{Stemmers, is_stop_word, stem};

/// With more words than these a vocabulary is forgotten before the next segment is made: about 3 MiB. One segment may add as many as its
/// catalogue has.
const MAX_WORDS: usize = 30_000;

/// What is known of a word.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Word {
    /// The number of its stem.
    pub(crate) stem: usize,
    /// It is one of those that say nothing.
    pub(crate) says_nothing: bool,
}

/// All words that were read.
pub(crate) struct Vocabulary {
    stemmers: Stemmers,
    words: HashMap<Box<str>, Word>,
    numbers: HashMap<Arc<str>, usize>,
    /// By number.
    stems: Vec<Arc<str>>,
}

thread_local! {
    static VOCABULARY: RefCell<Vocabulary> = RefCell::new(Vocabulary::new());
}

impl Vocabulary {
    fn new() -> Self {
        Self { stemmers: Stemmers::new(), words: HashMap::new(), numbers: HashMap::new(), stems: Vec::new() }
    }

    /// Lends this thread's vocabulary. The numbers of stems hold until `read` returns.
    pub(crate) fn lend<T>(read: impl FnOnce(&mut Self) -> T) -> T {
        VOCABULARY.with_borrow_mut(|vocabulary| {
            if vocabulary.words.len() > MAX_WORDS {
                *vocabulary = Self::new();
            }
            read(vocabulary)
        })
    }

    /// Looks up a word in small letters.
    pub(crate) fn word(&mut self, text: &str) -> Word {
        if let Some(word) = self.words.get(text) {
            return *word;
        }
        let stem = stem(&self.stemmers, text);
        let stem = match self.numbers.get(stem.as_ref()) {
            Some(number) => *number,
            None => {
                let (text, number): (Arc<str>, _) = (stem.as_ref().into(), self.stems.len());
                self.numbers.insert(text.clone(), number);
                self.stems.push(text);
                number
            }
        };
        let word = Word { stem, says_nothing: is_stop_word(text) };
        self.words.insert(text.into(), word);
        word
    }

    /// The text of a stem, by its number.
    pub(crate) fn stem(&self, number: usize) -> &Arc<str> {
        &self.stems[number]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_one_stem_have_its_number() {
        let mut vocabulary = Vocabulary::new();
        let one = vocabulary.word("directories");
        let other = vocabulary.word("directory");
        assert_eq!((one.stem, one.says_nothing), (other.stem, false));
        assert_ne!(vocabulary.word("the").stem, one.stem);
        assert!(vocabulary.word("the").says_nothing);
        assert_eq!(vocabulary.stem(one.stem).as_ref(), "directori");
    }

    #[test]
    fn too_many_words_are_forgotten_before_the_next_segment() {
        let words = || Vocabulary::lend(|vocabulary| vocabulary.words.len());
        Vocabulary::lend(|vocabulary| {
            for number in 0..=MAX_WORDS {
                vocabulary.word(&format!("w{number}"));
            }
            assert_eq!(vocabulary.words.len(), MAX_WORDS + 1, "not while they are read");
        });
        assert_eq!(words(), 0);
    }
}
