//! Session ids: strings that a client presents, which may be ours, changed, or made up.

use mcproxy_ipc::{Generation, SealKey, SessionKey};
use mcproxy_mcp::{ClientCapabilities, ProtocolVersion};

use crate::{
    gateway::{
        base::{client_info::Client, endpoint_scope::EndpointScope},
        sessions::session_id::{MAX_ID, SALT, SessionClaims, SessionIdCodec},
    },
    split_choice,
};

/// An even first byte: the rest is an id. An odd one: the rest says what is sealed and which bit is flipped.
pub(crate) fn target(data: &[u8]) {
    let seal = SessionIdCodec::new(&SealKey::new([7; 32]));
    let (choice, rest) = split_choice(data);
    if choice.is_multiple_of(2) {
        let Ok(id) = std::str::from_utf8(rest) else { return };
        assert_eq!(seal.open(id, &EndpointScope::All, None), None, "made up and believed");
        return;
    }
    let byte = |at: usize| rest.get(at).copied().unwrap_or_default();
    let text = String::from_utf8_lossy(rest.get(8..).unwrap_or_default());
    let pass = SessionClaims {
        key: SessionKey([byte(0); 16]),
        version: ProtocolVersion::ALL[usize::from(byte(1)) % ProtocolVersion::ALL.len()],
        gateway: Generation(u64::from(byte(2))),
        issued: u64::from(byte(3)) << 32,
        client: Client {
            name: text.chars().take(16).collect::<String>().into(),
            version: text.chars().skip(16).take(8).collect::<String>().into(),
            features: ClientCapabilities(u16::from(byte(4))),
        },
    };
    let scope = EndpointScope::Group(text.chars().take(3).collect());
    let id = seal.seal(&pass, [byte(5); SALT], &scope, Some("ann"));
    assert!(id.len() <= MAX_ID && id.bytes().all(|b| b.is_ascii_graphic()), "{id}");
    assert_eq!(seal.open(&id, &scope, Some("ann")).as_ref(), Some(&pass), "sealed and not known again");
    for (scope, principal) in [(&scope, None), (&scope, Some("bob")), (&EndpointScope::All, Some("ann"))] {
        assert_eq!(seal.open(&id, scope, principal), None, "{scope} {principal:?}");
    }
    let mut bytes = id.as_bytes().to_vec();
    let at = usize::from(byte(6)) % bytes.len();
    bytes[at] ^= 1 << (byte(7) % 7);
    let changed = String::from_utf8(bytes).expect("still ASCII");
    assert_eq!(seal.open(&changed, &scope, Some("ann")), None, "changed and believed: {changed}");
}
