//! The part of a login that a person does: the page that is opened, and the callback that comes of it. Pure.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use url::{Url, form_urlencoded};

use crate::{ClientIdentity, Discovered, OAuthError, pkce, text::quoted};

/// What is asked for.
#[derive(Debug)]
pub struct AuthorizationRequest<'a> {
    /// Of whom, and for what.
    pub discovered: &'a Discovered,
    /// Who asks.
    pub client: &'a ClientIdentity,
    /// Where the callback goes.
    pub redirect: &'a str,
    /// How much.
    pub scope: Option<&'a str>,
}

/// A login whose callback is awaited.
#[derive(Debug)]
pub struct PendingAuthorization {
    state: String,
    verifier: String,
    redirect: String,
    issuer: String,
    says_issuer: bool,
}

/// Asks for a refresh token where OpenID Connect has a scope for it.
const OFFLINE: &str = "offline_access";

impl AuthorizationRequest<'_> {
    /// The page to be opened, and what its callback is checked with.
    ///
    /// # Errors
    /// The authorization server has no such page, or no PKCE.
    pub fn begin(&self, state: [u8; 32], verifier: [u8; 32]) -> Result<(PendingAuthorization, Url), OAuthError> {
        let issuer = &self.discovered.issuer;
        let mut page = issuer.interactive()?;
        let state = URL_SAFE_NO_PAD.encode(state);
        let verifier = pkce::verifier(verifier);
        {
            let mut query = page.query_pairs_mut();
            query
                .append_pair("response_type", "code")
                .append_pair("client_id", &self.client.id)
                .append_pair("redirect_uri", self.redirect)
                .append_pair("state", &state)
                .append_pair("code_challenge", &pkce::challenge(&verifier))
                .append_pair("code_challenge_method", "S256")
                .append_pair("resource", &self.discovered.resource);
            if let Some(scope) = self.scope {
                query.append_pair("scope", scope);
            }
            if self.scope.is_some_and(|scope| scope.split(' ').any(|one| one == OFFLINE)) {
                // OpenID Connect Core section 11.
                query.append_pair("prompt", "consent");
            }
        }
        let pending = PendingAuthorization {
            state,
            verifier,
            redirect: self.redirect.to_owned(),
            issuer: issuer.issuer.clone(),
            says_issuer: issuer.authorization_response_iss_parameter_supported,
        };
        Ok((pending, page))
    }
}

impl Discovered {
    /// The scope to ask for: what the configuration or a person names, else what the server wants; with what brings a refresh token.
    pub fn scope_for_people(&self, wanted: Option<&str>) -> Option<String> {
        let scope = wanted.map(str::to_owned).or_else(|| self.scope.clone());
        let offers = self.issuer.scopes_supported.iter().any(|scope| scope == OFFLINE);
        match scope {
            Some(scope) if offers && !scope.split(' ').any(|one| one == OFFLINE) => Some(format!("{scope} {OFFLINE}")),
            None if offers => Some(OFFLINE.to_owned()),
            scope => scope,
        }
    }
}

impl PendingAuthorization {
    /// The code that the callback with this query brings.
    ///
    /// # Errors
    /// It is not this login's, or says no.
    pub fn code(&self, query: &str) -> Result<String, OAuthError> {
        let mut fields = form_urlencoded::parse(query.as_bytes());
        let (mut code, mut state, mut issuer, mut error, mut about) = (None, None, None, None, None);
        for (name, value) in fields.by_ref() {
            match &*name {
                "code" => code = Some(value),
                "state" => state = Some(value),
                "iss" => issuer = Some(value),
                "error" => error = Some(value),
                "error_description" => about = Some(value),
                _ => {}
            }
        }
        let unusable = |why: &str| Err(OAuthError::Unusable(why.to_owned()));
        if state.as_deref() != Some(&self.state) {
            return unusable("this answer belongs to another login (`state` is not ours)");
        }
        // RFC 9207: before anything else of it is believed.
        match issuer {
            Some(issuer) if *issuer != self.issuer => {
                return Err(OAuthError::Unusable(format!(
                    "this answer is from {}, not from {} (`iss`)",
                    quoted(&issuer),
                    quoted(&self.issuer)
                )));
            }
            None if self.says_issuer => return unusable("this answer does not say who it is from (`iss`)"),
            Some(_) | None => {}
        }
        if let Some(error) = error {
            let because = about.map(|about| format!(": {}", quoted(&about))).unwrap_or_default();
            return Err(OAuthError::Refused(format!("the authorization server says `{}`{because}", quoted(&error))));
        }
        match code {
            Some(code) if !code.is_empty() => Ok(code.into_owned()),
            Some(_) | None => unusable("this answer brings no `code`"),
        }
    }

    /// What the token endpoint is shown besides the code.
    pub(crate) fn proof(&self) -> [(&str, &str); 2] {
        [("redirect_uri", &self.redirect), ("code_verifier", &self.verifier)]
    }
}

/// The query of a callback in what a person pasted: the whole address, what follows its `?`, or a line with either in it.
pub fn callback_query(pasted: &str) -> Option<&str> {
    let pasted = pasted.trim().trim_matches(['\'', '"', '<', '>']);
    let query = pasted.split_once('?').map_or(pasted, |(_, query)| query);
    let query = query.split('#').next().unwrap_or_default();
    let has = |name: &str| form_urlencoded::parse(query.as_bytes()).any(|(field, _)| field == name);
    (has("state") && (has("code") || has("error"))).then_some(query)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{ClientAuth, IssuerMetadata};

    fn begun(says_issuer: bool) -> (PendingAuthorization, Url) {
        let discovered = Discovered {
            resource: "https://h/mcp".into(),
            issuer: IssuerMetadata {
                issuer: "https://as".into(),
                authorization_endpoint: Some("https://as/auth?tenant=1".into()),
                code_challenge_methods_supported: vec!["S256".into()],
                scopes_supported: vec!["offline_access".into()],
                authorization_response_iss_parameter_supported: says_issuer,
                ..IssuerMetadata::default()
            },
            scope: Some("a".into()),
        };
        let client = ClientIdentity { id: "c".into(), secret: None, auth: ClientAuth::None };
        let scope = discovered.scope_for_people(None);
        assert_eq!(scope.as_deref(), Some("a offline_access"));
        let redirect = "http://127.0.0.1:1/callback";
        let request =
            AuthorizationRequest { discovered: &discovered, client: &client, redirect, scope: scope.as_deref() };
        request.begin([1; 32], [2; 32]).expect("a page")
    }

    #[test]
    fn the_page_says_who_asks_for_what_and_keeps_what_its_address_has() {
        let (pending, page) = begun(false);
        let fields: Vec<(String, String)> = page.query_pairs().into_owned().collect();
        let get = |name: &str| fields.iter().find(|(field, _)| field == name).map(|(_, value)| value.as_str());
        for (name, value) in [
            ("tenant", "1"),
            ("response_type", "code"),
            ("client_id", "c"),
            ("redirect_uri", "http://127.0.0.1:1/callback"),
            ("resource", "https://h/mcp"),
            ("scope", "a offline_access"),
            ("prompt", "consent"),
            ("code_challenge_method", "S256"),
            ("state", pending.state.as_str()),
        ] {
            assert_eq!(get(name), Some(value), "{name}");
        }
        assert_eq!(get("code_challenge"), Some(pkce::challenge(&pending.verifier).as_str()));
    }

    #[test]
    fn only_the_callback_of_this_login_brings_a_code() {
        let (pending, _) = begun(true);
        let state = &pending.state;
        let iss = "iss=https%3A%2F%2Fas";
        assert_eq!(pending.code(&format!("code=x&state={state}&{iss}")).as_deref(), Ok("x"));
        for (query, said) in [
            (format!("code=x&state=other&{iss}"), "another login"),
            (format!("code=x&{iss}"), "another login"),
            (format!("code=x&state={state}"), "does not say who"),
            (format!("code=x&state={state}&iss=https%3A%2F%2Fevil"), "from https://evil"),
            (format!("error=access_denied&error_description=no&state={state}&{iss}"), "`access_denied`: no"),
            (format!("state={state}&{iss}"), "no `code`"),
        ] {
            let error = pending.code(&query).expect_err(said).to_string();
            assert!(error.contains(said), "{error}");
        }
        let (pending, _) = begun(false);
        assert!(pending.code(&format!("code=x&state={}", pending.state)).is_ok());
        assert!(pending.code(&format!("code=x&state={}&iss=x", pending.state)).is_err(), "what is said is checked");
    }

    #[test]
    fn what_people_paste_is_understood() {
        let query = "code=a&state=b";
        for pasted in ["http://127.0.0.1:1/callback?code=a&state=b", " code=a&state=b\n", "'http://x/?code=a&state=b#'"]
        {
            assert_eq!(callback_query(pasted), Some(query), "{pasted}");
        }
        assert_eq!(callback_query("error=x&state=b"), Some("error=x&state=b"));
        for no in ["", "yes", "http://127.0.0.1:1/callback", "code=a", "https://as/auth?client_id=c&state=b"] {
            assert_eq!(callback_query(no), None, "{no}");
        }
    }

    proptest! {
        #[test]
        fn no_callback_without_our_state_brings_a_code(query in "[ -~]{0,80}") {
            prop_assert!(begun(false).0.code(&query).is_err());
            let _ = callback_query(&query);
        }
    }
}
