//! BM25F (Robertson, Zaragoza: "The Probabilistic Relevance Framework: BM25 and Beyond", 2009) over segments.

use std::{
    cmp::Ordering,
    collections::{BTreeMap, BTreeSet},
};

use crate::{
    Segment,
    segment::{FIELDS, FieldCounts},
    synonyms::{LIKENESS, Synonyms},
    words::{Stemmers, for_each_word, is_stop_word, stem},
};

/// How much a word counts in each field: the tool's name, the server's, what the tool does, its parameters, what they are for.
const WEIGHTS: [f32; FIELDS] = [3.0, 2.0, 1.0, 0.5, 0.5];
/// How fast a word that is there again counts less.
const K1: f32 = 1.2;
/// How much a long field counts less than a short one, from 0 to 1.
const B: f32 = 0.5;
/// How much a tool that has all words of the query counts more than one that has hardly any.
const COORDINATION: f32 = 0.5;
/// Of a query so many different words are looked for.
const MAX_WORDS: usize = 64;
/// How much a word counts that is written almost as one of the query.
const NEARNESS: f32 = 0.5;

/// A tool that was found.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Hit {
    /// Whose it is: the place of the segment.
    pub segment: usize,
    /// Its place among the tools of that segment.
    pub tool: usize,
    /// How well it fits, above 0; to be compared with other hits of the same search only.
    pub score: f32,
}

/// What a search needs besides the segments.
struct WordTables {
    stemmers: Stemmers,
    synonyms: Synonyms,
}

thread_local! {
    static TABLES: WordTables = {
        let stemmers = Stemmers::new();
        let synonyms = Synonyms::new(&stemmers);
        WordTables { stemmers, synonyms }
    };
}

/// The tools that have a word of the query or one of like meaning, best first; of equals in their order. Where no tool has one, those
/// with a word that is written almost alike or begins with one of the query.
pub fn search(segments: &[&Segment], query: &str) -> Vec<Hit> {
    TABLES.with(|tables| {
        let wanted = wanted_words(tables, query);
        let mut hits = rank(segments, &wanted);
        if hits.is_empty() {
            let near: Vec<_> =
                wanted.into_iter().map(|word| QueryWord { forms: near(segments, &word), ..word }).collect();
            hits = rank(segments, &near);
        }
        hits
    })
}

/// A word of the query.
struct QueryWord {
    /// The stems that will do, and how much each counts: its own first.
    forms: Vec<(String, f32)>,
    /// How much the word counts, since it is there more than once.
    weight: f32,
}

/// The words of a query. Those that say nothing are left out, unless there are no others.
fn wanted_words(tables: &WordTables, query: &str) -> Vec<QueryWord> {
    let mut counts: BTreeMap<String, u16> = BTreeMap::new();
    let mut silent: BTreeMap<String, u16> = BTreeMap::new();
    for_each_word(query, |word| {
        let counts = if is_stop_word(word) { &mut silent } else { &mut counts };
        let stem = stem(&tables.stemmers, word);
        if let Some(count) = counts.get_mut(stem.as_ref()) {
            *count = count.saturating_add(1);
        } else if counts.len() < MAX_WORDS {
            counts.insert(stem.into_owned(), 1);
        }
    });
    let words = if counts.is_empty() { silent } else { counts };
    let wanted = words.into_iter().map(|(stem, count)| {
        let mut forms: Vec<_> = tables.synonyms.of(&stem).iter().map(|other| (other.clone(), LIKENESS)).collect();
        forms.insert(0, (stem, 1.0));
        QueryWord { forms, weight: 1.0 + f32::from(count).ln() }
    });
    wanted.collect()
}

fn rank(segments: &[&Segment], wanted: &[QueryWord]) -> Vec<Hit> {
    let statistics = Statistics::of(segments);
    let mut begins = Vec::with_capacity(segments.len());
    let mut tools = 0;
    for segment in segments {
        begins.push(tools);
        tools += segment.len();
    }
    // By tool, those of all segments in a row: the sum of what it got, and for how many words.
    let mut sums = vec![(0.0_f32, 0_u16); tools];
    // What each tool gets for one word: its best form. Zero again after each word.
    let mut best = vec![0.0_f32; tools];
    let mut touched = Vec::new();
    for word in wanted {
        for (stem, likeness) in &word.forms {
            let postings: Vec<_> = segments.iter().map(|segment| segment.postings(stem)).collect();
            let rarity = statistics.rarity(postings.iter().map(|postings| postings.len()).sum());
            for ((segment, begin), postings) in segments.iter().zip(&begins).zip(postings) {
                for (tool, counts) in postings {
                    let frequency = statistics.frequency(counts, segment.lengths(*tool));
                    let score = likeness * rarity * frequency / (frequency + K1);
                    let place = begin + *tool as usize;
                    if best[place] == 0.0 {
                        touched.push(place);
                    }
                    best[place] = best[place].max(score);
                }
            }
        }
        for place in touched.drain(..) {
            let (sum, words) = &mut sums[place];
            *sum += word.weight * std::mem::take(&mut best[place]);
            *words = words.saturating_add(1);
        }
    }
    let all = f32::from(u16::try_from(wanted.len()).unwrap_or(u16::MAX).max(1));
    let hits = begins.iter().zip(segments).enumerate().flat_map(|(at, (begin, segment))| {
        let own = sums[*begin..begin + segment.len()].iter().enumerate().filter(|(_, (_, words))| *words > 0);
        own.map(move |(tool, (sum, words))| Hit {
            segment: at,
            tool,
            score: sum * (1.0 + COORDINATION * f32::from(*words) / all),
        })
    });
    let mut hits: Vec<Hit> = hits.collect();
    hits.sort_unstable_by(by_score);
    hits
}

fn by_score(one: &Hit, other: &Hit) -> Ordering {
    other.score.total_cmp(&one.score).then((one.segment, one.tool).cmp(&(other.segment, other.tool)))
}

/// What is known of all tools together.
struct Statistics {
    tools: f32,
    /// The mean number of words, by field.
    means: [f32; FIELDS],
}

impl Statistics {
    #[expect(clippy::cast_precision_loss, reason = "a mean needs no more")]
    fn of(segments: &[&Segment]) -> Self {
        let tools = segments.iter().map(|segment| segment.len()).sum::<usize>() as f32;
        let mut sums = [0; FIELDS];
        for segment in segments {
            sums.iter_mut().zip(segment.sums()).for_each(|(sum, own)| *sum += own);
        }
        Self { tools, means: sums.map(|sum| (sum as f32 / tools.max(1.0)).max(1.0)) }
    }

    /// How much a word says that is in so many tools.
    #[expect(clippy::cast_precision_loss, reason = "a count of tools")]
    fn rarity(&self, tools: usize) -> f32 {
        let tools = tools as f32;
        (1.0 + (self.tools - tools + 0.5) / (tools + 0.5)).ln()
    }

    /// How often a word is in a tool, each field by its weight and length.
    fn frequency(&self, counts: &FieldCounts, lengths: &FieldCounts) -> f32 {
        let fields = WEIGHTS.iter().zip(counts.iter().zip(lengths).zip(self.means));
        fields
            .filter(|(_, ((count, _), _))| **count > 0)
            .map(|(weight, ((count, length), mean))| {
                weight * f32::from(*count) / (1.0 - B + B * f32::from(*length) / mean)
            })
            .sum()
    }
}

/// The stems that are written almost as the word, or begin with it.
fn near(segments: &[&Segment], word: &QueryWord) -> Vec<(String, f32)> {
    let Some((own, _)) = word.forms.first() else { return Vec::new() };
    let length = own.chars().count();
    let far = match length {
        0..4 => 0,
        4..8 => 1,
        _ => 2,
    };
    let is_near = |stem: &str| {
        let begins = length >= 2 && stem.starts_with(own.as_str());
        begins || (far > 0 && stem.len().abs_diff(own.len()) <= 2 * far && strsim::osa_distance(stem, own) <= far)
    };
    let stems: BTreeSet<&str> = segments.iter().flat_map(|segment| segment.stems()).collect();
    stems.into_iter().filter(|stem| is_near(stem)).map(|stem| (stem.to_owned(), NEARNESS)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Document;

    fn tool<'t>(name: &'t str, description: &'t str) -> Document<'t> {
        Document { name: name.into(), description: Some(description.into()), ..Document::default() }
    }

    fn segments() -> [Segment; 3] {
        [
            Segment::build(
                "files",
                [
                    tool("list_directory", "Lists what is in a directory"),
                    tool("read_file", "Reads a file"),
                    tool("move_file", "Moves or renames a file"),
                ],
            ),
            Segment::build(
                "git",
                [
                    tool("git_diff", "Shows differences between branches or commits"),
                    tool("git_diff_staged", "Shows changes that are staged for commit"),
                    tool("git_log", "Shows the commits"),
                ],
            ),
            Segment::build("weather", [tool("get", "天気予報を調べる"), tool("alerts", "Warnings of storms")]),
        ]
    }

    fn found(query: &str) -> Vec<(usize, usize)> {
        let segments = segments();
        search(&segments.each_ref(), query).iter().map(|hit| (hit.segment, hit.tool)).collect()
    }

    #[test]
    fn a_name_is_found_by_itself_and_before_longer_ones() {
        assert_eq!(found("git_diff")[..2], [(1, 0), (1, 1)]);
        assert_eq!(found("diff")[..2], [(1, 0), (1, 1)]);
    }

    #[test]
    fn inflection_and_words_of_like_meaning_are_no_hindrance() {
        assert_eq!(found("what is in my folders?")[0], (0, 0));
        assert_eq!(found("renaming files")[0], (0, 2));
        assert_eq!(found("compare two branches")[0], (1, 0));
    }

    #[test]
    fn any_script_is_searched() {
        assert_eq!(found("天気"), [(2, 0)]);
    }

    #[test]
    fn words_that_say_nothing_count_where_there_are_no_others() {
        assert_eq!(found("get"), [(2, 0)]);
        assert!(!found("get the commits").contains(&(2, 0)));
    }

    #[test]
    fn a_word_half_typed_or_mistyped_is_understood_where_nothing_else_is() {
        assert_eq!(found("wether"), [(2, 0), (2, 1)]);
        assert_eq!(found("stor"), [(2, 1)]);
        assert!(found("zzzz").is_empty());
        assert!(found("").is_empty());
    }

    #[test]
    fn servers_without_tools_are_searched_as_well() {
        assert!(search(&[], "x").is_empty());
        assert!(search(&[&Segment::default()], "x").is_empty());
    }

    proptest::proptest! {
        #[test]
        fn any_query_is_answered_in_order(query in ".{0,200}") {
            let segments = segments();
            let hits = search(&segments.each_ref(), &query);
            proptest::prop_assert!(hits.is_sorted_by(|one, other| one.score >= other.score));
            proptest::prop_assert!(hits.iter().all(|hit| hit.score > 0.0 && hit.tool < segments[hit.segment].len()));
        }
    }
}
