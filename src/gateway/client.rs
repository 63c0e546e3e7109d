use std::fmt;

use mcproxy_mcp::RawObject;

/// Most bytes of a client's name and version that are remembered.
const MAX_NAME: usize = 64;
const MAX_VERSION: usize = 32;

/// What a client said of itself in `initialize`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Client {
    /// What it calls itself, shortened.
    pub(crate) name: Box<str>,
    /// The version of it, shortened.
    pub(crate) version: Box<str>,
    /// What it can be asked for.
    pub(crate) features: Features,
}

/// Capabilities of a client: what a server may ask it for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Features(pub(crate) u16);

impl Features {
    /// Where each is in `capabilities`. The place in this list is its bit, so the list only grows.
    const PATHS: [(&'static str, Option<&'static str>); 9] = [
        ("roots", None),
        ("roots", Some("listChanged")),
        ("sampling", None),
        ("sampling", Some("tools")),
        ("sampling", Some("context")),
        ("elicitation", None),
        ("elicitation", Some("form")),
        ("elicitation", Some("url")),
        // Of 2025-11-25; between the client and us.
        ("tasks", None),
    ];

    /// Whether one of the list is among them.
    pub(crate) fn has(self, group: &str, part: Option<&str>) -> bool {
        Self::PATHS.iter().position(|path| *path == (group, part)).is_some_and(|bit| self.0 & 1 << bit != 0)
    }

    /// As `capabilities` of a client, for a server.
    pub(crate) fn to_json(self) -> String {
        let groups = ["roots", "sampling", "elicitation"].into_iter().filter(|group| self.has(group, None));
        let members = groups.map(|group| {
            let parts = Self::PATHS
                .iter()
                .filter_map(|(of, part)| part.filter(|part| of == &group && self.has(of, Some(part))));
            let parts: Vec<String> =
                parts.map(|part| format!("\"{part}\":{}", if part == "listChanged" { "true" } else { "{}" })).collect();
            format!("\"{group}\":{{{}}}", parts.join(","))
        });
        format!("{{{}}}", members.collect::<Vec<_>>().join(","))
    }

    /// From `capabilities`.
    pub(crate) fn read(capabilities: &RawObject<'_>) -> Self {
        let has = |(group, part): (&str, Option<&str>)| {
            let Some(group) = capabilities.get_object(group) else { return false };
            part.is_none_or(|part| group.get(part).is_some_and(|raw| !matches!(raw.get(), "false" | "null")))
        };
        let bits = Self::PATHS.into_iter().enumerate().filter(|(_, path)| has(*path));
        Self(bits.fold(0, |all, (bit, _)| all | 1 << bit))
    }
}

impl Client {
    /// From the params of `initialize`; what is missing stays empty.
    pub(crate) fn read(params: &RawObject<'_>) -> Self {
        let info = params.get_object("clientInfo").unwrap_or_default();
        let text = |key: &str, most: usize| -> Box<str> {
            let text = info.get_string(key).unwrap_or_default();
            text[..text.floor_char_boundary(most)].into()
        };
        let capabilities = params.get_object("capabilities").unwrap_or_default();
        Self {
            name: text("name", MAX_NAME),
            version: text("version", MAX_VERSION),
            features: Features::read(&capabilities),
        }
    }
}

/// For the log.
impl fmt::Display for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.name, self.version)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Client {
        Client::read(&RawObject::from_text(text).expect("an object"))
    }

    #[test]
    fn capabilities_become_bits_and_what_is_missing_stays_empty() {
        let client = read(
            r#"{"clientInfo":{"name":"x","version":"1"},"capabilities":{"roots":{"listChanged":false},"sampling":{},"elicitation":{"url":{}}}}"#,
        );
        assert_eq!((&*client.name, &*client.version), ("x", "1"));
        assert_eq!(client.features, Features(0b1010_0101));
        assert_eq!(read("{}"), Client::default());
        assert_eq!(read(r#"{"clientInfo":3,"capabilities":[]}"#), Client::default());
    }

    #[test]
    fn what_servers_are_told_reads_as_what_the_client_said() {
        for bits in 0..256 {
            let features = Features::read(&RawObject::from_text(&Features(bits).to_json()).expect("an object"));
            assert_eq!(Features::read(&RawObject::from_text(&features.to_json()).expect("an object")), features);
        }
        assert_eq!(Features(0b1010_0101).to_json(), r#"{"roots":{},"sampling":{},"elicitation":{"url":{}}}"#);
    }

    #[test]
    fn long_names_are_cut_between_characters() {
        let client = read(&format!(r#"{{"clientInfo":{{"name":"{}"}}}}"#, "ü".repeat(100)));
        assert_eq!(client.name.len(), MAX_NAME);
        let client = read(&format!(r#"{{"clientInfo":{{"name":"a{}"}}}}"#, "ü".repeat(100)));
        assert_eq!(client.name.len(), MAX_NAME - 1);
    }
}
