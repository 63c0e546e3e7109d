//! The features that a server may ask a client for, and which call such a request belongs to. Pure.

use mcproxy_ipc::{ClientFeatures, SessionKey, data::CallContext};
use mcproxy_mcp::{ClientCapabilities, RawObject, RawValue, json_string, method};

/// One thing that a server asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Feature {
    Sampling,
    /// With tools that the server brings (2025-11-25, SEP-1577).
    SamplingTools,
    Form,
    Url,
    Roots,
}

/// An answer to a server in place of one that no client gave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Substitute {
    Result(&'static str),
    Error(i64, &'static str),
}

impl Feature {
    /// The feature that a request of the server asks for, if it is a request to a client.
    pub(super) fn of(request: &str, params: Option<&RawValue>) -> Option<Self> {
        match request {
            method::SAMPLING => {
                let params = params.and_then(|raw| RawObject::from_raw(raw).ok()).unwrap_or_default();
                let brings = |key| params.get(key).is_some_and(|value| value.get() != "null");
                Some(if brings("tools") || brings("toolChoice") { Self::SamplingTools } else { Self::Sampling })
            }
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
            Self::Sampling | Self::SamplingTools => method::SAMPLING,
            Self::Form | Self::Url => method::ELICITATION,
            Self::Roots => method::ROOTS_LIST,
        }
    }

    /// Its name in `clientFeatures`.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Sampling => "sampling",
            Self::SamplingTools => "sampling.tools",
            Self::Form => "elicitation",
            Self::Url => "elicitation.url",
            Self::Roots => "roots",
        }
    }

    /// Whether it is one of these.
    pub(super) fn is_in(self, features: ClientFeatures) -> bool {
        match self {
            Self::Sampling => features.sampling,
            Self::SamplingTools => features.sampling_tools,
            Self::Form => features.form,
            Self::Url => features.url,
            Self::Roots => features.roots,
        }
    }

    /// The server's answer when the client will not give one any more.
    pub(super) fn substitute(self) -> Substitute {
        match self {
            Self::Sampling | Self::SamplingTools => Substitute::Error(-1, "the client did not answer"),
            Self::Form | Self::Url => Substitute::Result(r#"{"action":"cancel"}"#),
            Self::Roots => Substitute::Error(-32601, "the client did not answer"),
        }
    }
}

/// Leaves of a client's capabilities what `listed` allows a server to ask for; what is not asked for in this way stays.
pub(crate) fn allowed(capabilities: &str, listed: ClientFeatures) -> String {
    let object = RawObject::from_text(capabilities).unwrap_or_default();
    let can = features_of(capabilities);
    let mut members = Vec::new();
    for (key, value) in object.iter() {
        let value = match key {
            "sampling" if !listed.sampling => continue,
            "roots" if !listed.roots => continue,
            "elicitation" => match (can.form && listed.form, can.url && listed.url) {
                (false, false) => continue,
                (true, false) => r#"{"form":{}}"#,
                (false, true) => r#"{"url":{}}"#,
                (true, true) => value.get(),
            },
            _ => value.get(),
        };
        members.push(format!("{}:{value}", json_string(key).get()));
    }
    format!("{{{}}}", members.join(","))
}

/// The features of a client, from its capabilities as JSON.
pub(crate) fn features_of(capabilities: &str) -> ClientFeatures {
    let declared = ClientCapabilities::read(&RawObject::from_text(capabilities).unwrap_or_default());
    ClientFeatures {
        sampling: declared.has("sampling", None),
        sampling_tools: declared.has("sampling", Some("tools")),
        sampling_context: declared.has("sampling", Some("context")),
        form: declared.has_forms(),
        url: declared.has_pages(),
        roots: declared.has("roots", None),
        roots_changed: declared.has("roots", Some("listChanged")),
    }
}

/// The call that a request of the server belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Owner {
    /// This call, whose client can be asked for that.
    Call(u64, ClientFeatures),
    /// No call is under way.
    None,
    /// One of several, and nothing says which.
    Unclear,
}

/// The client that the server asks within a call.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Addressee {
    /// The features of the client.
    features: ClientFeatures,
    /// Its principal, where there is authentication.
    principal: Option<Box<str>>,
    /// Which session it is, if it is one.
    session: Option<SessionKey>,
}

impl Addressee {
    /// The client of a call. Calls of servers that ask for nothing say nothing of it, and those of our own have none.
    pub(super) fn of(context: &CallContext) -> Option<Self> {
        let capabilities = context.client_capabilities.as_deref()?;
        Some(Self {
            features: features_of(capabilities),
            principal: context.principal.as_deref().map(Box::from),
            session: context.client,
        })
    }

    /// The features of the client.
    pub(super) fn features(&self) -> ClientFeatures {
        self.features
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

/// A server's request carries no link to a call. (The metadata of a task would be one, but it is not looked at.)
///
/// A server that waits for an answer asks nothing in general, so a request belongs to the only call that runs, and calls that
/// wait are no reason to doubt it, provided that an error would reach the same person: of one that waits for another person, it
/// might be the second question. Where all calls are of one session, there is no doubt whom it concerns, and the call that began
/// last is as good as any.
pub(super) fn owner<'c>(
    running: impl Iterator<Item = Candidate<'c>>,
    waiting: impl Iterator<Item = Candidate<'c>>,
) -> Owner {
    let (running, waiting): (Vec<_>, Vec<_>) = (running.collect(), waiting.collect());
    let candidates = if running.is_empty() { &waiting } else { &running };
    let Some(last) = candidates.iter().max_by_key(|call| call.upstream) else { return Owner::None };
    let all = || running.iter().chain(&waiting).map(|call| call.addressee);
    let is_only = candidates.len() == 1 && all().all(|other| other.principal == last.addressee.principal);
    let is_of_one = last.addressee.session.is_some() && all().all(|other| other.session == last.addressee.session);
    if is_only || is_of_one { Owner::Call(last.upstream, last.addressee.features) } else { Owner::Unclear }
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
        let both = ClientFeatures { sampling: true, roots: true, roots_changed: true, ..ClientFeatures::default() };
        assert_eq!(features_of(r#"{"sampling":{},"roots":{"listChanged":true}}"#), both);
        for nothing in ["", "{}", "[]", r#"{"sampling":false}"#] {
            assert_eq!(features_of(nothing), ClientFeatures::default(), "{nothing}");
        }
    }

    #[test]
    fn a_server_is_told_no_more_than_is_listed() {
        let all = r#"{"sampling":{"tools":{}},"elicitation":{"form":{},"url":{}},"roots":{},"extensions":{"x":{}}}"#;
        let listed = |sampling, form, url| ClientFeatures { sampling, form, url, ..ClientFeatures::default() };
        assert_eq!(allowed(all, listed(false, false, false)), r#"{"extensions":{"x":{}}}"#);
        let some = allowed(all, listed(true, false, true));
        assert_eq!(some, r#"{"sampling":{"tools":{}},"elicitation":{"url":{}},"extensions":{"x":{}}}"#);
        assert_eq!(allowed(r#"{"elicitation":{}}"#, listed(false, true, true)), r#"{"elicitation":{"form":{}}}"#);
        assert_eq!(allowed("nonsense", listed(true, true, true)), "{}");
    }

    #[test]
    fn a_page_to_visit_is_something_else_than_a_form() {
        let raw = |text: &str| RawValue::from_string(text.to_owned()).expect("JSON");
        assert_eq!(Feature::of(method::ELICITATION, Some(&raw(r#"{"mode":"url"}"#))), Some(Feature::Url));
        assert_eq!(Feature::of(method::ELICITATION, Some(&raw(r#"{"mode":"form"}"#))), Some(Feature::Form));
        assert_eq!(Feature::of(method::ELICITATION, None), Some(Feature::Form));
        assert_eq!(Feature::of(method::PING, None), None);
    }

    #[test]
    fn a_completion_with_tools_is_for_those_who_declared_that() {
        let of = |text: &str| {
            let params = RawValue::from_string(text.to_owned()).expect("JSON");
            Feature::of(method::SAMPLING, Some(&params))
        };
        assert_eq!(of(r#"{"messages":[],"tools":null}"#), Some(Feature::Sampling));
        assert_eq!(of(r#"{"messages":[],"tools":[]}"#), Some(Feature::SamplingTools));
        assert!(!Feature::SamplingTools.is_in(ClientFeatures { sampling: true, ..ClientFeatures::default() }));
    }

    /// Whose calls run and wait: of a principal, 0 none in particular, and of a session, 0 none.
    fn owner_of(running: &[(u8, u8)], waiting: &[(u8, u8)]) -> Owner {
        let addressee = |(principal, session): &(u8, u8)| Addressee {
            features: ClientFeatures::default(),
            principal: (*principal > 0).then(|| principal.to_string().into()),
            session: (*session > 0).then_some(SessionKey([*session; 16])),
        };
        let all: Vec<Addressee> = running.iter().chain(waiting).map(addressee).collect();
        let candidates = |part: std::ops::Range<usize>| part.map(|at| all[at].of_call(at as u64));
        owner(candidates(0..running.len()), candidates(running.len()..all.len()))
    }

    #[test]
    fn with_all_calls_of_one_session_there_is_no_doubt_whom_to_ask() {
        let (mine, theirs) = ((1, 7), (1, 8));
        assert_eq!(owner_of(&[mine, mine], &[mine]), Owner::Call(1, ClientFeatures::default()));
        assert_eq!(owner_of(&[], &[mine, mine]), Owner::Call(1, ClientFeatures::default()));
        assert_eq!(owner_of(&[mine, theirs], &[]), Owner::Unclear);
        assert_eq!(owner_of(&[mine, mine], &[theirs]), Owner::Unclear);
        assert_eq!(owner_of(&[mine, (1, 0)], &[]), Owner::Unclear, "a request that stands for itself");
    }

    #[test]
    fn a_call_that_waits_for_its_client_keeps_nobody_else_of_the_same_name_from_being_asked() {
        assert_eq!(owner_of(&[], &[]), Owner::None);
        assert_eq!(owner_of(&[(0, 0)], &[]), Owner::Call(0, ClientFeatures::default()));
        assert_eq!(owner_of(&[(0, 0)], &[(0, 0), (0, 0)]), Owner::Call(0, ClientFeatures::default()));
        assert_eq!(owner_of(&[(1, 0)], &[(1, 0)]), Owner::Call(0, ClientFeatures::default()));
        assert_eq!(
            owner_of(&[], &[(2, 0)]),
            Owner::Call(0, ClientFeatures::default()),
            "it asks for more than one thing"
        );
        for (running, waiting) in [
            (&[(1, 0)][..], &[(2, 0)][..]),
            (&[(1, 0)], &[(0, 0)]),
            (&[(0, 0)], &[(1, 0)]),
            (&[(1, 0)], &[(1, 0), (2, 0)]),
            (&[(1, 0), (1, 0)], &[]),
        ] {
            assert_eq!(owner_of(running, waiting), Owner::Unclear, "{running:?} {waiting:?}");
        }
        assert_eq!(owner_of(&[], &[(1, 0), (1, 0)]), Owner::Unclear);
    }

    proptest! {
        #[test]
        fn a_question_reaches_nobody_whom_it_may_not_concern(
            running in prop::collection::vec((0u8..3, 0u8..3), 0..4), waiting in prop::collection::vec((0u8..3, 0u8..3), 0..4),
        ) {
            let all: Vec<(u8, u8)> = running.iter().chain(&waiting).copied().collect();
            match owner_of(&running, &waiting) {
                Owner::None => prop_assert!(all.is_empty()),
                // Whichever call it really belongs to, its client has the name of the one that is asked, or is that one.
                Owner::Call(found, _) => {
                    let (principal, session) = all[found as usize];
                    let only = running.len() == 1 || all.len() == 1;
                    let one_person = only && all.iter().all(|other| other.0 == principal);
                    prop_assert!(one_person || (session > 0 && all.iter().all(|other| other.1 == session)));
                    prop_assert!(running.is_empty() || (found as usize) < running.len());
                }
                Owner::Unclear => prop_assert!(all.len() > 1),
            }
        }
    }
}
