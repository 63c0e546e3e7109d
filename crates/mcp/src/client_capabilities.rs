//! The features of a client, read from the `capabilities` that it declares.

use crate::RawObject;

/// The features that a client declares. The bits travel in session ids.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ClientCapabilities(pub u16);

impl ClientCapabilities {
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
    pub fn has(self, group: &str, part: Option<&str>) -> bool {
        Self::PATHS.iter().position(|path| *path == (group, part)).is_some_and(|bit| self.0 & 1 << bit != 0)
    }

    /// As `capabilities`, for a server; without tasks, which are between the client and us.
    pub fn to_json(self) -> String {
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

    /// Whether it can be asked to fill in forms. An `elicitation` that names no mode is of forms (MCP 2025-11-25, elicitation,
    /// capabilities).
    pub fn has_forms(self) -> bool {
        self.has("elicitation", Some("form")) || (self.has("elicitation", None) && !self.has_pages())
    }

    /// Whether its user can be asked to visit pages.
    pub fn has_pages(self) -> bool {
        self.has("elicitation", Some("url"))
    }

    /// From `capabilities`.
    pub fn read(capabilities: &RawObject<'_>) -> Self {
        let has = |(group, part): (&str, Option<&str>)| {
            let Some(group) = capabilities.get_object(group) else { return false };
            part.is_none_or(|part| group.get(part).is_some_and(|raw| !matches!(raw.get(), "false" | "null")))
        };
        let bits = Self::PATHS.into_iter().enumerate().filter(|(_, path)| has(*path));
        Self(bits.fold(0, |all, (bit, _)| all | 1 << bit))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> ClientCapabilities {
        ClientCapabilities::read(&RawObject::from_text(text).expect("an object"))
    }

    #[test]
    fn an_elicitation_that_names_no_mode_is_of_forms() {
        let modes = |text| (read(text).has_forms(), read(text).has_pages());
        assert_eq!(modes(r#"{"elicitation":{}}"#), (true, false));
        assert_eq!(modes(r#"{"elicitation":{"url":{}}}"#), (false, true));
        assert_eq!(modes(r#"{"elicitation":{"url":{},"form":{}}}"#), (true, true));
        assert_eq!(modes(r#"{"elicitation":{"form":{}}}"#), (true, false));
        assert_eq!(modes("{}"), (false, false));
    }

    #[test]
    fn what_servers_are_told_reads_as_what_the_client_said() {
        for bits in 0..256 {
            let features = ClientCapabilities::read(
                &RawObject::from_text(&ClientCapabilities(bits).to_json()).expect("an object"),
            );
            assert_eq!(
                ClientCapabilities::read(&RawObject::from_text(&features.to_json()).expect("an object")),
                features
            );
        }
        assert_eq!(ClientCapabilities(0b1010_0101).to_json(), r#"{"roots":{},"sampling":{},"elicitation":{"url":{}}}"#);
    }
}
