//! `search.embeddings`: what is wrong with it blocks it and nothing else.

use std::time::Duration;

use mcproxy_config::{Blocked, Config, diff};
use mcproxy_ipc::{EMBEDDINGS_SERVER, EmbeddingsSpec, Reach};

fn read(search: &str) -> Config {
    let text = format!(r#"{{"servers": [{{"name": "a", "command": "x"}}], "search": {search}}}"#);
    let env = |name: &str| (name == "KEY").then(|| "sk-0123456789".to_owned());
    Config::parse(&text, &env).unwrap_or_else(|problems| panic!("{search}: {problems}"))
}

fn embeddings(config: &Config) -> Result<EmbeddingsSpec, Blocked> {
    let server = config.server(EMBEDDINGS_SERVER).expect("it is there");
    match server.reach.clone()? {
        Reach::Embeddings(embeddings) => Ok(*embeddings),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_model_is_reached_with_its_key_as_a_server_of_its_own() {
    let config = read(
        r#"{"embeddings": {"url": "https://x.example/v1/embeddings", "model": "m", "key": "${KEY}", "headers": {"X-Team": "t"}}, "timeout": 1.5}"#,
    );
    let names: Vec<&str> = config.servers.iter().map(|server| server.name.as_str()).collect();
    assert_eq!(names, ["a", EMBEDDINGS_SERVER]);
    assert_eq!(config.gateway.search_timeout, Duration::from_millis(1500));
    let EmbeddingsSpec { http, model, dir } = embeddings(&config).expect("it can be started");
    assert_eq!((http.url.expose(), model.as_str(), dir), ("https://x.example/v1/embeddings", "m", None));
    let headers: Vec<_> = http.headers.iter().map(|(name, value)| (name.as_str(), value.expose())).collect();
    assert_eq!(headers, [("X-Team", "t"), ("Authorization", "Bearer sk-0123456789")]);
    assert!(http.looked_up.iter().any(|secret| secret.expose() == "sk-0123456789") && http.oauth.is_none());
    assert!(!format!("{config:?}").contains("sk-0123456789"));

    let none = read(r#"{"pin": ["a__x"]}"#);
    assert!(none.server(EMBEDDINGS_SERVER).is_none());
    assert_eq!(none.gateway.search_timeout, Duration::from_millis(300));
    let changes = diff(&none, &config);
    assert_eq!(changes.added.iter().map(|name| name.as_str()).collect::<Vec<_>>(), [EMBEDDINGS_SERVER]);
}

#[test]
fn what_is_wrong_with_it_blocks_it_and_nothing_else() {
    for (embeddings_of, expected) in [
        (r#"{"url": "x.example/v1", "model": "m"}"#, "expected a URL"),
        (r#"{"url": "ftp://x.example", "model": "m"}"#, "begins with https:// or http://"),
        (r#"{"url": "http://x", "model": "m", "headers": {"Content-Type": "x"}}"#, "sets the header"),
        (
            r#"{"url": "http://x", "model": "m", "key": "k", "headers": {"authorization": "x"}}"#,
            "leave one of the two out",
        ),
        (r#"{"url": "http://x", "model": "m", "key": " "}"#, "no token"),
        (r#"{"url": "http://x", "model": ""}"#, "a model's name"),
        (r#"{"url": "http://x", "model": "m", "key": "${input:key}"}"#, "known to editors only"),
    ] {
        let config = read(&format!(r#"{{"embeddings": {embeddings_of}}}"#));
        let error = embeddings(&config).expect_err(embeddings_of).to_string();
        assert!(error.contains(expected), "{embeddings_of}: {error}");
        assert!(config.servers[0].reach.is_ok());
        assert!(config.problems.has_errors() && config.problems.to_string().contains("/search/embeddings"));
    }
    let config = read(r#"{"embeddings": {"url": "http://x", "model": "m", "key": "${UNSET}"}}"#);
    assert_eq!(embeddings(&config), Err(Blocked::Variables(vec!["UNSET".into()])));
    for shape in [r#"{"embeddings": {"url": "http://x"}}"#, r#"{"timeout": 0}"#] {
        let text = format!(r#"{{"servers": [], "search": {shape}}}"#);
        Config::parse(&text, &|_| None).expect_err(shape);
    }
}

#[test]
fn no_entry_has_its_name() {
    let text = format!(r#"{{"servers": [{{"name": "{EMBEDDINGS_SERVER}", "command": "x"}}]}}"#);
    let config = Config::parse(&text, &|_| None).expect("it is called something else");
    assert_eq!(config.servers[0].name.as_str(), "mcproxy-embeddings-2");
    assert!(config.problems.to_string().contains("it is the name of `search.embeddings`"), "{}", config.problems);
}
