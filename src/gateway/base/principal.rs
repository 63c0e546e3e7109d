//! What the gateway derives from the name of a token: the key of instances and turns, and the principal in the log.

use mcproxy_ipc::SessionKey;
use sha2::{Digest, Sha256};
use slog::{Logger, o};

/// A logger whose records name the token that was presented, where there are tokens.
pub(crate) fn log_for(log: &Logger, principal: Option<&str>) -> Logger {
    match principal {
        Some(name) => log.new(o!("principal" => name.to_owned())),
        None => log.clone(),
    }
}

/// Random keys of sessions do not meet a digest, and principals do not meet each other.
pub(crate) fn key_of(principal: Option<&str>) -> SessionKey {
    let mut digest = Sha256::new();
    digest.update(b"requests without a session\0");
    digest.update([u8::from(principal.is_some())]);
    digest.update(principal.unwrap_or_default());
    let digest: [u8; 32] = digest.finalize().into();
    SessionKey(*digest.first_chunk().expect("16 of 32 bytes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn principals_have_instances_of_their_own() {
        assert_eq!(key_of(Some("ann")), key_of(Some("ann")));
        assert_ne!(key_of(Some("ann")), key_of(Some("bob")));
        assert_ne!(key_of(Some("")), key_of(None));
    }
}
