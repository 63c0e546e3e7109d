//! The words of one server's tools, and where they are.

use std::{ops::Range, sync::Arc};

use hashbrown::HashMap;

use crate::{Document, vocabulary::Vocabulary, words::for_each_word};

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

/// How often a stem is in a tool, which is given by its place.
pub(crate) type Posting = (u32, FieldCounts);

/// The words of the tools of one server. Made when its catalogue changes, and searched together with others.
#[derive(Debug, Default)]
pub struct Segment {
    /// By stem, where its postings are.
    stems: HashMap<Arc<str>, Range<u32>>,
    /// Those of one stem together, in the order of the tools.
    postings: Vec<Posting>,
    /// How many words each field of a tool has.
    lengths: Vec<FieldCounts>,
    /// The same of all tools together.
    sums: [u64; FIELDS],
}

impl Segment {
    /// Reads the tools of a server, in their order.
    pub fn build<'t>(server: &str, tools: impl IntoIterator<Item = Document<'t>>) -> Self {
        Vocabulary::lend(|vocabulary| {
            let mut builder = SegmentBuilder::new(vocabulary);
            for tool in tools {
                builder.add(server, &tool);
            }
            builder.finish()
        })
    }

    /// How many tools there are.
    pub fn len(&self) -> usize {
        self.lengths.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.lengths.is_empty()
    }

    pub(crate) fn postings(&self, stem: &str) -> &[Posting] {
        let found = self.stems.get(stem).and_then(|range| self.postings.get(range.start as usize..range.end as usize));
        found.unwrap_or_default()
    }

    pub(crate) fn stems(&self) -> impl Iterator<Item = &str> {
        self.stems.keys().map(AsRef::as_ref)
    }

    pub(crate) fn lengths(&self, tool: u32) -> &FieldCounts {
        &self.lengths[tool as usize]
    }

    pub(crate) fn sums(&self) -> &[u64; FIELDS] {
        &self.sums
    }
}

/// The place of a stem that is not in a segment.
const ABSENT: usize = usize::MAX;

/// A stem of a segment that is being made.
struct FoundStem {
    /// Its number in the vocabulary.
    number: usize,
    /// In how many tools it is.
    tools: u32,
    /// Its last posting.
    last: usize,
}

/// A segment that is being made.
struct SegmentBuilder<'v> {
    vocabulary: &'v mut Vocabulary,
    /// By the number of a stem in the vocabulary, its place among those that are here; [`ABSENT`] for others.
    places: Vec<usize>,
    stems: Vec<FoundStem>,
    /// In the order of the tools, each with the place of its stem.
    postings: Vec<(usize, Posting)>,
    lengths: Vec<FieldCounts>,
    sums: [u64; FIELDS],
}

impl<'v> SegmentBuilder<'v> {
    fn new(vocabulary: &'v mut Vocabulary) -> Self {
        Self {
            vocabulary,
            places: Vec::new(),
            stems: Vec::new(),
            postings: Vec::new(),
            lengths: Vec::new(),
            sums: [0; FIELDS],
        }
    }

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
            let word = self.vocabulary.word(word);
            // A tool may be called by such words alone: `get`.
            if word.says_nothing && field != Field::Name {
                return;
            }
            let count = &mut self.posting(word.stem, tool)[field as usize];
            *count = count.saturating_add(1);
            let length = &mut self.lengths[tool][field as usize];
            *length = length.saturating_add(1);
        });
    }

    /// The counts of a stem in the tool that is being read.
    fn posting(&mut self, number: usize, tool: usize) -> &mut FieldCounts {
        let tool = u32::try_from(tool).unwrap_or(u32::MAX);
        let next = self.postings.len();
        if self.places.len() <= number {
            self.places.resize(number + 1, ABSENT);
        }
        let place = &mut self.places[number];
        if *place == ABSENT {
            *place = self.stems.len();
            self.stems.push(FoundStem { number, tools: 0, last: next });
        }
        let place = *place;
        let stem = &mut self.stems[place];
        if self.postings.get(stem.last).is_none_or(|(_, (last, _))| *last != tool) {
            stem.tools += 1;
            stem.last = next;
            self.postings.push((place, (tool, FieldCounts::default())));
        }
        let (_, (_, counts)) = &mut self.postings[stem.last];
        counts
    }

    fn finish(self) -> Segment {
        let mut begin = 0;
        let ranges = self.stems.iter().map(|stem| {
            let range = begin..begin + stem.tools;
            begin = range.end;
            range
        });
        let ranges: Vec<Range<u32>> = ranges.collect();
        let mut next: Vec<usize> = ranges.iter().map(|range| range.start as usize).collect();
        let mut postings = vec![Posting::default(); self.postings.len()];
        for (place, posting) in self.postings {
            postings[next[place]] = posting;
            next[place] += 1;
        }
        let stems = self.stems.iter().map(|stem| self.vocabulary.stem(stem.number).clone());
        Segment { stems: stems.zip(ranges).collect(), postings, lengths: self.lengths, sums: self.sums }
    }
}
