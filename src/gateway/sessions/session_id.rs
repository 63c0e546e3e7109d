//! Session ids that carry what they stand for, sealed (`docs/decisions/0025-sealed-session-ids.md`).
//!
//! ```text
//!   base64url( format | nonce (24) | sealed { version, gateway, issued, features, client } | tag (16) )
//! ```
//! Endpoint and caller are sealed in without being written: for others the id does not open. The first 16 bytes of the
//! nonce are the session's key.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use chacha20poly1305::{
    KeyInit, XChaCha20Poly1305, XNonce,
    aead::{Aead, Payload},
};
use mcproxy_ipc::{Generation, SealKey, SessionKey};
use mcproxy_mcp::{ClientCapabilities, ProtocolVersion};

use crate::gateway::base::{client_info::Client, endpoint_scope::EndpointScope};

/// The longest id that is looked at.
pub(crate) const MAX_ID: usize = 256;
/// Bytes that the nonce adds to the session's key.
pub(crate) const SALT: usize = 8;

const FORMAT: u8 = 1;
const KEY: usize = 16;
const NONCE: usize = KEY + SALT;
const TAG: usize = 16;

/// The content of a session id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SessionClaims {
    /// The key of the session.
    pub(crate) key: SessionKey,
    /// The negotiated version.
    pub(crate) version: ProtocolVersion,
    /// The generation of the gateway that opened the session.
    pub(crate) gateway: Generation,
    /// When it was opened, in milliseconds since 1970.
    pub(crate) issued: u64,
    /// The client's own description.
    pub(crate) client: Client,
}

/// Encrypts and decrypts session ids.
pub(crate) struct SessionIdCodec(XChaCha20Poly1305);

impl SessionIdCodec {
    /// With the supervisor's key.
    pub(crate) fn new(key: &SealKey) -> Self {
        Self(XChaCha20Poly1305::new(key.expose().into()))
    }

    /// The id of a session of this caller at this endpoint; `salt` is random.
    pub(crate) fn seal(
        &self,
        claims: &SessionClaims,
        salt: [u8; SALT],
        endpoint: &EndpointScope,
        principal: Option<&str>,
    ) -> Box<str> {
        let mut nonce = [0; NONCE];
        nonce[..KEY].copy_from_slice(&claims.key.0);
        nonce[KEY..].copy_from_slice(&salt);
        let payload = Payload { msg: &write(claims), aad: &bound_to(endpoint, principal) };
        let sealed = self.0.encrypt(&XNonce::from(nonce), payload).expect("fails on messages of many gigabytes only");
        let mut bytes = Vec::with_capacity(1 + NONCE + sealed.len());
        bytes.push(FORMAT);
        bytes.extend_from_slice(&nonce);
        bytes.extend_from_slice(&sealed);
        BASE64_URL_SAFE_NO_PAD.encode(bytes).into()
    }

    /// The claims of an id, if it was sealed with our key for this caller and endpoint.
    pub(crate) fn open(&self, id: &str, endpoint: &EndpointScope, principal: Option<&str>) -> Option<SessionClaims> {
        if id.len() > MAX_ID {
            return None;
        }
        // Bits that stand for nothing must be zero, so that a session has one id only.
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(id).ok()?;
        let (format, rest) = bytes.split_first()?;
        let (nonce, sealed) = rest.split_first_chunk::<NONCE>()?;
        if *format != FORMAT || sealed.len() < TAG {
            return None;
        }
        let payload = Payload { msg: sealed, aad: &bound_to(endpoint, principal) };
        let text = self.0.decrypt(&XNonce::from(*nonce), payload).ok()?;
        let key = SessionKey(*nonce.first_chunk()?);
        read(key, &text)
    }
}

/// Endpoint and principal of an id, encoded unambiguously.
fn bound_to(endpoint: &EndpointScope, principal: Option<&str>) -> Vec<u8> {
    let mut out = vec![FORMAT];
    let (kind, name) = match endpoint {
        EndpointScope::All => (b'a', ""),
        EndpointScope::Server(name) => (b's', name.as_str()),
        EndpointScope::Group(name) => (b'g', name.as_str()),
        EndpointScope::Search(None) => (b'f', ""),
        EndpointScope::Search(Some(name)) => (b'h', name.as_str()),
    };
    out.push(kind);
    out.extend_from_slice(&(name.len() as u64).to_be_bytes());
    out.extend_from_slice(name.as_bytes());
    out.push(u8::from(principal.is_some()));
    out.extend_from_slice(principal.unwrap_or_default().as_bytes());
    out
}

fn write(claims: &SessionClaims) -> Vec<u8> {
    let SessionClaims { version, gateway, issued, client, .. } = claims;
    let mut out = vec![code(*version)];
    out.extend_from_slice(&gateway.0.to_be_bytes());
    out.extend_from_slice(&issued.to_be_bytes());
    out.extend_from_slice(&client.features.0.to_be_bytes());
    // A `Client` is short.
    out.push(u8::try_from(client.name.len()).unwrap_or_default());
    out.extend_from_slice(client.name.as_bytes());
    out.extend_from_slice(client.version.as_bytes());
    out
}

fn read(key: SessionKey, text: &[u8]) -> Option<SessionClaims> {
    let (version, text) = text.split_first()?;
    let (gateway, text) = text.split_first_chunk()?;
    let (issued, text) = text.split_first_chunk()?;
    let (features, text) = text.split_first_chunk()?;
    let (name, text) = text.split_first()?;
    let (name, own_version) = text.split_at_checked(usize::from(*name))?;
    Some(SessionClaims {
        key,
        version: ProtocolVersion::ALL.into_iter().find(|known| code(*known) == *version)?,
        gateway: Generation(u64::from_be_bytes(*gateway)),
        issued: u64::from_be_bytes(*issued),
        client: Client {
            name: std::str::from_utf8(name).ok()?.into(),
            version: std::str::from_utf8(own_version).ok()?.into(),
            features: ClientCapabilities(u16::from_be_bytes(*features)),
        },
    })
}

/// How a version is written.
fn code(version: ProtocolVersion) -> u8 {
    match version {
        ProtocolVersion::V2024_11_05 => 1,
        ProtocolVersion::V2025_03_26 => 2,
        ProtocolVersion::V2025_06_18 => 3,
        ProtocolVersion::V2025_11_25 => 4,
        ProtocolVersion::V2026_07_28 => 5,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn seal() -> SessionIdCodec {
        SessionIdCodec::new(&SealKey::new([9; 32]))
    }

    fn claims() -> SessionClaims {
        SessionClaims {
            key: SessionKey([3; 16]),
            version: mcproxy_mcp::LATEST,
            gateway: Generation(1),
            issued: 1_800_000_000_000,
            client: Client { name: "inspector".into(), version: "1.0.0".into(), features: ClientCapabilities(5) },
        }
    }

    fn group(name: &str) -> EndpointScope {
        EndpointScope::Group(name.into())
    }

    #[test]
    fn an_id_opens_for_its_caller_at_its_endpoint_only() {
        let seal = seal();
        let id = seal.seal(&claims(), [1; SALT], &group("g"), Some("ann"));
        assert_eq!(seal.open(&id, &group("g"), Some("ann")), Some(claims()));
        let server = EndpointScope::Server("g".try_into().expect("a name"));
        for (scope, principal) in [
            (group("g"), Some("bob")),
            (group("g"), Some("")),
            (group("g"), None),
            (group("h"), Some("ann")),
            (EndpointScope::All, Some("ann")),
            (server, Some("ann")),
        ] {
            assert_eq!(seal.open(&id, &scope, principal), None, "{scope} {principal:?}");
        }
        assert_eq!(
            SessionIdCodec::new(&SealKey::new([8; 32])).open(&id, &group("g"), Some("ann")),
            None,
            "another key"
        );
    }

    #[test]
    fn what_an_id_is_bound_to_cannot_be_read_in_two_ways() {
        assert_ne!(bound_to(&group("ab"), Some("c")), bound_to(&group("a"), Some("bc")));
        assert_ne!(bound_to(&EndpointScope::All, None), bound_to(&EndpointScope::All, Some("")));
        assert_ne!(bound_to(&group(""), None), bound_to(&EndpointScope::All, None));
    }

    proptest! {
        #[test]
        fn what_is_sealed_comes_back(
            key in any::<[u8; 16]>(), salt in any::<[u8; SALT]>(), version in 0usize..5, gateway: u64, issued: u64,
            features: u16, name in "\\PC{0,16}", own_version in "\\PC{0,8}", principal in prop::option::of("\\PC{0,20}")
        ) {
            let client = Client { name: name.into(), version: own_version.into(), features: ClientCapabilities(features) };
            let version = ProtocolVersion::ALL[version];
            let claims = SessionClaims { key: SessionKey(key), version, gateway: Generation(gateway), issued, client };
            let id = seal().seal(&claims, salt, &EndpointScope::All, principal.as_deref());
            prop_assert!(id.len() <= MAX_ID && id.bytes().all(|byte| byte.is_ascii_graphic()), "{}", id);
            prop_assert_eq!(seal().open(&id, &EndpointScope::All, principal.as_deref()), Some(claims));
        }

        #[test]
        fn an_id_with_any_bit_flipped_is_refused(at in any::<prop::sample::Index>(), bit in 0u8..7) {
            let id = seal().seal(&claims(), [1; SALT], &EndpointScope::All, None);
            let mut bytes = id.as_bytes().to_vec();
            let at = at.index(bytes.len());
            bytes[at] ^= 1 << bit;
            let text = String::from_utf8(bytes).expect("seven bits");
            prop_assert_eq!(seal().open(&text, &EndpointScope::All, None), None);
        }

        #[test]
        fn anything_else_is_refused(id in "\\PC{0,300}", bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            prop_assert_eq!(seal().open(&id, &EndpointScope::All, None), None);
            let id = BASE64_URL_SAFE_NO_PAD.encode([&[FORMAT][..], &bytes].concat());
            prop_assert_eq!(seal().open(&id, &EndpointScope::All, None), None);
        }
    }
}
