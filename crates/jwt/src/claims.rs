//! What a token says (RFC 7519 section 4, RFC 9068 section 2.2), or its issuer of it (RFC 7662 section 2.2).

use serde_json::{Map, Value};

/// Most audiences of a token; one with more is refused.
pub const MAX_AUDIENCES: usize = 32;
/// Most scopes of a token; one with more is refused.
pub const MAX_SCOPES: usize = 256;
/// So many seconds the clocks of an issuer may be ahead of ours.
const CLOCK_SKEW: u64 = 30;

/// What a token says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claims {
    /// Who issued it.
    pub issuer: Option<String>,
    /// Whom it is for.
    pub audiences: Vec<String>,
    /// When it is over, in seconds since 1970.
    pub expires: u64,
    /// What its holder may do, as the issuer calls it.
    pub scopes: Vec<String>,
    not_before: Option<u64>,
    is_bound: bool,
    members: Map<String, Value>,
}

/// Why what a token says cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ClaimError {
    /// RFC 9068: `exp` is required.
    #[error("the token does not say when it expires (`exp`)")]
    NoExpiry,
    /// A member has another type than RFC 7519 says, or too many elements.
    #[error("`{0}` of the token is not what RFC 7519 says, or too long")]
    Malformed(&'static str),
    /// Its time is over.
    #[error("the token has expired")]
    Expired,
    /// Its time has not come.
    #[error("the token is not valid yet")]
    NotYet,
    /// RFC 9449, RFC 8705: it is of use to the holder of a key only, which a bearer does not show.
    #[error("the token is bound to a key (`cnf`), and such tokens are not supported")]
    Bound,
}

impl Claims {
    /// Reads the members of an object.
    ///
    /// # Errors
    /// They are not those of a token.
    pub fn read(members: Map<String, Value>) -> Result<Self, ClaimError> {
        let issuer = text(&members, "iss")?;
        let audiences = texts(&members, "aud", MAX_AUDIENCES)?;
        let expires = moment(&members, "exp")?.ok_or(ClaimError::NoExpiry)?;
        let not_before = moment(&members, "nbf")?;
        // RFC 8693 says one text; some issuers write `scp`, or a list.
        let mut scopes = words(&members, "scope")?;
        scopes.extend(words(&members, "scp")?);
        if scopes.len() > MAX_SCOPES {
            return Err(ClaimError::Malformed("scope"));
        }
        let is_bound = members.get("cnf").is_some_and(|bound| !bound.is_null());
        Ok(Self { issuer, audiences, expires, scopes, not_before, is_bound, members })
    }

    /// Whether it is valid at this moment, in seconds since 1970.
    ///
    /// # Errors
    /// Why it is not.
    pub fn check(&self, now: u64) -> Result<(), ClaimError> {
        if self.is_bound {
            return Err(ClaimError::Bound);
        }
        if self.expires <= now {
            return Err(ClaimError::Expired);
        }
        match self.not_before {
            Some(begin) if begin > now.saturating_add(CLOCK_SKEW) => Err(ClaimError::NotYet),
            Some(_) | None => Ok(()),
        }
    }

    /// A member that is a text, by its name.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.members.get(name)?.as_str()
    }
}

fn text(members: &Map<String, Value>, name: &'static str) -> Result<Option<String>, ClaimError> {
    match members.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(_) => Err(ClaimError::Malformed(name)),
    }
}

/// A text, or a list of texts.
fn texts(members: &Map<String, Value>, name: &'static str, most: usize) -> Result<Vec<String>, ClaimError> {
    let malformed = ClaimError::Malformed(name);
    match members.get(name) {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(Value::String(text)) => Ok(vec![text.clone()]),
        Some(Value::Array(all)) if all.len() <= most => {
            all.iter().map(|one| one.as_str().map(str::to_owned).ok_or(malformed)).collect()
        }
        Some(_) => Err(malformed),
    }
}

/// The words of a text, or of a list of texts.
fn words(members: &Map<String, Value>, name: &'static str) -> Result<Vec<String>, ClaimError> {
    let texts = texts(members, name, MAX_SCOPES)?;
    Ok(texts.iter().flat_map(|text| text.split(' ')).filter(|word| !word.is_empty()).map(str::to_owned).collect())
}

/// Seconds since 1970, which may have a fraction.
fn moment(members: &Map<String, Value>, name: &'static str) -> Result<Option<u64>, ClaimError> {
    let malformed = Err(ClaimError::Malformed(name));
    let number = match members.get(name) {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::Number(number)) => number,
        Some(_) => return malformed,
    };
    match (number.as_u64(), number.as_f64()) {
        (Some(seconds), _) => Ok(Some(seconds)),
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is in range")]
        (None, Some(seconds)) if (0.0..9e15).contains(&seconds) => Ok(Some(seconds as u64)),
        _ => malformed,
    }
}
