//! Who makes a request: the principal by whom sessions, instances and turns are told apart, and who is named in the log.

use std::{borrow::Cow, rc::Rc};

use mcproxy_ipc::SessionKey;
use sha2::{Digest, Sha256};
use slog::{Logger, o};

/// Who makes a request. Without authentication all clients are the anonymous principal, which is the default. Cheap to clone.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(crate) enum Principal {
    /// There is no authentication.
    #[default]
    Anonymous,
    /// The holder of a token of the configuration: what it may use depends on its name.
    Named(Rc<str>),
    /// Who logged in at an authorization server. The same person with other scopes is another principal.
    Scoped(Rc<ScopedPerson>),
}

/// Who logged in at an authorization server, with the scopes of a token.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct ScopedPerson {
    name: Box<str>,
    /// Those that are worth something, in one text and the order of the configuration.
    scopes: Box<str>,
}

impl Principal {
    /// The principal of that name; `None`: the anonymous one.
    pub(crate) fn of(name: Option<&str>) -> Self {
        name.map_or(Self::Anonymous, |name| Self::Named(name.into()))
    }

    /// Who logged in at an authorization server, with these scopes.
    pub(crate) fn with_scopes(name: &str, scopes: &str) -> Self {
        Self::Scoped(Rc::new(ScopedPerson { name: name.into(), scopes: scopes.into() }))
    }

    /// The scopes of its token, separated by spaces; `None`: it has none, because what it may use depends on its name.
    pub(crate) fn scopes(&self) -> Option<&str> {
        match self {
            Self::Scoped(person) => Some(&person.scopes),
            Self::Anonymous | Self::Named(_) => None,
        }
    }

    /// Its name and its scopes, unambiguously, as session ids are bound to them.
    pub(crate) fn sealed_name(&self) -> Option<Cow<'_, str>> {
        let name = self.name()?;
        // No name has a line break.
        Some(self.scopes().map_or(Cow::Borrowed(name), |scopes| format!("{name}\n{scopes}").into()))
    }

    /// The same person with one scope less, whichever.
    pub(crate) fn with_one_less(&self) -> impl Iterator<Item = Self> + '_ {
        let all: Vec<&str> = self.scopes().unwrap_or_default().split_whitespace().collect();
        (0..all.len()).map(move |left_out| {
            let rest = all.iter().enumerate().filter(|(at, _)| *at != left_out).map(|(_, scope)| *scope);
            Self::with_scopes(self.name().unwrap_or_default(), &rest.collect::<Vec<_>>().join(" "))
        })
    }

    /// Whether it is the same person, with all scopes of `other` and more.
    pub(crate) fn exceeds(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Scoped(own), Self::Scoped(other)) if own.name == other.name && own.scopes != other.scopes => {
                other.scopes.split_whitespace().all(|scope| own.scopes.split_whitespace().any(|one| one == scope))
            }
            _ => false,
        }
    }

    /// Its name; `None`: it is anonymous.
    pub(crate) fn name(&self) -> Option<&str> {
        match self {
            Self::Anonymous => None,
            Self::Named(name) => Some(name),
            Self::Scoped(person) => Some(&person.name),
        }
    }

    /// Whether it has no name, because there is no authentication.
    pub(crate) fn is_anonymous(&self) -> bool {
        *self == Self::Anonymous
    }

    /// A logger whose records carry its name.
    pub(crate) fn log(&self, log: &Logger) -> Logger {
        match self.name() {
            Some(name) => log.new(o!("principal" => name.to_owned())),
            None => log.clone(),
        }
    }

    /// The key of all its requests that have no session. It differs from the random keys of sessions, being a digest, and from
    /// the keys of other principals.
    pub(crate) fn key(&self) -> SessionKey {
        let mut digest = Sha256::new();
        digest.update(b"requests without a session\0");
        digest.update([u8::from(!self.is_anonymous())]);
        digest.update(self.name().unwrap_or_default());
        if let Some(scopes) = self.scopes() {
            digest.update(b"\0");
            digest.update(scopes);
        }
        let digest: [u8; 32] = digest.finalize().into();
        SessionKey(*digest.first_chunk().expect("16 of 32 bytes"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn principals_have_instances_of_their_own() {
        let key = |name| Principal::of(name).key();
        assert_eq!(key(Some("ann")), key(Some("ann")));
        assert_ne!(key(Some("ann")), key(Some("bob")));
        assert_ne!(key(Some("")), key(None));
        assert_ne!(Principal::with_scopes("ann", "a").key(), Principal::with_scopes("ann", "a b").key());
    }

    #[test]
    fn more_scopes_of_the_same_person_exceed_fewer() {
        let of = Principal::with_scopes;
        assert!(of("ann", "a b").exceeds(&of("ann", "b")) && of("ann", "a").exceeds(&of("ann", "")));
        for (one, other) in [
            (of("ann", "a"), of("ann", "a")),
            (of("ann", "a"), of("ann", "a b")),
            (of("bob", "a b"), of("ann", "a")),
            (of("ann", "a"), Principal::of(Some("ann"))),
            (Principal::of(Some("ann")), of("ann", "a")),
        ] {
            assert!(!one.exceeds(&other), "{one:?} {other:?}");
            assert_ne!(one == other, one != other);
        }
    }
}
