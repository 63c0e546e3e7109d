//! The state of a session that changes after `initialize`, written for the next gateway.

use mcproxy_ipc::{MAX_SNAPSHOT, ServerName};
use mcproxy_mcp::{Level, RawValue};
use serde::{Deserialize, Serialize};

use crate::gateway::base::client_declaration::Declaration;

/// The state of a session that changes after `initialize`, for the next gateway. The supervisor keeps it unread.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct SessionSnapshot {
    /// Its log level.
    pub(crate) level: Option<Level>,
    /// The resources that it is subscribed to.
    pub(crate) subscriptions: Vec<(ServerName, String)>,
    /// The declaration of its client, where that is more than the session's id says.
    pub(crate) declaration: Option<Declaration>,
}

#[derive(Serialize, Deserialize, Default)]
struct Written {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    level: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    capabilities: Option<Box<RawValue>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    info: Option<Box<RawValue>>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    subscriptions: Vec<(ServerName, String)>,
}

impl SessionSnapshot {
    /// As bytes: none when there is nothing to say, and never more than the supervisor takes; subscriptions that do not
    /// fit are left out.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let level = self.level.map(|level| level.as_str().to_owned());
        if level.is_none() && self.subscriptions.is_empty() && self.declaration.is_none() {
            return Vec::new();
        }
        let raw = |text: &str| RawValue::from_string(text.to_owned()).ok();
        let mut written = Written {
            level,
            capabilities: self.declaration.as_ref().and_then(|declaration| raw(&declaration.capabilities)),
            info: self.declaration.as_ref().and_then(|declaration| raw(&declaration.info)),
            subscriptions: Vec::new(),
        };
        let mut room = MAX_SNAPSHOT.saturating_sub(size(&written) + r#","subscriptions":[]"#.len());
        for subscription in &self.subscriptions {
            let cost = size(subscription) + 1;
            if cost <= room {
                room -= cost;
                written.subscriptions.push(subscription.clone());
            }
        }
        serde_json::to_vec(&written).unwrap_or_default()
    }

    /// From bytes of an earlier gateway, which may have been another build: what it does not understand is as good as
    /// nothing.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Self {
        let written: Written = serde_json::from_slice(bytes).unwrap_or_default();
        let declaration = written.capabilities.zip(written.info).map(|(capabilities, info)| Declaration {
            capabilities: capabilities.get().into(),
            info: info.get().into(),
        });
        let level = written.level.as_deref().and_then(Level::parse);
        Self { level, subscriptions: written.subscriptions, declaration }
    }
}

fn size(value: &impl Serialize) -> usize {
    serde_json::to_vec(value).map_or(0, |text| text.len())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn nothing_to_say_costs_nothing_and_nonsense_says_nothing() {
        assert!(SessionSnapshot::default().to_bytes().is_empty());
        for bytes in [&b""[..], b"{", b"[]", b"{\"level\":3}", b"\xff"] {
            assert_eq!(SessionSnapshot::from_bytes(bytes), SessionSnapshot::default());
        }
    }

    proptest! {
        #[test]
        fn what_fits_comes_back(uris in prop::collection::vec("\\PC{0,300}", 0..100), level in any::<bool>()) {
            let server: ServerName = "a".try_into().expect("a name");
            let subscriptions: Vec<_> = uris.into_iter().map(|uri| (server.clone(), uri)).collect();
            let declaration = Declaration { capabilities: r#"{"sampling":{}}"#.into(), info: r#"{"name":"ü"}"#.into() };
            let snapshot = SessionSnapshot { level: level.then_some(Level::Error), subscriptions, declaration: Some(declaration) };
            let bytes = snapshot.to_bytes();
            prop_assert!(bytes.len() <= MAX_SNAPSHOT);
            let read = SessionSnapshot::from_bytes(&bytes);
            prop_assert_eq!((read.level, &read.declaration), (snapshot.level, &snapshot.declaration));
            let all: usize = snapshot.subscriptions.iter().map(|subscription| size(subscription) + 1).sum();
            if all + 128 <= MAX_SNAPSHOT {
                prop_assert_eq!(read.subscriptions, snapshot.subscriptions);
            } else {
                prop_assert!(read.subscriptions.iter().all(|one| snapshot.subscriptions.contains(one)));
            }
        }
    }
}
