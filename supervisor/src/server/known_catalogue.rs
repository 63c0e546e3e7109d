//! Facts about a server while it does not run: whether its catalogue is cached, and which era of MCP it speaks. The catalogue
//! itself does not pass through the supervisor.

use std::{
    fs,
    io::{self, Read as _},
    path::{Path, PathBuf},
};

use mcproxy_config::ServerConfig;
use mcproxy_ipc::{
    CatalogueCounts, CatalogueKey, EraEvidence, ServerDescription, data::ServerEra, disk::on_disk, kept_file,
};
use slog::{Logger, debug};

/// Longest file with an era that is read, in bytes.
const MAX_FILE: u64 = 1024;

/// The facts about it.
#[derive(Debug)]
pub(super) struct KnownCatalogue {
    /// Its description of itself before it came to rest.
    pub(super) description: Option<ServerDescription>,
    /// The key that it is kept under.
    pub(super) key: Option<CatalogueKey>,
    /// Where its catalogue is kept.
    pub(super) file: Option<PathBuf>,
    /// It was ready before, now or when its catalogue was kept: others can list what it offers.
    pub(super) known: bool,
    /// How much of its offer clients see, once the gateway has said so.
    pub(super) shown: Option<CatalogueCounts>,
    verdict: Option<EraVerdict>,
    verdict_file: Option<PathBuf>,
}

impl KnownCatalogue {
    /// Of a server that has not said anything yet; `dir` is where catalogues are kept.
    pub(super) fn kept(config: &ServerConfig, dir: Option<&Path>) -> Self {
        let key = config.catalogue_key();
        let place = dir.zip(key);
        let file = place.map(|(dir, key)| dir.join(key.file_name(&config.name)));
        let known = file.as_ref().is_some_and(|file| file.is_file());
        let verdict_file = place.map(|(dir, key)| dir.join(key.era_file_name(&config.name)));
        let verdict = verdict_file.as_deref().and_then(EraVerdict::read);
        Self { description: None, key, file, known, shown: None, verdict, verdict_file }
    }

    /// Which era it spoke when it last ran.
    pub(super) fn era(&self) -> Option<ServerEra> {
        self.verdict.as_ref().map(|verdict| verdict.era)
    }

    /// It runs, and has said this about itself.
    pub(super) fn ran(&mut self, description: &ServerDescription, log: &Logger) {
        self.known = true;
        self.keep(EraVerdict::after(self.verdict.as_ref(), description), log);
    }

    /// It runs, and what it speaks was found out too late for that.
    pub(super) fn learned(&mut self, era: ServerEra, description: &ServerDescription, log: &Logger) {
        self.keep(Some(EraVerdict::of(era, description)), log);
    }

    fn keep(&mut self, verdict: Option<EraVerdict>, log: &Logger) {
        if verdict == self.verdict {
            return;
        }
        if let Some(file) = self.verdict_file.clone() {
            let (log, text) = (log.clone(), verdict.as_ref().map(EraVerdict::to_text));
            // The disk may be slow. What is not kept is found out again at the next start.
            tokio::spawn(on_disk(move || {
                let kept = match text {
                    Some(text) => kept_file::replace(&file, text.as_bytes()),
                    None => fs::remove_file(&file),
                };
                if let Err(error) = kept {
                    debug!(log, "server's era cannot be kept for its next start"; "error" => %error);
                }
            }));
        }
        self.verdict = verdict;
    }
}

/// The era that a server turned out to speak.
#[derive(Debug, Clone, PartialEq, Eq)]
struct EraVerdict {
    era: ServerEra,
    /// Name and version of what said so.
    software: String,
}

impl EraVerdict {
    /// Its last line. A file without it was written when silence still counted for an answer, and is not believed.
    const PROVEN: &str = "proven";

    fn of(era: ServerEra, description: &ServerDescription) -> Self {
        Self { era, software: format!("{} {}", description.name, description.version) }
    }

    /// The facts after a run. Another version of a server that was not asked may speak another era, so it is asked
    /// at its next start. (One that speaks 2026-07-28 is asked at each.)
    fn after(before: Option<&Self>, description: &ServerDescription) -> Option<Self> {
        let now = Self::of(description.era, description);
        let was = before.map(|before| before.era);
        let unasked = (was, now.era) == (Some(ServerEra::Legacy), ServerEra::Legacy)
            && before.is_some_and(|before| before.software != now.software);
        match description.evidence {
            EraEvidence::Configuration | EraEvidence::Silence => before.cloned(),
            // It spoke 2026-07-28, and may have ended for any reason: the next start asks again.
            EraEvidence::End if was == Some(ServerEra::Modern) => None,
            EraEvidence::Answer | EraEvidence::End => (!unasked).then_some(now),
        }
    }

    fn to_text(&self) -> String {
        format!("{}\n{}\n{}\n", self.era, self.software, Self::PROVEN)
    }

    fn from_text(text: &str) -> Option<Self> {
        let (era, rest) = text.split_once('\n')?;
        // The last line break says that nothing is cut off.
        let software = rest.strip_suffix('\n')?.strip_suffix(Self::PROVEN)?.strip_suffix('\n')?;
        Some(Self { era: ServerEra::parse(era)?, software: software.to_owned() })
    }

    fn read(file: &Path) -> Option<Self> {
        let read = || -> io::Result<String> {
            let mut text = String::new();
            kept_file::open(file)?.take(MAX_FILE).read_to_string(&mut text)?;
            Ok(text)
        };
        Self::from_text(&read().ok()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn described(era: ServerEra, version: &str) -> ServerDescription {
        ServerDescription {
            era,
            evidence: EraEvidence::Answer,
            probe: String::new(),
            protocol_version: String::new(),
            name: "n".to_owned(),
            version: version.to_owned(),
            counts: CatalogueCounts::default(),
        }
    }

    #[test]
    fn a_server_of_another_version_is_asked_again_unless_it_always_is() {
        let first = EraVerdict::after(None, &described(ServerEra::Legacy, "1"));
        assert_eq!(first.as_ref().map(|verdict| verdict.era), Some(ServerEra::Legacy));
        assert_eq!(EraVerdict::after(first.as_ref(), &described(ServerEra::Legacy, "1")), first);
        assert_eq!(EraVerdict::after(first.as_ref(), &described(ServerEra::Legacy, "2")), None);
        let modern = EraVerdict::after(first.as_ref(), &described(ServerEra::Modern, "2"));
        assert_eq!(modern.as_ref().map(|verdict| verdict.era), Some(ServerEra::Modern));
        let newer = EraVerdict::after(modern.as_ref(), &described(ServerEra::Modern, "3"));
        assert_eq!(newer.map(|verdict| verdict.software), Some("n 3".to_owned()));
    }

    #[test]
    fn only_answers_are_remembered() {
        let by = |evidence, era| ServerDescription { evidence, ..described(era, "1") };
        let (legacy, modern) =
            (EraVerdict::of(ServerEra::Legacy, &described(ServerEra::Legacy, "1")), ServerEra::Modern);
        let modern = EraVerdict::of(modern, &described(modern, "1"));
        let after = |before: Option<&EraVerdict>, evidence, era| EraVerdict::after(before, &by(evidence, era));
        assert_eq!(after(None, EraEvidence::Silence, ServerEra::Legacy), None);
        assert_eq!(after(Some(&modern), EraEvidence::Silence, ServerEra::Legacy), Some(modern.clone()));
        assert_eq!(after(Some(&modern), EraEvidence::Answer, ServerEra::Legacy), Some(legacy.clone()));
        // A configured era says nothing about the server.
        assert_eq!(after(None, EraEvidence::Configuration, ServerEra::Legacy), None);
        assert_eq!(after(Some(&modern), EraEvidence::Configuration, ServerEra::Legacy), Some(modern.clone()));
        // One end is an answer of a server of which nothing is known, and a doubt of one that spoke 2026-07-28.
        assert_eq!(after(None, EraEvidence::End, ServerEra::Legacy), Some(legacy));
        assert_eq!(after(Some(&modern), EraEvidence::End, ServerEra::Legacy), None);
    }

    #[test]
    fn what_silence_may_have_said_before_there_was_proof_is_not_believed() {
        assert_eq!(EraVerdict::from_text("legacy\nn 1\n"), None);
    }

    #[test]
    fn what_is_kept_is_read_again_and_what_is_cut_is_nothing() {
        let verdict = EraVerdict { era: ServerEra::Modern, software: "n 1".to_owned() };
        let text = verdict.to_text();
        assert_eq!(EraVerdict::from_text(&text), Some(verdict));
        for end in 0..text.len() {
            assert_eq!(EraVerdict::from_text(&text[..end]), None);
        }
        assert_eq!(EraVerdict::from_text("future\nn 1\n"), None);
    }
}
