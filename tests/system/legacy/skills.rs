//! The skills extension (SEP-2640): skills of several servers at one endpoint, for clients of both eras.

use serde_json::{Value, json};

use crate::support::{Modern, Proxy, fixture};

const EXTENSION: &str = "io.modelcontextprotocol/skills";

async fn start() -> Proxy {
    let servers =
        json!([fixture("a", &["--skills"]), fixture("plain", &[]), fixture("b", &["--skills", "--era", "modern"]),]);
    Proxy::start(json!({"servers": servers})).await
}

fn uris(list: &Value) -> Vec<String> {
    let skills = list["skills"].as_array().unwrap_or_else(|| panic!("no skills: {list}"));
    skills.iter().map(|skill| skill["uri"].as_str().expect("a URI").to_owned()).collect()
}

fn text_of(read: &Value) -> &str {
    read["contents"][0]["text"].as_str().unwrap_or_else(|| panic!("no text: {read}"))
}

#[tokio::test]
async fn skills_of_all_servers_are_listed_at_once_and_every_file_can_be_read() {
    let proxy = start().await;
    let (session, client) = (proxy.session().await, Modern::new(&proxy.http, &proxy.url("/mcp")));
    let found = client.result("server/discover", json!({})).await;
    assert_eq!(found["capabilities"]["extensions"][EXTENSION], json!({"directoryRead": true}), "{found}");
    let newer = client.result("skills/list", json!({})).await;
    let (ttl, scope) = (&newer["ttlMs"], &newer["cacheScope"]);
    assert!(newer["resultType"] == "complete" && ttl.is_u64() && scope.is_string(), "{newer}");
    let older = session.request("skills/list", json!({})).await;
    assert!(older.get("ttlMs").is_none() && older.get("resultType").is_none(), "{older}");
    assert_eq!(older["skills"], newer["skills"]);
    // Two of each server, in the order of the configuration, though each server has two pages.
    let uris = uris(&newer);
    assert_eq!(uris.len(), 4, "{uris:?}");
    assert!(uris.iter().collect::<std::collections::HashSet<_>>().len() == 4, "no two are the same: {uris:?}");
    for (n, skill) in newer["skills"].as_array().expect("skills").iter().enumerate() {
        let file = &skill["resources"][0]["uri"];
        let read = session.request("resources/read", json!({"uri": file})).await;
        assert_eq!(text_of(&read), "A text that is fixed", "{skill}");
        let read = client.result("resources/read", json!({"uri": file})).await;
        assert_eq!(text_of(&read), "A text that is fixed", "{skill}");
        // The fixture knows the first skill by its URI.
        if n % 2 == 0 {
            let one = session.request("skills/get", json!({"uri": skill["uri"]})).await;
            assert_eq!(one["skill"], *skill);
            let one = client.result("skills/get", json!({"uri": skill["uri"]})).await;
            assert!(one["skill"] == *skill && one["ttlMs"] == 0, "{one}");
            let root = skill["uri"].as_str().expect("a URI").trim_end_matches("/SKILL.md");
            let directory = client.result("resources/directory/read", json!({"uri": root})).await;
            assert_eq!(directory["resources"][0]["uri"], *file);
            assert_eq!(
                session.request("resources/directory/read", json!({"uri": root})).await["resources"],
                directory["resources"]
            );
        }
    }
}

#[tokio::test]
async fn what_is_no_skill_is_refused_and_a_server_of_its_own_endpoint_keeps_its_pages() {
    let proxy = start().await;
    let session = proxy.session().await;
    let first = uris(&session.request("skills/list", json!({})).await).remove(0);
    for uri in ["skill://one/SKILL.md".to_owned(), first.replace("one", "none")] {
        for method in ["skills/get", "resources/directory/read"] {
            let error = session.failure(method, json!({"uri": uri})).await;
            assert_eq!(error["code"], -32602, "{method} {uri}: {error}");
        }
    }
    let own = proxy.session_at("/servers/a/mcp").await;
    let page = own.request("skills/list", json!({})).await;
    assert_eq!((uris(&page), &page["nextCursor"]), (vec!["skill://one/SKILL.md".to_owned()], &json!("2")));
    assert_eq!(uris(&own.request("skills/list", json!({"cursor": "2"})).await), ["skill://two/SKILL.md"]);
    let root = own.request("resources/directory/read", json!({"uri": "skill://one"})).await;
    assert_eq!(root["resources"][0]["uri"], "skill://one/SKILL.md");
    let error = proxy.session_at("/servers/plain/mcp").await.failure("skills/list", json!({})).await;
    assert_eq!(error["code"], -32601, "{error}");
}
