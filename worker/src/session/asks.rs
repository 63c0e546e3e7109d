//! What a server may ask a client for, and which call such a request belongs to. Pure.

use mcproxy_ipc::ClientFeatures;
use mcproxy_mcp::{RawObject, RawValue, method};

/// One thing that a server asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Feature {
    Sampling,
    Form,
    Url,
    Roots,
}

/// An answer to a server that nobody gave it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Substitute {
    Result(&'static str),
    Error(i64, &'static str),
}

impl Feature {
    /// What a request of the server asks for, if it is a request to a client.
    pub(super) fn of(request: &str, params: Option<&RawValue>) -> Option<Self> {
        match request {
            method::SAMPLING => Some(Self::Sampling),
            method::ROOTS_LIST => Some(Self::Roots),
            method::ELICITATION => {
                let mode = params.and_then(|raw| RawObject::from_raw(raw).ok()?.get_string("mode"));
                Some(if mode.as_deref() == Some("url") { Self::Url } else { Self::Form })
            }
            _ => None,
        }
    }

    /// The method that asks for it.
    pub(super) fn method(self) -> &'static str {
        match self {
            Self::Sampling => method::SAMPLING,
            Self::Form | Self::Url => method::ELICITATION,
            Self::Roots => method::ROOTS_LIST,
        }
    }

    /// Whether it is one of these.
    pub(super) fn is_in(self, features: ClientFeatures) -> bool {
        match self {
            Self::Sampling => features.sampling,
            Self::Form => features.form,
            Self::Url => features.url,
            Self::Roots => features.roots,
        }
    }

    /// What the server is told when the client will not answer any more.
    pub(super) fn nobody_answers(self) -> Substitute {
        match self {
            Self::Sampling => Substitute::Error(-1, "the client did not answer"),
            Self::Form | Self::Url => Substitute::Result(r#"{"action":"cancel"}"#),
            Self::Roots => Substitute::Error(-32601, "the client did not answer"),
        }
    }
}

/// What a client can be asked for, from its capabilities as JSON. An `elicitation` that names no mode is of forms (MCP
/// 2025-11-25, elicitation, capabilities).
pub(super) fn features_of(capabilities: &str) -> ClientFeatures {
    let capabilities = RawObject::from_text(capabilities).unwrap_or_default();
    let elicitation = capabilities.get_object("elicitation");
    let mode = |name| elicitation.as_ref().is_some_and(|modes| modes.get(name).is_some());
    ClientFeatures {
        sampling: capabilities.get_object("sampling").is_some(),
        form: elicitation.is_some() && (mode("form") || !mode("url")),
        url: mode("url"),
        roots: capabilities.get_object("roots").is_some(),
    }
}

/// Whom a request of the server concerns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Owner {
    /// This call.
    Call(u64),
    /// No call is under way.
    Nobody,
    /// One of several, and nothing says which.
    Unclear,
}

/// A server's request carries no link to a call: with exactly one under way there is no doubt. (The metadata of a task
/// would be a link, but no call is made as a task.)
pub(super) fn owner(mut calls: impl Iterator<Item = u64>) -> Owner {
    match (calls.next(), calls.next()) {
        (None, _) => Owner::Nobody,
        (Some(call), None) => Owner::Call(call),
        (Some(_), Some(_)) => Owner::Unclear,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn capabilities_are_read_as_the_specification_means_them() {
        let of = |form, url| ClientFeatures { form, url, ..ClientFeatures::default() };
        assert_eq!(features_of(r#"{"elicitation":{}}"#), of(true, false));
        assert_eq!(features_of(r#"{"elicitation":{"url":{}}}"#), of(false, true));
        assert_eq!(features_of(r#"{"elicitation":{"url":{},"form":{}}}"#), of(true, true));
        let both = ClientFeatures { sampling: true, roots: true, ..ClientFeatures::default() };
        assert_eq!(features_of(r#"{"sampling":{},"roots":{"listChanged":true}}"#), both);
        for nothing in ["", "{}", "[]", r#"{"sampling":false}"#] {
            assert_eq!(features_of(nothing), ClientFeatures::default(), "{nothing}");
        }
    }

    #[test]
    fn a_page_to_visit_is_something_else_than_a_form() {
        let raw = |text: &str| RawValue::from_string(text.to_owned()).expect("JSON");
        assert_eq!(Feature::of(method::ELICITATION, Some(&raw(r#"{"mode":"url"}"#))), Some(Feature::Url));
        assert_eq!(Feature::of(method::ELICITATION, Some(&raw(r#"{"mode":"form"}"#))), Some(Feature::Form));
        assert_eq!(Feature::of(method::ELICITATION, None), Some(Feature::Form));
        assert_eq!(Feature::of(method::PING, None), None);
    }

    proptest! {
        #[test]
        fn a_request_is_never_taken_for_a_call_that_is_not_the_only_one(calls in prop::collection::btree_set(any::<u64>(), 0..5)) {
            let found = owner(calls.iter().copied());
            prop_assert_eq!(matches!(found, Owner::Call(_)), calls.len() == 1);
            prop_assert_eq!(found == Owner::Nobody, calls.is_empty());
        }
    }
}
