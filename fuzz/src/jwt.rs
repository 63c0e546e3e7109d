//! Tokens that strangers show, and the keys of authorization servers.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use mcproxy_jwt::{Jwt, KeySet, MAX_KEYS, MAX_TOKEN, SignatureVerdict};

use crate::split_choice;

/// A key whose other half nobody has.
const KEYS: &str = r#"{"keys":[{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#;

pub(crate) fn target(data: &[u8]) {
    let (choice, body) = split_choice(data);
    if let Ok(keys) = KeySet::read(body) {
        assert!((1..=MAX_KEYS).contains(&keys.len()));
    }
    let Ok(text) = std::str::from_utf8(body) else { return };
    // As it is, or header and claims before they are encoded.
    let token = match (choice % 2, text.split_once('\n')) {
        (1, Some((header, claims))) => {
            let part = |text: &str| URL_SAFE_NO_PAD.encode(text);
            format!("{}.{}.{}", part(header), part(claims), part("signature"))
        }
        _ => text.to_owned(),
    };
    if let Ok(jwt) = Jwt::parse(&token) {
        assert!(token.len() <= MAX_TOKEN);
        let keys = KeySet::read(KEYS.as_bytes()).expect("a key");
        assert_ne!(jwt.verify(&keys), SignatureVerdict::Verified, "nobody has signed it");
        let claims = jwt.claims();
        assert!(claims.check(claims.expires).is_err(), "then it is over");
    }
}
