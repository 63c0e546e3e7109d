//! The members of a repeated request that the first one did not have: `inputResponses` and `requestState`.

use mcproxy_ipc::data::{ServerEra, ServerTraits};
use mcproxy_mcp::{RawObject, RawValue};

/// Under these names a client brings what it was asked for (2026-07-28, multi round-trip requests).
const RESPONSES: &str = "inputResponses";
const STATE: &str = "requestState";

/// The members that a client adds to a request that it repeats because input was needed.
#[derive(Debug)]
pub(crate) struct Retry {
    responses: Option<Box<RawValue>>,
    state: Option<Box<RawValue>>,
}

/// The use of a retry at one server.
#[derive(Debug)]
pub(crate) enum RetryUse<'r> {
    /// The gateway made its state, and goes on with the call that waits under it: a server of before 2026-07-28 knows no such thing.
    Redeem(&'r Retry),
    /// The server made it, or knows what it is.
    PassOn(&'r Retry),
    /// There is nothing that the server could do with it.
    Nothing,
}

impl<'r> RetryUse<'r> {
    /// The part of it that the server is given.
    pub(crate) fn passed_on(self) -> Option<&'r Retry> {
        match self {
            Self::PassOn(retry) => Some(retry),
            Self::Redeem(_) | Self::Nothing => None,
        }
    }
}

impl Retry {
    /// The use at this server of what a client brings, if anything.
    pub(crate) fn at(retry: Option<&Self>, server: ServerTraits) -> RetryUse<'_> {
        match (retry, server.era) {
            (Some(retry), ServerEra::Modern) => RetryUse::PassOn(retry),
            (Some(retry), ServerEra::Legacy) if retry.state.is_some() => RetryUse::Redeem(retry),
            (Some(_) | None, _) => RetryUse::Nothing,
        }
    }

    /// A retry that the gateway makes of a client's answers.
    pub(crate) fn of(responses: Option<Box<RawValue>>, state: Option<Box<RawValue>>) -> Self {
        Self { responses, state }
    }

    /// The state, if it is a text; it says which request this goes on with.
    pub(crate) fn state(&self) -> Option<String> {
        self.state.as_ref().and_then(|state| serde_json::from_str(state.get()).ok())
    }

    /// Its responses, by the keys under which the client was asked.
    pub(crate) fn responses(&self) -> RawObject<'_> {
        self.responses.as_ref().and_then(|raw| RawObject::from_raw(raw).ok()).unwrap_or_default()
    }

    /// Takes it out of the params, which then are those of the first time.
    pub(crate) fn take(params: &mut RawObject<'_>) -> Option<Self> {
        let mut take = |key| params.remove(key).map(ToOwned::to_owned);
        let (responses, state) = (take(RESPONSES), take(STATE));
        (responses.is_some() || state.is_some()).then_some(Self { responses, state })
    }

    /// Puts it back, for a server that knows what it is: `params` is the text of an object.
    pub(crate) fn put_back(&self, params: &[u8]) -> Vec<u8> {
        let mut out = params.strip_suffix(b"}").unwrap_or(params).to_vec();
        for (key, value) in [(RESPONSES, &self.responses), (STATE, &self.state)] {
            if let Some(value) = value {
                let comma = if out.ends_with(b"{") { "" } else { "," };
                out.extend_from_slice(format!("{comma}\"{key}\":{}", value.get()).as_bytes());
            }
        }
        out.push(b'}');
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_taken_out_comes_back_as_it_was() {
        let text = r#"{"name":"x","requestState":"a\u0062","inputResponses":{"k":{"n":1.50}}}"#;
        let mut params = RawObject::from_text(text).expect("an object");
        let retry = Retry::take(&mut params).expect("a retry");
        let mut first = Vec::new();
        params.write(&mut first);
        assert_eq!(first, br#"{"name":"x"}"#);
        let again = retry.put_back(&first);
        assert_eq!(again, br#"{"name":"x","inputResponses":{"k":{"n":1.50}},"requestState":"a\u0062"}"#);
        let state = Retry { responses: None, state: retry.state };
        assert_eq!(state.put_back(b"{}"), br#"{"requestState":"a\u0062"}"#);
        assert!(Retry::take(&mut RawObject::from_text(r#"{"name":"x"}"#).expect("an object")).is_none());
    }
}
