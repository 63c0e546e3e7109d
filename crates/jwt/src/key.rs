//! One public key (JWK, RFC 7517), and which signatures it can have made.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ED25519, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents, UnparsedPublicKey,
};
use serde::Deserialize;

/// The algorithms of signatures that are accepted. All are asymmetric: there is no `none`, and none in which a public key could be taken
/// for a secret (RFC 8725 section 2.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    /// RSA PKCS#1 v1.5 with SHA-256, keys of 2048 to 8192 bits.
    Rs256,
    /// ECDSA on P-256 with SHA-256.
    Es256,
    /// Ed25519.
    EdDsa,
}

impl Algorithm {
    /// By the name in a token's header; `None`: it is not accepted.
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "RS256" => Some(Self::Rs256),
            "ES256" => Some(Self::Es256),
            // The latter since RFC 9864.
            "EdDSA" | "Ed25519" => Some(Self::EdDsa),
            _ => None,
        }
    }
}

/// A key as its issuer writes it.
#[derive(Deserialize)]
pub(crate) struct Jwk {
    kty: String,
    kid: Option<String>,
    alg: Option<String>,
    #[serde(rename = "use")]
    purpose: Option<String>,
    key_ops: Option<Vec<String>>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
}

/// A public key that can verify signatures of one algorithm.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct VerificationKey {
    pub(crate) id: Option<String>,
    material: KeyMaterial,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum KeyMaterial {
    Rsa {
        modulus: Vec<u8>,
        exponent: Vec<u8>,
    },
    /// The point, uncompressed.
    P256(Vec<u8>),
    Ed25519(Vec<u8>),
}

/// Of a coordinate of P-256, and of a key of Ed25519.
const COORDINATE: usize = 32;
/// Of the moduli that are accepted, in bytes.
const RSA: std::ops::RangeInclusive<usize> = 256..=1024;

impl VerificationKey {
    /// The key, if it is one for signatures of an algorithm that is accepted.
    pub(crate) fn of(jwk: Jwk) -> Option<Self> {
        let is_for_signatures = jwk.purpose.as_deref().is_none_or(|purpose| purpose == "sig")
            && jwk.key_ops.as_ref().is_none_or(|operations| operations.iter().any(|one| one == "verify"));
        if !is_for_signatures {
            return None;
        }
        let bytes = |text: &Option<String>| URL_SAFE_NO_PAD.decode(text.as_deref()?.trim_end_matches('=')).ok();
        let of_coordinate = |text: &Option<String>| bytes(text).filter(|bytes| bytes.len() == COORDINATE);
        let material = match (jwk.kty.as_str(), jwk.crv.as_deref()) {
            ("RSA", _) => {
                let modulus = bytes(&jwk.n)?;
                // Some issuers write the sign, which a number without one does not have.
                let zeros = modulus.iter().take_while(|byte| **byte == 0).count();
                let modulus = modulus[zeros..].to_vec();
                KeyMaterial::Rsa {
                    modulus: Some(modulus).filter(|all| RSA.contains(&all.len()))?,
                    exponent: bytes(&jwk.e)?,
                }
            }
            ("EC", Some("P-256")) => {
                KeyMaterial::P256([vec![4], of_coordinate(&jwk.x)?, of_coordinate(&jwk.y)?].concat())
            }
            ("OKP", Some("Ed25519")) => KeyMaterial::Ed25519(of_coordinate(&jwk.x)?),
            _ => return None,
        };
        let key = Self { id: jwk.kid, material };
        // A key that says what it is for is for nothing else.
        jwk.alg.is_none_or(|alg| Algorithm::named(&alg) == Some(key.algorithm())).then_some(key)
    }

    /// The one algorithm that it is of. So a token cannot choose another for it.
    pub(crate) fn algorithm(&self) -> Algorithm {
        match &self.material {
            KeyMaterial::Rsa { .. } => Algorithm::Rs256,
            KeyMaterial::P256(_) => Algorithm::Es256,
            KeyMaterial::Ed25519(_) => Algorithm::EdDsa,
        }
    }

    /// Whether its holder signed this.
    pub(crate) fn has_signed(&self, message: &[u8], signature: &[u8]) -> bool {
        let verified = match &self.material {
            KeyMaterial::Rsa { modulus, exponent } => RsaPublicKeyComponents { n: modulus, e: exponent }.verify(
                &RSA_PKCS1_2048_8192_SHA256,
                message,
                signature,
            ),
            KeyMaterial::P256(point) => {
                UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).verify(message, signature)
            }
            KeyMaterial::Ed25519(key) => UnparsedPublicKey::new(&ED25519, key).verify(message, signature),
        };
        verified.is_ok()
    }
}
