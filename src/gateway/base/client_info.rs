//! A client's own description in `initialize`: name, version and capabilities.

use std::{fmt, rc::Rc};

use mcproxy_mcp::{ClientCapabilities, RawObject};

/// Most bytes of a client's name and version that are remembered.
const MAX_NAME: usize = 64;
const MAX_VERSION: usize = 32;

/// A client's own description in `initialize`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Client {
    /// Its name, shortened.
    pub(crate) name: Box<str>,
    /// The version of it, shortened.
    pub(crate) version: Box<str>,
    /// Its features.
    pub(crate) features: ClientCapabilities,
}

/// `name/version` of a `clientInfo`, shortened; `None`: it has no name.
pub(crate) fn label(info: &RawObject<'_>) -> Option<Rc<str>> {
    let client = Client::named(info);
    (!client.name.is_empty()).then(|| client.label())
}

impl Client {
    fn named(info: &RawObject<'_>) -> Self {
        let text = |key: &str, most: usize| -> Box<str> {
            let text = info.get_string(key).unwrap_or_default();
            text[..text.floor_char_boundary(most)].into()
        };
        Self { name: text("name", MAX_NAME), version: text("version", MAX_VERSION), ..Self::default() }
    }

    /// `name/version`.
    pub(crate) fn label(&self) -> Rc<str> {
        match (&*self.name, &*self.version) {
            (name, "") => name.into(),
            (name, version) => format!("{name}/{version}").into(),
        }
    }

    /// From the params of `initialize`; what is missing stays empty.
    pub(crate) fn read(params: &RawObject<'_>) -> Self {
        let info = params.get_object("clientInfo").unwrap_or_default();
        let capabilities = params.get_object("capabilities").unwrap_or_default();
        Self { features: ClientCapabilities::read(&capabilities), ..Self::named(&info) }
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
        assert_eq!(client.features, ClientCapabilities(0b1010_0101));
        assert_eq!(read("{}"), Client::default());
        assert_eq!(read(r#"{"clientInfo":3,"capabilities":[]}"#), Client::default());
    }

    #[test]
    fn long_names_are_cut_between_characters() {
        let client = read(&format!(r#"{{"clientInfo":{{"name":"{}"}}}}"#, "ü".repeat(100)));
        assert_eq!(client.name.len(), MAX_NAME);
        let client = read(&format!(r#"{{"clientInfo":{{"name":"a{}"}}}}"#, "ü".repeat(100)));
        assert_eq!(client.name.len(), MAX_NAME - 1);
    }
}
