//! Searches of the tools of one view.

use std::{collections::HashSet, sync::Arc};

use mcproxy_search::{Hit, Segment, Vector, fuse, nearest, search};

use super::{
    server::Parts,
    tool_vectors::{TextDigest, ToolVectors},
};

/// Longest query, in bytes; what comes after is not looked for.
const MAX_QUERY: usize = 4096;
/// Of the tools that are like a query so many count: all are like it to some degree.
const NEAREST: usize = 50;

/// The tools of one view, to be searched on whichever thread.
pub(crate) struct Finder(pub(super) Arc<Parts>);

/// The meaning of a query, beside that of tools.
pub(crate) struct Meaning {
    /// The query's.
    pub(crate) query: Vector,
    /// The tools', as far as they are known.
    pub(crate) vectors: Arc<ToolVectors>,
}

/// What is known of the meaning of some tools.
#[derive(Default)]
pub(crate) struct VectorSurvey {
    /// The texts of all of them.
    pub(crate) live: HashSet<TextDigest>,
    /// Texts without a vector, the first of them.
    pub(crate) missing: Vec<(TextDigest, String)>,
}

impl Finder {
    /// The tools that fit the query, best first, of one server or of all. Reads the words of those that were never searched.
    pub(crate) fn find(&self, query: &str, of: Option<&str>, meaning: Option<&Meaning>) -> Vec<Hit> {
        let segments: Vec<&Segment> = self.0.iter().map(|(server, catalogue)| catalogue.segment(server)).collect();
        let mut words = search(&segments, &query[..query.floor_char_boundary(MAX_QUERY)]);
        let is_of =
            |segment: usize| of.is_none_or(|of| self.0.get(segment).is_some_and(|(name, _)| name.as_str() == of));
        words.retain(|hit| is_of(hit.segment));
        let Some(meaning) = meaning else { return words };
        let tools = self.0.iter().enumerate().filter(|(segment, _)| is_of(*segment));
        let tools = tools.flat_map(|(segment, (server, catalogue))| {
            let digests = catalogue.text_digests(server).iter().enumerate();
            digests.filter_map(move |(tool, digest)| Some((segment, tool, meaning.vectors.get(digest)?)))
        });
        fuse(&words, &nearest(&meaning.query, tools, NEAREST))
    }

    /// Takes in what is known of its tools; of texts without a vector no more than so many in all.
    pub(crate) fn survey(&self, vectors: &ToolVectors, most: usize, survey: &mut VectorSurvey) {
        for (server, catalogue) in self.0.iter() {
            for (tool, digest) in catalogue.text_digests(server).iter().enumerate() {
                if survey.live.insert(*digest) && survey.missing.len() < most && vectors.get(digest).is_none() {
                    survey.missing.extend(catalogue.text_of(server, tool).map(|text| (*digest, text)));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use mcproxy_ipc::{ServerName, ToolRules};

    use super::*;
    use crate::gateway::catalogue::ServerCatalogue;

    fn finder() -> Finder {
        let part = |name: &str, tools: &str| {
            let name = ServerName::try_from(name).expect("a name");
            let payload = format!(r#"{{"tools":[{tools}]}}"#);
            let (catalogue, _) =
                ServerCatalogue::read(&name, payload.as_bytes(), &ToolRules::default()).expect("it reads");
            (name, Arc::new(catalogue))
        };
        let tool = |name: &str, description: &str| {
            format!(r#"{{"name":"{name}","description":"{description}","inputSchema":{{"type":"object"}}}}"#)
        };
        let disk = [tool("remove", "Erase a file"), tool("list", "List files")].join(",");
        Finder(Arc::new([part("disk", &disk), part("mail", &tool("send", "Send a message"))]))
    }

    #[test]
    fn a_tool_without_a_word_of_the_query_is_found_by_its_meaning() {
        let finder = finder();
        let mut vectors = ToolVectors::default();
        let mut survey = VectorSurvey::default();
        finder.survey(&vectors, 2, &mut survey);
        assert_eq!((survey.live.len(), survey.missing.len()), (3, 2), "no more than was asked for");
        survey = VectorSurvey::default();
        finder.survey(&vectors, 9, &mut survey);
        let vector = |x: f32, y: f32| Vector::from_numbers(&[x, y]).expect("a direction");
        for (digest, text) in &survey.missing {
            let numbers = if text.contains("Erase") { vector(1.0, 0.0) } else { vector(0.1, 1.0) };
            vectors.insert(*digest, numbers);
        }
        let mut none = VectorSurvey::default();
        finder.survey(&vectors, 9, &mut none);
        assert!(none.missing.is_empty());

        let found = |query: &str, of: Option<&str>, meaning: Option<&Meaning>| {
            finder.find(query, of, meaning).iter().map(|hit| (hit.segment, hit.tool)).collect::<Vec<_>>()
        };
        assert_eq!(found("Datei löschen", None, None), Vec::new());
        let meaning = Meaning { query: vector(1.0, 0.0), vectors: Arc::new(vectors) };
        assert_eq!(found("Datei löschen", None, Some(&meaning))[0], (0, 0));
        assert_eq!(found("Datei löschen", Some("mail"), Some(&meaning)), [(1, 0)], "of that server alone");
        assert_eq!(found("send a message", None, Some(&meaning))[0], (1, 0), "words count as well");
        assert_eq!(found("list files", Some("mail"), None), Vec::new());
    }
}
