//! What the answer of an authorization server's endpoint means, before it is known what was asked. Pure.

use serde::Deserialize;

use crate::{FetchedAnswer, OAuthError, text::quoted};

/// RFC 6749 section 5.2, and RFC 7591 section 3.2.2.
#[derive(Deserialize)]
struct ErrorBody {
    error: String,
    error_description: Option<String>,
}

/// Errors of OAuth that pass.
const PASSING: &[&str] = &["server_error", "temporarily_unavailable", "slow_down"];

/// The body of an answer that says yes. `what` names the endpoint in errors.
///
/// Only the words of OAuth are a no: a page of something on the way, or a status alone, are none.
pub(crate) fn body(answer: &FetchedAnswer, what: &str) -> Result<serde_json::Value, OAuthError> {
    let status = answer.status;
    if answer.is_success() {
        return serde_json::from_slice(&answer.body).map_err(|_| {
            OAuthError::Unavailable(format!("{what} answers HTTP {status} with something that is no JSON"))
        });
    }
    let Ok(ErrorBody { error, error_description }) = serde_json::from_slice(&answer.body) else {
        return Err(OAuthError::Unavailable(format!("{what} answers HTTP {status}")));
    };
    let because = error_description.map(|text| format!(": {}", quoted(&text))).unwrap_or_default();
    let text = format!("{what} says `{}`{because}", quoted(&error));
    let passes = status == 429 || status >= 500 || PASSING.contains(&error.as_str());
    Err(if passes { OAuthError::Unavailable(text) } else { OAuthError::Refused(text) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_words_of_oauth_are_a_no() {
        let of = |status, text: &str| body(&FetchedAnswer { status, body: text.into(), max_age: None }, "it");
        assert!(of(200, "{}").is_ok());
        for (status, text) in [
            (200, "<html>"),
            (400, "<html>"),
            (404, ""),
            (503, r#"{"error":"invalid_grant"}"#),
            (429, r#"{"error":"invalid_grant"}"#),
            (400, r#"{"error":"temporarily_unavailable"}"#),
        ] {
            assert!(matches!(of(status, text), Err(OAuthError::Unavailable(_))), "{status} {text}");
        }
        let refused = of(400, r#"{"error":"invalid_grant","error_description":"gone\u001b[2J"}"#);
        assert_eq!(refused, Err(OAuthError::Refused(r"it says `invalid_grant`: gone\u{1b}[2J".into())));
    }
}
