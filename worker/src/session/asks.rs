//! What a server may ask a client for, and which call such a request belongs to. Pure.

use mcproxy_ipc::{ClientFeatures, data::CallContext};
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

    /// Its name in `clientFeatures`.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Sampling => "sampling",
            Self::Form => "elicitation",
            Self::Url => "elicitation.url",
            Self::Roots => "roots",
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
fn features_of(capabilities: &str) -> ClientFeatures {
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
    /// This call, whose client can be asked for that.
    Call(u64, ClientFeatures),
    /// No call is under way.
    Nobody,
    /// One of several, and nothing says which.
    Unclear,
}

/// Whom the server asks within a call.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Addressee {
    /// What the client can be asked for.
    features: ClientFeatures,
    /// Who it is, where there is authentication.
    principal: Option<Box<str>>,
}

impl Addressee {
    /// The client of a call. Calls of servers that ask for nothing say nothing of it.
    pub(super) fn of(context: &CallContext) -> Self {
        let Some(capabilities) = &context.client_capabilities else { return Self::default() };
        Self { features: features_of(capabilities), principal: context.principal.as_deref().map(Box::from) }
    }

    /// This call is one that a request of the server may belong to.
    pub(super) fn of_call(&self, upstream: u64) -> Candidate<'_> {
        Candidate { upstream, addressee: self }
    }
}

/// A call that a request of the server may belong to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Candidate<'c> {
    upstream: u64,
    addressee: &'c Addressee,
}

/// A server's request carries no link to a call. (The metadata of a task would be one, but no call is made as a task.) Who
/// waits for an answer asks nothing in general, so a request belongs to the only call that runs, and calls that wait are no
/// reason to doubt it, provided that an error would reach the same person: of one that waits for somebody else, it might be
/// the second question.
pub(super) fn owner<'c>(
    mut running: impl Iterator<Item = Candidate<'c>>,
    mut waiting: impl Iterator<Item = Candidate<'c>>,
) -> Owner {
    let found = match (running.next(), running.next()) {
        (None, _) => match (waiting.next(), waiting.next()) {
            (None, _) => return Owner::Nobody,
            (only, None) => only,
            (Some(_), Some(_)) => None,
        },
        (Some(only), None) => {
            waiting.all(|other| other.addressee.principal == only.addressee.principal).then_some(only)
        }
        (Some(_), Some(_)) => None,
    };
    found.map_or(Owner::Unclear, |call| Owner::Call(call.upstream, call.addressee.features))
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

    /// Whose calls run and wait: `n` is a principal, 0 nobody in particular.
    fn owner_of(running: &[u8], waiting: &[u8]) -> Owner {
        let addressee = |n: &u8| Addressee {
            principal: (*n > 0).then(|| n.to_string().into()),
            features: ClientFeatures::default(),
        };
        let all: Vec<Addressee> = running.iter().chain(waiting).map(addressee).collect();
        let candidates = |part: std::ops::Range<usize>| part.map(|at| all[at].of_call(at as u64));
        owner(candidates(0..running.len()), candidates(running.len()..all.len()))
    }

    const NONE: ClientFeatures = ClientFeatures { sampling: false, form: false, url: false, roots: false };

    #[test]
    fn a_call_that_waits_for_its_client_keeps_nobody_else_of_the_same_name_from_being_asked() {
        assert_eq!(owner_of(&[], &[]), Owner::Nobody);
        assert_eq!(owner_of(&[0], &[]), Owner::Call(0, NONE));
        assert_eq!(owner_of(&[0], &[0, 0]), Owner::Call(0, NONE));
        assert_eq!(owner_of(&[1], &[1]), Owner::Call(0, NONE));
        assert_eq!(owner_of(&[], &[2]), Owner::Call(0, NONE), "it asks for more than one thing");
        for (running, waiting) in [(&[1][..], &[2][..]), (&[1], &[0]), (&[0], &[1]), (&[1], &[1, 2]), (&[1, 1], &[])] {
            assert_eq!(owner_of(running, waiting), Owner::Unclear, "{running:?} {waiting:?}");
        }
        assert_eq!(owner_of(&[], &[1, 1]), Owner::Unclear);
    }

    proptest! {
        #[test]
        fn a_question_reaches_nobody_whom_it_may_not_concern(
            running in prop::collection::vec(0u8..3, 0..4), waiting in prop::collection::vec(0u8..3, 0..4),
        ) {
            let all: Vec<u8> = running.iter().chain(&waiting).copied().collect();
            match owner_of(&running, &waiting) {
                Owner::Nobody => prop_assert!(all.is_empty()),
                // Whichever call it really belongs to, its client has the name of the one that is asked.
                Owner::Call(found, _) => {
                    prop_assert!(all.iter().all(|other| *other == all[found as usize]));
                    prop_assert!(running.len() == 1 || all.len() == 1);
                    prop_assert!(running.is_empty() || found == 0);
                }
                Owner::Unclear => prop_assert!(all.len() > 1),
            }
        }
    }
}
