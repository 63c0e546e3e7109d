//! `auth.oauth`: what it comes to, and what is said of mistakes in it, where they are.

use mcproxy_config::{Blocked, Config};
use mcproxy_ipc::Reach;

fn parse(text: &str) -> Result<Config, String> {
    let env = |name: &str| (name == "SECRET").then(|| "of-mcproxy-at-the-issuer".to_owned());
    Config::parse(text, &env).map_err(|problems| problems.to_string())
}

fn with(oauth: &str) -> String {
    format!(
        "{{\"publicUrl\": \"https://Tools.example/\",\n \"mcpServers\": {{\"a\": {{\"command\": \"x\"}}}},\n \"groups\": {{\"g\": {{\"servers\": [\"a\"]}}}},\n \"auth\": {{\"oauth\": {oauth}}}}}"
    )
}

const GOOD: &str = r#"{"issuers": [{"issuer": "https://as.example/t", "introspection": {"clientId": "m", "clientSecret": "${SECRET}"}}, {"issuer": "http://127.0.0.1:9"}],
  "scopes": {"r": {"tools": ["a__*"]}, "w": {"servers": ["a"], "groups": ["g"]}, "all": {}}, "initialScopes": ["r"]}"#;

#[test]
fn issuers_become_workers_that_no_entry_can_be_and_scopes_become_rights() {
    let config = parse(&with(GOOD)).expect("it is right");
    let oauth = config.gateway.oauth.as_ref().expect("there");
    assert_eq!(oauth.public_url, "https://tools.example");
    assert!(config.gateway.allowed_hosts.contains(&"tools.example".to_owned()));
    assert_eq!(config.gateway.tokens.as_deref(), Some(&[][..]), "there is authentication");
    assert_eq!((oauth.principal_claim.as_str(), &*oauth.initial_scopes), ("sub", &["r".to_owned()][..]));
    let scopes: Vec<_> = oauth.scopes.iter().map(|of| (of.scope.as_str(), of.access.is_unlimited())).collect();
    assert_eq!(scopes, [("all", true), ("r", false), ("w", false)]);
    let workers: Vec<_> = oauth.issuers.iter().map(|of| (of.worker.as_str(), of.introspects)).collect();
    assert_eq!(workers, [("mcproxy-authority-1", true), ("mcproxy-authority-2", false)]);
    let first = config.server("mcproxy-authority-1").expect("it is run as a server is");
    match &first.reach {
        Ok(Reach::Authority(authority)) => {
            assert_eq!(authority.http.url.expose(), "https://as.example/t");
            assert!(authority.client.is_some() && authority.http.oauth.is_none());
            assert!(authority.http.looked_up.iter().any(|secret| secret.expose() == "of-mcproxy-at-the-issuer"));
        }
        _ => panic!("{:?}", first.reach.as_ref().err().map(Blocked::to_string)),
    }
    let taken = parse(r#"{"mcpServers": {"mcproxy-authority-1": {"command": "x"}}}"#).expect("a name is found");
    assert!(taken.server("mcproxy-authority-1").is_none(), "{:?}", taken.problems);
}

#[test]
fn mistakes_are_said_at_their_line_with_what_to_do() {
    for (oauth, line, said) in [
        (r#"{"issuers": [{"issuer": "http://as.example"}]}"#, "4:", "must begin with `https://`"),
        (r#"{"issuers": [{"issuer": "as.example"}]}"#, "4:", "no URL"),
        (r#"{"issuers": [{"issuer": "https://as.example/#x"}]}"#, "4:", "fragment"),
        ("{\"issuers\": [{\"issuer\": \"https://as\"},\n {\"issuer\": \"https://as\"}]}", "5:", "twice"),
        (r#"{"issuers": []}"#, "4:", ""),
        ("{\"issuers\": [{\"issuer\": \"https://as\"}],\n \"scopes\": {\"a b\": {}}}", "5:", "a scope is a word"),
        ("{\"issuers\": [{\"issuer\": \"https://as\"}],\n \"scopes\": {\"r\": {\"servers\": [\"b\"]}}}", "5:", "`b`"),
        ("{\"issuers\": [{\"issuer\": \"https://as\"}],\n \"scopes\": {\"r\": {\"groups\": [\"h\"]}}}", "5:", "`h`"),
        (
            "{\"issuers\": [{\"issuer\": \"https://as\"}],\n \"scopes\": {\"r\": {}}, \"initialScopes\": [\"x\"]}",
            "5:",
            "`x` is none of `scopes`",
        ),
        (
            r#"{"issuers": [{"issuer": "https://as", "introspection": {"clientId": "m", "clientSecret": "${UNSET}"}}]}"#,
            "4:",
            "UNSET",
        ),
    ] {
        let error = parse(&with(oauth)).err().unwrap_or_else(|| panic!("{oauth} is refused"));
        assert!(error.contains(said) && error.contains(line), "{oauth}: {error}");
    }
    let text = with(GOOD).replace("\"publicUrl\": \"https://Tools.example/\",", "");
    let error = parse(&text).expect_err("without a public URL");
    assert!(error.contains("`auth.oauth` needs `publicUrl`"), "{error}");
    let error = parse(&with(GOOD).replace("https://Tools.example/", "http://tools.example")).expect_err("without TLS");
    assert!(error.contains("`publicUrl` must begin with `https://`") && error.contains("1:"), "{error}");
    let error = parse("{\"auth\": {}}").expect_err("neither tokens nor OAuth");
    assert!(error.contains("needs `tokens`, `oauth`, or both"), "{error}");
    let posing = with(GOOD).replace(
        "\"auth\": {",
        "\"auth\": {\"tokens\": [{\"name\": \"oauth:ann\", \"token\": \"0123456789abcdef\"}], ",
    );
    let error = parse(&posing).expect_err("a name of somebody else");
    assert!(error.contains("begin with `oauth:`"), "{error}");
}
