//! Authentication: which principal sent a request, and whether what a principal opened may go on after the settings change.
//! The only module of the gateway that knows the schemes: tokens of the configuration that a request shows in a header, or in its URL
//! where that is allowed, and tokens of authorization servers (`oauth/`); groups may go without.

use std::{borrow::Cow, fmt, hint::black_box, rc::Rc, time::SystemTime};

use actix_web::http::{
    Uri,
    header::{self, HeaderMap, HeaderName},
};
use mcproxy_ipc::control::{GatewaySettings, TokenHash};
use sha2::{Digest, Sha256};
use url::form_urlencoded;

use super::{
    auth_error::AuthError,
    oauth::{
        access_tokens::{AccessToken, AccessTokens, TokenDigest},
        resource::endpoint_path,
        scheme::OAuthScheme,
    },
    principal::Principal,
    scope::Scope,
};

/// The header in which some clients send their token.
const API_KEY: &str = "x-api-key";
/// The names of a token in the query of a URL.
const QUERY_KEYS: [&str; 2] = ["api_key", "apikey"];
/// What the paths of groups begin with.
const GROUPS: &str = "/groups/";

/// Whether a header carries credentials. A request may have one of each such header.
pub(crate) fn is_credential(name: &HeaderName) -> bool {
    *name == header::AUTHORIZATION || name.as_str() == API_KEY
}

/// How requests are authenticated under one set of settings. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Auth {
    /// The tokens that are accepted; `None`: no authentication.
    tokens: Option<Rc<[TokenHash]>>,
    /// The tokens whose time is over.
    expired: Rc<[TokenHash]>,
    /// A token may stand in the URL.
    query_key: bool,
    /// Groups that need no token.
    open_groups: Rc<[String]>,
    /// Tokens of authorization servers; only where there is authentication.
    oauth: Option<OAuthScheme>,
}

impl Auth {
    /// The scheme of the settings at this moment; `verified`: tokens of authorization servers.
    pub(crate) fn of(settings: &GatewaySettings, now: SystemTime, verified: &Rc<AccessTokens>) -> Self {
        let oauth = settings.oauth.clone().filter(|_| settings.tokens.is_some());
        let open = settings.groups.iter().filter(|group| group.is_open);
        let (expired, accepted): (Vec<_>, Vec<_>) =
            settings.tokens.iter().flatten().cloned().partition(|token| token.has_expired(now));
        Self {
            tokens: settings.tokens.is_some().then(|| accepted.into()),
            expired: expired.into(),
            query_key: settings.query_key,
            open_groups: open.map(|group| group.name.clone()).collect(),
            oauth: oauth.map(|oauth| OAuthScheme::new(Rc::new(oauth), verified.clone())),
        }
    }

    /// When the next token stops being accepted.
    pub(crate) fn next_expiry(&self) -> Option<SystemTime> {
        self.tokens.as_deref()?.iter().filter_map(|token| token.expires).min()
    }

    /// Whether requests need no credentials, so that all principals are anonymous.
    pub(crate) fn is_open(&self) -> bool {
        self.tokens.is_none()
    }

    /// Admits a request by its credentials, or because it is for a group that needs none. `target`: in the form that routes are
    /// looked up with.
    pub(crate) fn identify(&self, headers: &HeaderMap, target: &Uri) -> Result<Admission, AuthError> {
        let Some(tokens) = &self.tokens else { return Ok(Admission { ground: Ground::NoneRequired }) };
        match self.find(tokens, headers, target) {
            Ok(ground) => Ok(Admission { ground }),
            Err(AuthError::Unverified) => Err(AuthError::Unverified),
            Err(error) => self.without_token(target).ok_or(error),
        }
    }

    /// The admission of a request whose credentials were not accepted: whatever a client sends to a group that needs nothing, an old
    /// token for example, it may call.
    pub(crate) fn without_token(&self, target: &Uri) -> Option<Admission> {
        Some(Admission { ground: Ground::OpenGroup(self.open_group(target.path())?) })
    }

    /// Tokens of authorization servers, if they are accepted.
    pub(crate) fn oauth(&self) -> Option<&OAuthScheme> {
        self.oauth.as_ref()
    }

    /// Whether a header's value is or carries a token that is accepted here: it must go no further.
    pub(crate) fn accepts(&self, name: &str, value: &str) -> bool {
        let shown = if name == API_KEY { Some(value.trim()) } else { bearer(value) };
        let (Some(tokens), Some(token)) = (&self.tokens, shown) else { return false };
        let digest = token_digest(token);
        place(tokens, &digest).is_some() || self.oauth.as_ref().is_some_and(|oauth| oauth.find(&digest).is_some())
    }

    /// The token in the URL of a request, where one is accepted there.
    pub(crate) fn key_in_query<'t>(&self, target: &'t Uri) -> Option<Cow<'t, str>> {
        let query = target.query().filter(|_| self.query_key && self.tokens.is_some())?;
        let mut pairs = form_urlencoded::parse(query.as_bytes());
        pairs.find(|(key, value)| QUERY_KEYS.contains(&&**key) && !value.is_empty()).map(|(_, value)| value)
    }

    /// The first accepted token among those that a request shows.
    fn find(&self, tokens: &Rc<[TokenHash]>, headers: &HeaderMap, target: &Uri) -> Result<Ground, AuthError> {
        let bearer = headers.get(header::AUTHORIZATION).map(|value| bearer(value.to_str().unwrap_or("?")));
        let key = headers.get(API_KEY).map(|value| value.to_str().unwrap_or("?").trim()).filter(|key| !key.is_empty());
        let malformed = matches!(bearer, Some(None));
        let in_headers = bearer.flatten().into_iter().chain(key).map(Cow::Borrowed);
        let mut error = if malformed { AuthError::Malformed } else { AuthError::Missing };
        for token in in_headers.chain(self.key_in_query(target)) {
            let digest = token_digest(&token);
            if let Some(at) = place(tokens, &digest) {
                return Ok(Ground::Token(tokens.clone(), at));
            }
            if error == AuthError::Unverified {
                continue;
            }
            let has_expired = place(&self.expired, &digest).is_some();
            error = if has_expired { AuthError::Expired } else { AuthError::Unknown };
            // A token of an authorization server is shown in the one header (RFC 6750 §2.1).
            let oauth = self.oauth.as_ref().filter(|_| !has_expired && Some(&*token) == bearer.flatten());
            if let Some(oauth) = oauth {
                match oauth.find(&digest) {
                    Some(token) => return Ok(Ground::Issued(token, oauth.clone())),
                    None if oauth.may_be_token(&token) => error = AuthError::Unverified,
                    None => {}
                }
            }
        }
        Err(error)
    }

    /// The group that a path is of, if that needs no token.
    fn open_group(&self, path: &str) -> Option<Rc<str>> {
        let group = path.strip_prefix(GROUPS)?.split('/').next()?;
        self.is_open_group(group).then(|| group.into())
    }

    fn is_open_group(&self, group: &str) -> bool {
        self.open_groups.iter().any(|open| open == group)
    }

    /// Whether a request that was admitted earlier would be admitted now as the same principal, which may use no less.
    pub(crate) fn still_admits(&self, admission: &Admission) -> bool {
        match (&admission.ground, &self.tokens) {
            (Ground::Token(..), Some(tokens)) => admission.token().is_some_and(|token| is_among(tokens, token)),
            (Ground::Token(..), None) => false,
            (Ground::Issued(token, then), Some(_)) => {
                let scopes = token.principal().scopes().unwrap_or_default();
                let allows = |now: &OAuthScheme| now.still_allows(then.settings(), scopes);
                !token.is_over() && self.oauth.as_ref().is_some_and(allows)
            }
            (Ground::Issued(..), None) => false,
            (Ground::NoneRequired, tokens) => tokens.is_none(),
            (Ground::OpenGroup(group), tokens) => tokens.is_none() || self.is_open_group(group),
        }
    }

    /// Whether a principal's sessions at an endpoint must end after a change from `before`. An anonymous session ends when a token
    /// becomes required there; a named one ends when tokens are no longer used, or none is left of those that it had, or it may use
    /// less.
    pub(crate) fn is_revoked(&self, principal: &Principal, scope: &Scope, before: &Self) -> bool {
        match (principal.name(), &self.tokens) {
            (None, None) => false,
            (None, Some(_)) => !scope.group().is_some_and(|group| self.is_open_group(group)),
            (Some(_), None) => true,
            // A token of an authorization server lasts for minutes, and its client gets the next one when it needs it: the session
            // goes on meanwhile, and nobody can use it without a token.
            (Some(_), Some(_)) if principal.scopes().is_some() => {
                let scopes = principal.scopes().unwrap_or_default();
                let both = self.oauth.as_ref().zip(before.oauth.as_ref());
                !both.is_some_and(|(now, before)| now.still_allows(before.settings(), scopes))
            }
            (Some(name), Some(now)) => {
                let before = before.tokens.as_deref().unwrap_or_default();
                // With one of several tokens its clients go on.
                !before.iter().filter(|token| token.name == name).any(|token| is_among(now, token))
            }
        }
    }
}

/// Whether a token is among others, and may use no less there.
fn is_among(tokens: &[TokenHash], token: &TokenHash) -> bool {
    let still =
        |now: &TokenHash| now.access.still_allows(&token.access) && (now.may_administer || !token.may_administer);
    tokens.iter().any(|now| now.is(token) && still(now))
}

/// The token of an `Authorization` header.
fn bearer(header: &str) -> Option<&str> {
    let (scheme, token) = header.trim().split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
}

/// The token in the `Authorization` header of a request.
pub(crate) fn bearer_token(headers: &HeaderMap) -> Option<&str> {
    bearer(headers.get(header::AUTHORIZATION)?.to_str().ok()?)
}

/// The SHA-256 of a token.
pub(crate) fn token_digest(token: &str) -> TokenDigest {
    Sha256::digest(token.as_bytes()).into()
}

/// The place of a token among those that are accepted.
fn place(tokens: &[TokenHash], digest: &TokenDigest) -> Option<usize> {
    let mut found = None;
    // Every token is compared to its end, so that the time does not tell which token was nearly right.
    for (at, known) in tokens.iter().enumerate() {
        let words = words(&known.sha256).zip(words(digest));
        let difference = words.fold(0, |all, (a, b)| black_box(all | (a ^ b)));
        if difference == 0 {
            found = Some(at);
        }
    }
    found
}

/// The parts of a digest, each compared in one step.
fn words(digest: &[u8; 32]) -> impl Iterator<Item = u64> {
    digest.chunks_exact(8).map(|word| word.iter().fold(0, |word, byte| word << 8 | u64::from(*byte)))
}

/// By what a request was admitted. Kept while the request is under way: when it is no longer accepted, the request ends.
#[derive(Clone)]
pub(crate) struct Admission {
    ground: Ground,
}

/// Why a request was admitted.
#[derive(Clone)]
enum Ground {
    /// There was no authentication.
    NoneRequired,
    /// It is for this group, which needs no token.
    OpenGroup(Rc<str>),
    /// It shows this token, by its place among those that were accepted at that time.
    Token(Rc<[TokenHash]>, usize),
    /// It shows this token of an authorization server, under these settings.
    Issued(Rc<AccessToken>, OAuthScheme),
}

impl Admission {
    /// Who sent the request.
    pub(crate) fn principal(&self) -> Principal {
        match &self.ground {
            Ground::Issued(token, _) => token.principal().clone(),
            Ground::Token(..) | Ground::NoneRequired | Ground::OpenGroup(_) => {
                Principal::of(self.token().map(|token| token.name.as_str()))
            }
        }
    }

    /// Whether the token that it shows is for the endpoint at this path, if it is one for certain endpoints.
    pub(crate) fn is_for(&self, path: &str) -> bool {
        match &self.ground {
            Ground::Issued(token, _) => token.is_for(endpoint_path(path)),
            Ground::Token(..) | Ground::NoneRequired | Ground::OpenGroup(_) => true,
        }
    }

    /// The hash of the token that it shows, if it was admitted by one.
    pub(crate) fn token_hash(&self) -> Option<&[u8; 32]> {
        self.token().map(|token| &token.sha256)
    }

    /// Whether its holder may do on the web page what an operator may: its token says so, or there is no authentication and the
    /// request is of this machine (`is_local`).
    pub(crate) fn may_administer(&self, is_local: bool) -> bool {
        match &self.ground {
            Ground::NoneRequired => is_local,
            // Who may administer is written in the configuration, and nowhere else.
            Ground::OpenGroup(_) | Ground::Issued(..) => false,
            Ground::Token(..) => self.token().is_some_and(|token| token.may_administer),
        }
    }

    fn token(&self) -> Option<&TokenHash> {
        match &self.ground {
            Ground::Token(tokens, at) => tokens.get(*at),
            Ground::NoneRequired | Ground::OpenGroup(_) | Ground::Issued(..) => None,
        }
    }
}

impl fmt::Debug for Admission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Admission").field(&self.principal()).finish()
    }
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::HeaderValue;

    use std::time::Duration;

    use mcproxy_ipc::control::TokenAccess;

    use super::*;
    use crate::gateway::base::scope::EndpointScope;

    fn auth(tokens: &[(&str, &str)]) -> Auth {
        let hash = |&(name, token): &(&str, &str)| TokenHash {
            name: name.into(),
            sha256: Sha256::digest(token).into(),
            expires: None,
            access: TokenAccess::default(),
            rate: None,
            may_administer: name == "admin",
        };
        Auth { tokens: Some(tokens.iter().map(hash).collect()), ..open() }
    }

    fn open() -> Auth {
        Auth { tokens: None, expired: Rc::from([]), query_key: false, open_groups: Rc::from([]), oauth: None }
    }

    fn identify(auth: &Auth, authorization: Option<&str>) -> Result<Admission, AuthError> {
        let mut headers = HeaderMap::new();
        if let Some(text) = authorization {
            headers.insert(header::AUTHORIZATION, HeaderValue::from_bytes(text.as_bytes()).expect("a header"));
        }
        auth.identify(&headers, &Uri::from_static("/mcp"))
    }

    /// By whom a request to a URL is admitted that has these headers.
    fn admitted(
        auth: &Auth,
        target: &'static str,
        fields: &[(&'static str, &'static str)],
    ) -> Result<Option<String>, AuthError> {
        let fields =
            fields.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)));
        let admission = auth.identify(&fields.collect(), &Uri::from_static(target))?;
        Ok(admission.principal().name().map(str::to_owned))
    }

    fn with_open_group(auth: Auth, group: &str) -> Auth {
        Auth { open_groups: Rc::from([group.to_owned()]), ..auth }
    }

    #[test]
    fn with_tokens_only_one_that_says_so_administers_and_without_them_only_this_machine() {
        let closed = with_open_group(auth(&[("ann", "s3cret"), ("admin", "other")]), "home");
        let may = |auth: &Auth, target: &'static str, token: &str, is_local| {
            let mut headers = HeaderMap::new();
            headers.insert(header::AUTHORIZATION, HeaderValue::from_str(&format!("Bearer {token}")).expect("a header"));
            auth.identify(&headers, &Uri::from_static(target)).expect("admitted").may_administer(is_local)
        };
        assert!(may(&closed, "/ui/api/act", "other", false));
        assert!(!may(&closed, "/ui/api/act", "s3cret", true), "where there are tokens, the place counts for nothing");
        assert!(!may(&closed, "/groups/home/mcp", "none", true));
        assert!(may(&open(), "/ui/api/act", "none", true) && !may(&open(), "/ui/api/act", "none", false));
    }

    #[test]
    fn a_token_may_come_in_a_header_of_its_own() {
        let auth = auth(&[("ann", "s3cret"), ("bob", "other")]);
        let of = |fields: &[_]| admitted(&auth, "/mcp", fields);
        assert_eq!(of(&[("x-api-key", " other ")]), Ok(Some("bob".to_owned())));
        assert_eq!(of(&[("x-api-key", "wrong")]), Err(AuthError::Unknown));
        assert_eq!(of(&[("x-api-key", "")]), Err(AuthError::Missing));
        // A proxy in front may have an Authorization of its own, and a client a key for somebody else.
        assert_eq!(of(&[("authorization", "Basic eDp5"), ("x-api-key", "s3cret")]), Ok(Some("ann".to_owned())));
        assert_eq!(of(&[("authorization", "Bearer s3cret"), ("x-api-key", "foreign")]), Ok(Some("ann".to_owned())));
        assert!(is_credential(&HeaderName::from_static(API_KEY)) && is_credential(&header::AUTHORIZATION));
    }

    #[test]
    fn a_token_in_the_url_counts_only_where_that_is_allowed() {
        let closed = auth(&[("ann", "s3 cret")]);
        let allowed = Auth { query_key: true, ..closed.clone() };
        for target in ["/sse?api_key=s3%20cret", "/sse?x=1&apikey=s3+cret", "/sse?api_key=&api_key=s3%20cret"] {
            assert_eq!(admitted(&allowed, target, &[]), Ok(Some("ann".to_owned())), "{target}");
            assert_eq!(admitted(&closed, target, &[]), Err(AuthError::Missing), "{target}");
        }
        assert_eq!(admitted(&allowed, "/sse?api_key=x", &[]), Err(AuthError::Unknown));
        assert_eq!(admitted(&allowed, "/sse?API_KEY=s3%20cret", &[]), Err(AuthError::Missing));
        let target = Uri::from_static("/sse?apikey=s3%20cret");
        assert_eq!(allowed.key_in_query(&target).as_deref(), Some("s3 cret"));
        assert_eq!(closed.key_in_query(&target), None);
        assert_eq!(Auth { tokens: None, ..allowed }.key_in_query(&target), None, "nothing there is a token");
    }

    #[test]
    fn a_group_that_needs_no_token_admits_everyone_and_nothing_else_does() {
        let auth = with_open_group(auth(&[("ann", "s3cret")]), "home");
        for target in ["/groups/home/mcp", "/groups/home/sse?session_id=x", "/groups/home"] {
            assert_eq!(admitted(&auth, target, &[]), Ok(None), "{target}");
            assert_eq!(admitted(&auth, target, &[("x-api-key", "old")]), Ok(None), "{target}");
            assert_eq!(admitted(&auth, target, &[("x-api-key", "s3cret")]), Ok(Some("ann".to_owned())), "{target}");
        }
        for target in
            ["/groups/homes/mcp", "/groups/work/mcp", "/groups/", "/groups", "/mcp", "/servers/home/mcp", "/health"]
        {
            assert_eq!(admitted(&auth, target, &[]), Err(AuthError::Missing), "{target}");
        }
    }

    #[test]
    fn what_an_open_group_admitted_ends_when_the_group_is_open_no_more() {
        let closed = auth(&[("ann", "a")]);
        let now_open = with_open_group(closed.clone(), "home");
        let target = Uri::from_static("/groups/home/mcp");
        let anonymous = now_open.identify(&HeaderMap::new(), &target).expect("admitted");
        assert!(
            now_open.still_admits(&anonymous) && open().still_admits(&anonymous) && !closed.still_admits(&anonymous)
        );
        let revoked = |auth: &Auth, endpoint| {
            auth.is_revoked(&Principal::default(), &Scope::new(endpoint, Principal::default()), &now_open)
        };
        let (home, work) = (EndpointScope::Group("home".into()), EndpointScope::Group("work".into()));
        assert!(!revoked(&now_open, home.clone()) && revoked(&closed, home.clone()));
        assert!(revoked(&now_open, EndpointScope::All) && revoked(&now_open, work));
        assert!(!revoked(&open(), home));
    }

    #[test]
    fn a_token_names_its_owner_and_everything_else_is_refused() {
        let auth = auth(&[("ann", "s3cret"), ("bob", "other")]);
        let admitted = |text| identify(&auth, text).map(|admission| admission.principal());
        assert_eq!(admitted(Some("Bearer s3cret")), Ok(Principal::of(Some("ann"))));
        assert_eq!(admitted(Some("bearer  other ")), Ok(Principal::of(Some("bob"))));
        assert_eq!(admitted(None), Err(AuthError::Missing));
        for malformed in ["Basic s3cret", "Bearer", "Bearer ", "", "Bearer s3cr\u{e9}t"] {
            assert_eq!(admitted(Some(malformed)), Err(AuthError::Malformed), "{malformed:?}");
        }
        assert_eq!(admitted(Some("Bearer s3cre")), Err(AuthError::Unknown));
    }

    #[test]
    fn without_authentication_every_request_is_admitted_anonymously_and_with_no_token_none() {
        assert!(open().is_open() && !auth(&[]).is_open());
        for text in [None, Some("Bearer x"), Some("nonsense")] {
            assert_eq!(identify(&open(), text).expect("admitted").principal(), Principal::default());
        }
        assert_eq!(identify(&auth(&[]), Some("Bearer x")).err(), Some(AuthError::Unknown));
    }

    #[test]
    fn an_admission_holds_while_its_very_token_is_accepted() {
        let before = auth(&[("ann", "a"), ("bob", "b")]);
        let ann = identify(&before, Some("Bearer a")).expect("admitted");
        let anonymous = identify(&open(), None).expect("admitted");
        assert!(before.still_admits(&ann) && auth(&[("carol", "c"), ("ann", "a")]).still_admits(&ann));
        for now in [auth(&[("bob", "b")]), auth(&[("ann", "x")]), auth(&[("carol", "a")]), open()] {
            assert!(!now.still_admits(&ann), "{now:?}");
        }
        assert!(open().still_admits(&anonymous) && !before.still_admits(&anonymous));
    }

    #[test]
    fn what_a_token_opened_ends_when_it_goes_or_its_name_gets_another_value() {
        let before = auth(&[("ann", "a"), ("bob", "b")]);
        let revoked = |who, now: &Auth| now.is_revoked(&Principal::of(Some(who)), &Scope::all(), &before);
        assert!(!revoked("ann", &before));
        let without_bob = auth(&[("carol", "c"), ("ann", "a")]);
        assert!(!revoked("ann", &without_bob) && revoked("bob", &without_bob));
        let renewed = auth(&[("ann", "x"), ("bob", "b")]);
        assert!(revoked("ann", &renewed) && !revoked("bob", &renewed));
        let swapped = auth(&[("ann", "b"), ("bob", "a")]);
        assert!(revoked("ann", &swapped) && revoked("bob", &swapped));
        assert!(revoked("ann", &open()), "its session is nobody's where there are no tokens");
        let anonymous = Principal::default();
        assert!(
            before.is_revoked(&anonymous, &Scope::all(), &open())
                && !open().is_revoked(&anonymous, &Scope::all(), &open())
        );
    }

    #[test]
    fn a_name_goes_on_with_one_of_its_tokens_unless_it_may_use_less() {
        let both = auth(&[("ann", "old"), ("ann", "new")]);
        let ann = Principal::of(Some("ann"));
        let revoked = |now: &Auth, before: &Auth| now.is_revoked(&ann, &Scope::all(), before);
        let (old, new) = (auth(&[("ann", "old")]), auth(&[("ann", "new")]));
        assert!(!revoked(&both, &old) && !revoked(&new, &both) && revoked(&new, &old));
        let by_old = identify(&both, Some("Bearer old")).expect("admitted");
        assert!(both.still_admits(&by_old) && !new.still_admits(&by_old), "what it sent with the old one ends");
        let limited = |servers: &[&str]| {
            let servers = servers.iter().map(|name| (*name).try_into().expect("a name")).collect();
            let access = TokenAccess { servers: Some(servers), ..TokenAccess::default() };
            let tokens = old.tokens.iter().flat_map(|tokens| tokens.iter());
            let tokens = tokens.map(|token| TokenHash { access: access.clone(), ..token.clone() }).collect();
            Auth { tokens: Some(tokens), ..old.clone() }
        };
        let (a, ab) = (limited(&["a"]), limited(&["a", "b"]));
        assert!(revoked(&a, &old) && revoked(&a, &ab) && !revoked(&ab, &a) && !revoked(&old, &a));
        let by_ab = identify(&ab, Some("Bearer old")).expect("admitted");
        assert!(!a.still_admits(&by_ab) && old.still_admits(&by_ab));
    }

    #[test]
    fn a_token_is_accepted_until_it_expires_and_then_told_from_an_unknown_one() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000);
        let whole = auth(&[("ann", "a"), ("bob", "b")]);
        let mut tokens: Vec<TokenHash> = whole.tokens.iter().flat_map(|tokens| tokens.iter().cloned()).collect();
        tokens[0].expires = Some(now);
        let at = |moment| {
            let (expired, accepted): (Vec<_>, Vec<_>) =
                tokens.iter().cloned().partition(|token| token.has_expired(moment));
            Auth { tokens: Some(accepted.into()), expired: expired.into(), ..open() }
        };
        let (before, after) = (at(now - Duration::from_secs(1)), at(now));
        assert_eq!((before.next_expiry(), after.next_expiry()), (Some(now), None));
        let ann = identify(&before, Some("Bearer a")).expect("it is not over");
        assert_eq!(identify(&after, Some("Bearer a")).err(), Some(AuthError::Expired));
        assert_eq!(identify(&after, Some("Bearer x")).err(), Some(AuthError::Unknown));
        assert!(AuthError::Expired.challenge(None).contains("invalid_token"));
        assert!(!after.still_admits(&ann) && after.is_revoked(&Principal::of(Some("ann")), &Scope::all(), &before));
        assert!(!after.is_revoked(&Principal::of(Some("bob")), &Scope::all(), &before));
    }
}
