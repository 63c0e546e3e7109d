use proptest::prelude::*;
use ring::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _},
};
use serde_json::json;

use super::*;
use crate::{KeySetError, MAX_AUDIENCES, MAX_KEY_SET, MAX_KEYS};

/// Keys of two kinds, and tokens that they sign.
struct Issuer {
    ed: Ed25519KeyPair,
    p256: EcdsaKeyPair,
    random: SystemRandom,
}

impl Issuer {
    fn new() -> Self {
        let random = SystemRandom::new();
        let ed = Ed25519KeyPair::generate_pkcs8(&random).expect("a key");
        let p256 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).expect("a key");
        Self {
            ed: Ed25519KeyPair::from_pkcs8(ed.as_ref()).expect("its own"),
            p256: EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, p256.as_ref(), &random).expect("its own"),
            random,
        }
    }

    fn keys(&self) -> Value {
        let (ed, point) = (self.ed.public_key().as_ref(), self.p256.public_key().as_ref());
        json!({"keys": [
            {"kty": "OKP", "crv": "Ed25519", "kid": "ed", "x": URL_SAFE_NO_PAD.encode(ed)},
            {"kty": "EC", "crv": "P-256", "kid": "ec", "use": "sig", "alg": "ES256",
             "x": URL_SAFE_NO_PAD.encode(&point[1..33]), "y": URL_SAFE_NO_PAD.encode(&point[33..])},
            {"kty": "oct", "kid": "ed", "k": "c2VjcmV0"},
            {"kty": "OKP", "crv": "Ed25519", "kid": "enc", "use": "enc", "x": URL_SAFE_NO_PAD.encode(ed)},
        ]})
    }

    fn key_set(&self) -> KeySet {
        KeySet::read(self.keys().to_string().as_bytes()).expect("keys")
    }

    fn signed(&self, header: &Value, claims: &Value) -> String {
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", part(header), part(claims));
        let signature = match header["alg"].as_str() {
            Some("ES256") => self.p256.sign(&self.random, signed.as_bytes()).expect("signed").as_ref().to_vec(),
            Some("none") => Vec::new(),
            _ => self.ed.sign(signed.as_bytes()).as_ref().to_vec(),
        };
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }
}

fn claims() -> Value {
    json!({"iss": "https://as", "aud": "https://r", "exp": 2000, "sub": "ann", "scope": "a b", "scp": ["c"]})
}

fn verdict(text: &str, keys: &KeySet) -> Result<SignatureVerdict, JwtError> {
    Jwt::parse(text).map(|jwt| jwt.verify(keys))
}

#[test]
fn a_token_is_what_the_key_that_it_names_has_signed() {
    let issuer = Issuer::new();
    let keys = issuer.key_set();
    assert_eq!(keys.len(), 2, "a shared secret and a key for something else are no keys");
    for (alg, kid) in [("EdDSA", "ed"), ("Ed25519", "ed"), ("ES256", "ec")] {
        let token = issuer.signed(&json!({"alg": alg, "kid": kid, "typ": "at+jwt"}), &claims());
        assert_eq!(verdict(&token, &keys), Ok(SignatureVerdict::Verified), "{alg}");
        let jwt = Jwt::parse(&token).expect("a token");
        assert_eq!((jwt.issuer(), jwt.key_id()), (Some("https://as"), Some(kid)));
        let claims = jwt.claims();
        assert_eq!((claims.text("sub"), claims.scopes.join(" ").as_str()), (Some("ann"), "a b c"));
    }
    let without = issuer.signed(&json!({"alg": "EdDSA"}), &claims());
    assert_eq!(verdict(&without, &keys), Ok(SignatureVerdict::Verified), "all keys are tried");
    let other = Issuer::new().signed(&json!({"alg": "EdDSA", "kid": "ed"}), &claims());
    assert_eq!(verdict(&other, &keys), Ok(SignatureVerdict::Forged));
    let unknown = issuer.signed(&json!({"alg": "EdDSA", "kid": "new"}), &claims());
    assert_eq!(verdict(&unknown, &keys), Ok(SignatureVerdict::UnknownKey));
    let of_another_kind = issuer.signed(&json!({"alg": "ES256", "kid": "ed"}), &claims());
    assert_eq!(verdict(&of_another_kind, &keys), Ok(SignatureVerdict::UnknownKey), "the key says what it is for");
}

#[test]
fn what_is_no_access_token_is_refused_before_any_key_is_asked() {
    let issuer = Issuer::new();
    let of = |header: Value| Jwt::parse(&issuer.signed(&header, &claims())).map(|_| ()).err();
    for alg in ["none", "None", "HS256", "RS384", "PS256", ""] {
        assert_eq!(of(json!({"alg": alg, "kid": "ed"})), Some(JwtError::Algorithm), "{alg}");
    }
    for typ in ["at+jwt", "AT+JWT", "application/at+jwt", "JWT"] {
        assert_eq!(of(json!({"alg": "EdDSA", "typ": typ})), None, "{typ}");
    }
    for typ in ["logout+jwt", "dpop+jwt", "secevent+jwt", ""] {
        assert_eq!(of(json!({"alg": "EdDSA", "typ": typ})), Some(JwtError::Type), "{typ}");
    }
    assert_eq!(of(json!({"alg": "EdDSA", "crit": ["b64"], "b64": false})), Some(JwtError::Critical));
    for text in ["", "a", "a.b", "a.b.c", "..", "e30.e30.", &"x".repeat(40)] {
        assert_eq!(Jwt::parse(text).map(|_| ()), Err(JwtError::NotAJwt), "{text}");
    }
    assert_eq!(Jwt::parse(&"x".repeat(MAX_TOKEN + 1)).map(|_| ()), Err(JwtError::TooLong));
    let header = json!({"alg": "EdDSA"});
    let damaged = |claims: &Value| Jwt::parse(&issuer.signed(&header, claims)).map(|_| ()).err();
    assert_eq!(damaged(&json!([1])), Some(JwtError::Damaged));
    assert_eq!(damaged(&json!({"iss": "x"})), Some(ClaimError::NoExpiry.into()));
    for wrong in [json!({"exp": "1"}), json!({"exp": -1}), json!({"exp": 1, "aud": 4}), json!({"exp": 1, "scope": {}})]
    {
        assert!(matches!(damaged(&wrong), Some(JwtError::Claims(ClaimError::Malformed(_)))), "{wrong}");
    }
    let many = json!({"exp": 1, "aud": vec!["x"; MAX_AUDIENCES + 1]});
    assert_eq!(damaged(&many), Some(ClaimError::Malformed("aud").into()));
}

#[test]
fn a_token_has_its_time() {
    let issuer = Issuer::new();
    let check = |more: Value, now| {
        let mut all = claims();
        all.as_object_mut().expect("one").extend(more.as_object().expect("one").clone());
        let token = issuer.signed(&json!({"alg": "EdDSA"}), &all);
        Jwt::parse(&token).expect("a token").claims().check(now)
    };
    assert_eq!(check(json!({}), 1999), Ok(()));
    assert_eq!(check(json!({}), 2000), Err(ClaimError::Expired));
    assert_eq!(check(json!({"exp": 2000.5}), 2000), Err(ClaimError::Expired));
    assert_eq!(check(json!({"nbf": 1000}), 970), Ok(()), "clocks differ");
    assert_eq!(check(json!({"nbf": 1000}), 969), Err(ClaimError::NotYet));
    assert_eq!(check(json!({"cnf": {"jkt": "x"}}), 1), Err(ClaimError::Bound));
}

#[test]
fn a_set_of_keys_is_bounded_and_holds_what_can_be_used() {
    assert_eq!(KeySet::read(b"[]"), Err(KeySetError::NotASet));
    assert_eq!(KeySet::read(br#"{"keys":[]}"#), Err(KeySetError::NoneUsable));
    assert_eq!(KeySet::read(&vec![b' '; MAX_KEY_SET + 1]), Err(KeySetError::TooLong));
    let small = json!({"keys": [{"kty": "RSA", "n": URL_SAFE_NO_PAD.encode([255; 128]), "e": "AQAB"}]});
    assert_eq!(KeySet::read(small.to_string().as_bytes()), Err(KeySetError::NoneUsable), "1024 bits are too few");
    let rsa = json!({"kty": "RSA", "kid": "r", "alg": "RS256", "n": URL_SAFE_NO_PAD.encode([255; 256]), "e": "AQAB"});
    let many = json!({"keys": vec![rsa; MAX_KEYS + 1]});
    assert_eq!(KeySet::read(many.to_string().as_bytes()).map(|keys| keys.len()), Ok(MAX_KEYS));
}

proptest! {
    #[test]
    fn no_change_of_a_token_is_verified(at in 0usize..400, to in any::<u8>()) {
        let issuer = Issuer::new();
        let keys = issuer.key_set();
        let token = issuer.signed(&json!({"alg": "EdDSA", "kid": "ed"}), &claims());
        let mut bytes = token.clone().into_bytes();
        let at = at % bytes.len();
        bytes[at] = to & 0x7f;
        let changed = String::from_utf8(bytes).expect("ASCII");
        if changed != token {
            prop_assert_ne!(verdict(&changed, &keys), Ok(SignatureVerdict::Verified));
        }
    }

    #[test]
    fn any_text_is_read_or_refused(text in "[A-Za-z0-9_.-]{0,200}", bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = Jwt::parse(&text);
        let _ = KeySet::read(&bytes);
    }
}
