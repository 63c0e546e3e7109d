//! The words of one server's tools, and where they are.

use hashbrown::HashMap;

use crate::{
    Document,
    words::{Stemmers, for_each_word, is_stop_word, stem},
};

/// How many fields a tool has.
pub(crate) const FIELDS: usize = 5;

/// Of one text so many words are read: what a tool does stands at its beginning.
const MAX_WORDS: usize = 1000;
/// Of one tool so many parameters are read.
const MAX_PARAMETERS: usize = 100;

/// A field of a tool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Field {
    /// Its name, and its title.
    Name,
    /// The name of its server.
    Server,
    /// What it does.
    Description,
    /// The names of its parameters.
    Parameters,
    /// What they are for.
    ParameterDescriptions,
}

/// How often a word is in each field.
pub(crate) type FieldCounts = [u16; FIELDS];

/// The words of the tools of one server. Made when its catalogue changes, and searched together with others.
#[derive(Debug, Default)]
pub struct Segment {
    /// By stem: in which tools, by their place, and how often.
    postings: HashMap<Box<str>, Vec<(u32, FieldCounts)>>,
    /// How many words each field of a tool has.
    lengths: Vec<FieldCounts>,
    /// The same of all tools together.
    sums: [u64; FIELDS],
}

impl Segment {
    /// Reads the tools of a server, in their order.
    pub fn build<'t>(server: &str, tools: impl IntoIterator<Item = Document<'t>>) -> Self {
        let mut builder = SegmentBuilder::default();
        for tool in tools {
            builder.add(server, &tool);
        }
        builder.finish()
    }

    /// How many tools there are.
    pub fn len(&self) -> usize {
        self.lengths.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.lengths.is_empty()
    }

    pub(crate) fn postings(&self, stem: &str) -> &[(u32, FieldCounts)] {
        self.postings.get(stem).map_or(&[], Vec::as_slice)
    }

    pub(crate) fn stems(&self) -> impl Iterator<Item = &str> {
        self.postings.keys().map(AsRef::as_ref)
    }

    pub(crate) fn lengths(&self, tool: u32) -> &FieldCounts {
        &self.lengths[tool as usize]
    }

    pub(crate) fn sums(&self) -> &[u64; FIELDS] {
        &self.sums
    }
}

/// A segment that is being made. Each word is stemmed once, however often it is there.
struct SegmentBuilder {
    stemmers: Stemmers,
    /// By word, the number of its stem.
    known: HashMap<Box<str>, usize>,
    /// By stem, its number: where its postings are.
    numbers: HashMap<Box<str>, usize>,
    postings: Vec<Vec<(u32, FieldCounts)>>,
    lengths: Vec<FieldCounts>,
    sums: [u64; FIELDS],
}

impl Default for SegmentBuilder {
    fn default() -> Self {
        Self {
            stemmers: Stemmers::new(),
            known: HashMap::new(),
            numbers: HashMap::new(),
            postings: Vec::new(),
            lengths: Vec::new(),
            sums: [0; FIELDS],
        }
    }
}

impl SegmentBuilder {
    fn add(&mut self, server: &str, tool: &Document<'_>) {
        self.lengths.push(FieldCounts::default());
        self.text(Field::Server, server);
        self.text(Field::Name, &tool.name);
        self.text(Field::Name, tool.title.as_deref().unwrap_or_default());
        self.text(Field::Description, tool.description.as_deref().unwrap_or_default());
        for parameter in tool.parameters.iter().take(MAX_PARAMETERS) {
            self.text(Field::Parameters, &parameter.name);
            self.text(Field::ParameterDescriptions, parameter.description.as_deref().unwrap_or_default());
        }
        let lengths = self.lengths.last().copied().unwrap_or_default();
        self.sums.iter_mut().zip(lengths).for_each(|(sum, length)| *sum += u64::from(length));
    }

    fn text(&mut self, field: Field, text: &str) {
        let Some(tool) = self.lengths.len().checked_sub(1) else { return };
        let mut left = MAX_WORDS;
        for_each_word(text, |word| {
            if left == 0 {
                return;
            }
            left -= 1;
            // A tool may be called by such words alone: `get`.
            if field != Field::Name && is_stop_word(word) {
                return;
            }
            let number = number_of(word, &self.stemmers, &mut self.known, &mut self.numbers);
            if number == self.postings.len() {
                self.postings.push(Vec::new());
            }
            let postings = &mut self.postings[number];
            let tool_number = u32::try_from(tool).unwrap_or(u32::MAX);
            if postings.last().is_none_or(|(last, _)| *last != tool_number) {
                postings.push((tool_number, FieldCounts::default()));
            }
            if let Some((_, counts)) = postings.last_mut() {
                counts[field as usize] = counts[field as usize].saturating_add(1);
            }
            let length = &mut self.lengths[tool][field as usize];
            *length = length.saturating_add(1);
        });
    }

    fn finish(self) -> Segment {
        let mut postings = self.postings;
        let by_stem = self.numbers.into_iter().map(|(stem, number)| (stem, std::mem::take(&mut postings[number])));
        Segment { postings: by_stem.collect(), lengths: self.lengths, sums: self.sums }
    }
}

/// The number of a word's stem; a new one is the next that is free.
fn number_of(
    word: &str,
    stemmers: &Stemmers,
    known: &mut HashMap<Box<str>, usize>,
    numbers: &mut HashMap<Box<str>, usize>,
) -> usize {
    if let Some(number) = known.get(word) {
        return *number;
    }
    let next = numbers.len();
    let number = *numbers.entry(stem(stemmers, word).as_ref().into()).or_insert(next);
    known.insert(word.into(), number);
    number
}
