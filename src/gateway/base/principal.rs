//! Who makes a request: the principal by whom sessions, instances and turns are told apart, and who is named in the log.

use std::rc::Rc;

use mcproxy_ipc::SessionKey;
use sha2::{Digest, Sha256};
use slog::{Logger, o};

/// Who makes a request. Without authentication all clients are the anonymous principal, which is the default. Cheap to clone.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(crate) struct Principal(Option<Rc<str>>);

impl Principal {
    /// The principal of that name; `None`: the anonymous one.
    pub(crate) fn of(name: Option<&str>) -> Self {
        Self(name.map(Rc::from))
    }

    /// Its name; `None`: it is anonymous.
    pub(crate) fn name(&self) -> Option<&str> {
        self.0.as_deref()
    }

    /// Whether it has no name, because there is no authentication.
    pub(crate) fn is_anonymous(&self) -> bool {
        self.0.is_none()
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
    }
}
