//! Files as other programs write them: each starts as it is, and what is not understood is named.

use std::time::Duration;

use mcproxy_config::{Blocked, Config, ServerConfig, Severity};
use mcproxy_ipc::{HttpDialect, Reach};

fn read(text: &str) -> Config {
    Config::parse(text, &|name| match name {
        "HOME" => Some("/home/me".to_owned()),
        "TOKEN" => Some("hunter2-hunter2".to_owned()),
        "workspaceFolder" => Some("/work".to_owned()),
        _ => None,
    })
    .unwrap_or_else(|problems| panic!("{problems}\n{text}"))
}

/// `name: command arguments` or `name: transport address`, or why it is blocked.
fn shown(server: &ServerConfig) -> String {
    match &server.reach {
        Ok(Reach::Command(launch)) => {
            let env = launch.env.iter().map(|(name, value)| format!("{name}={} ", value.expose()));
            let args: String = launch.args.iter().map(|arg| format!(" {}", arg.expose())).collect();
            format!("{}: {}{}{args}", server.name, env.collect::<String>(), launch.program)
        }
        Ok(Reach::Http(http)) => {
            let dialect = match http.dialect {
                HttpDialect::Auto => "any",
                HttpDialect::Streamable => "http",
                HttpDialect::Sse => "sse",
            };
            let headers = http.headers.iter().map(|(name, value)| format!(" {name}={}", value.expose()));
            format!("{}: {dialect} {}{}", server.name, http.url.expose(), headers.collect::<String>())
        }
        Ok(Reach::Authority(authority)) => format!("{}: {}", server.name, authority.http.url.expose()),
        Ok(Reach::Embeddings(embeddings)) => format!("{}: {}", server.name, embeddings.model),
        Err(blocked) => format!("{}: {blocked}", server.name),
    }
}

fn servers(text: &str) -> Vec<String> {
    read(text).servers.iter().map(shown).collect()
}

/// `pointer: message` of each warning; there are no errors.
fn warnings(text: &str) -> Vec<String> {
    let problems = read(text).problems;
    assert!(!problems.has_errors(), "{problems}");
    problems.list().iter().map(|problem| format!("{}: {}", problem.pointer, problem.message)).collect()
}

/// Each of these is somewhere in the warnings, and there are no others.
fn warned(text: &str, parts: &[&str]) {
    let found = warnings(text);
    assert_eq!(found.len(), parts.len(), "{found:#?}");
    for part in parts {
        assert!(found.iter().any(|warning| warning.contains(part)), "{part} in {found:#?}");
    }
}

#[test]
fn comments_trailing_commas_and_a_byte_order_mark_are_read() {
    let text = "\u{feff}{\n  // mine\n  \"mcpServers\": {\n    \"a\": {\"command\": \"x\", \"args\": [\"//no\", \"b\",], /* y */ },\n  },\n}\n";
    assert_eq!(servers(text), ["a: x //no b"]);
    warned(text, &[]);
}

#[test]
fn claude_desktop() {
    let text = r#"{
        "globalShortcut": "Ctrl+Space", "preferences": {"menuBarEnabled": true},
        "mcpServers": {
            "filesystem": {"command": "npx", "args": ["-y", "@modelcontextprotocol/server-filesystem", "/home/me"]},
            "linear": {"url": "https://example.com/sse?key=hunter2", "headers": {"Authorization": "Bearer hunter2"}},
            "sequential thinking": {"command": "cmd", "args": ["/c", "npx", "-y", "x"]}
        }}"#;
    assert_eq!(
        servers(text),
        [
            "filesystem: npx -y @modelcontextprotocol/server-filesystem /home/me",
            "linear: any https://example.com/sse?key=hunter2 Authorization=Bearer hunter2",
            "sequential-thinking: npx -y x"
        ]
    );
    warned(
        text,
        &[
            "/globalShortcut: `globalShortcut` is not a key of MCProxy",
            "/preferences: `preferences` is not a key",
            "called `sequential-thinking`",
            "/mcpServers/sequential thinking/command: `cmd /c` belongs to Windows",
        ],
    );
}

#[test]
fn claude_code() {
    let text = r#"{"mcpServers": {
        "a": {"type": "stdio", "command": "npx", "args": ["-y", "x"], "env": {}},
        "b": {"type": "http", "url": "https://mcp.example.com/mcp", "headers": {"Authorization": "Bearer x"}},
        "c": {"type": "sse", "url": "https://mcp.example.com/sse"},
        "d": {"command": "${TOOL:-x}", "env": {"K": "${TOKEN}"}}}}"#;
    assert_eq!(
        servers(text),
        [
            "a: npx -y x",
            "b: http https://mcp.example.com/mcp Authorization=Bearer x",
            "c: sse https://mcp.example.com/sse",
            "d: K=hunter2-hunter2 x"
        ]
    );
    warned(text, &[]);
    // Its own state file has the same key among many others, and texts that are no references.
    let keys: Vec<String> = (0..40).map(|n| format!("\"cachedThing{n}\": \"${{broken\"")).collect();
    let text = format!(
        r#"{{"numStartups": 3, {}, "projects": {{"/home/me": {{"mcpServers": {{"p": {{"command": "x"}}}}}}}},
            "mcpServers": {{"a": {{"type": "stdio", "command": "x", "args": [], "env": {{}}}}}}}}"#,
        keys.join(",")
    );
    assert_eq!(servers(&text), ["a: x"]);
    warned(&text, &["and 38 further keys are not keys of MCProxy", "the servers of single projects are not read"]);
}

#[test]
fn cursor() {
    let text = r#"{"mcpServers": {
        "a": {"command": "npx", "args": ["-y", "x"], "envFile": "${workspaceFolder}/.env", "timeout": 60000},
        "my.server": {"command": "node", "args": "server.js"},
        "c d/e": {"command": "node", "args": ["server.js", 8080], "env": {"K": "${env:TOKEN}", "P": "${userHome}"}}}}"#;
    assert_eq!(
        servers(text),
        ["a: npx -y x", "my-server: node server.js", "c-d-e: K=hunter2-hunter2 P=/home/me node server.js 8080"]
    );
    warned(
        text,
        &[
            "/mcpServers/a/envFile: `envFile` is ignored: the file is not read",
            "16.7 hours; if milliseconds are meant, write 60",
            "called `my-server`",
            "read as one argument",
            "called `c-d-e`",
            "/mcpServers/c d~1e/args/1: the number is read as text",
        ],
    );
}

#[test]
fn vs_code() {
    let text = r#"{
        "inputs": [{"type": "promptString", "id": "gh", "password": true}],
        "servers": {
            "github": {"type": "stdio", "command": "npx", "args": ["-y", "gh"], "env": {"T": "${input:gh}"}},
            "ws": {"type": "stdio", "command": "npx", "args": ["-y", "fs", "${workspaceFolder}"]}}}"#;
    assert_eq!(
        servers(text),
        [
            "github: `${input:gh}` is known to editors only; write `${VARIABLE}` and set that environment variable",
            "ws: npx -y fs /work"
        ]
    );
    warned(text, &["/inputs: `inputs` is ignored", "/servers/github/env/T: `${input:gh}`", "/servers/ws/args/2"]);
    let settings = r#"{"editor.fontSize": 12, "mcp": {"inputs": [], "servers": {"a": {"command": "x"}}}}"#;
    assert_eq!(servers(settings), ["a: x"]);
    warned(settings, &["editor.fontSize", "/mcp: "]);
}

#[test]
fn clients_that_approve_calls() {
    let cline = r#"{"mcpServers": {"a": {"command": "x", "autoApprove": ["t"], "disabled": false, "timeout": 60}}}"#;
    assert_eq!(read(cline).servers[0].timeouts.idle, Duration::from_secs(60));
    warned(cline, &["/mcpServers/a/autoApprove: `autoApprove` is ignored: approving calls is the client's part"]);
    let roo = r#"{"mcpServers": {"a": {"command": "x", "alwaysAllow": ["t"], "disabledTools": ["bad"]}}}"#;
    assert_eq!(read(roo).servers[0].tools.deny, ["bad"]);
    warned(roo, &["alwaysAllow"]);
    let windsurf = r#"{"mcpServers": {"a": {"serverUrl": "https://x/sse", "disabled": true}, "b": {"command": "x"}}}"#;
    assert_eq!(servers(windsurf), ["a: any https://x/sse", "b: x"]);
    assert!(!read(windsurf).servers[0].enabled);
}

#[test]
fn copilot_cli() {
    let text = r#"{"mcpServers": {
        "a": {"type": "local", "command": "x", "tools": ["*"], "timeout": 30000},
        "b": {"type": "local", "command": "x", "args": ["y"], "tools": ["one", "two"]},
        "c": {"type": "http", "url": "https://x", "tools": ["*"]}}}"#;
    assert_eq!(servers(text), ["a: x", "b: x y", "c: http https://x"]);
    let config = read(text);
    assert!(config.servers[0].tools.allow.is_empty());
    assert_eq!(config.servers[0].timeouts.idle, Duration::from_secs(30));
    assert_eq!(config.servers[1].tools.allow, ["one", "two"]);
    warned(text, &["30000 is read as milliseconds; write 30"]);
}

#[test]
fn gemini_cli() {
    let text = r#"{"theme": "x", "mcp": {"allowed": ["a"]}, "mcpServers": {
        "a": {"command": "x", "cwd": "./s", "timeout": 15000, "trust": false, "includeTools": ["t*"], "excludeTools": ["bad"],
              "env": {"K": "$TOKEN"}},
        "b": {"httpUrl": "https://x"}}}"#;
    let config = read(text);
    let a = &config.servers[0];
    assert_eq!((&a.tools.allow[..], &a.tools.deny[..]), (&["t*".to_owned()][..], &["bad".to_owned()][..]));
    assert_eq!(a.timeouts.idle, Duration::from_secs(15));
    warned(text, &["`theme`", "/mcp:", "milliseconds", "trust", "`$NAME` is not replaced"]);
}

#[test]
fn other_places_for_servers() {
    let zed = r#"{"theme": "One", "context_servers": {
        "a": {"source": "custom", "command": {"path": "x", "args": ["y"], "env": {"K": "v"}}, "settings": {}},
        "b": {"source": "custom", "command": "x", "args": [], "enabled": false}}}"#;
    assert_eq!(servers(zed), ["a: K=v x y", "b: x"]);
    warned(zed, &["`theme`", "`settings`"]);
    let opencode = r#"{"$schema": "https://opencode.ai/config.json", "mcp": {
        "a": {"type": "local", "command": ["npx", "-y", "x"], "environment": {"K": "v"}, "enabled": true, "timeout": 5000},
        "b": {"type": "remote", "url": "https://x"}}}"#;
    assert_eq!(servers(opencode), ["a: K=v npx -y x", "b: any https://x"]);
    assert_eq!(read(opencode).servers[0].timeouts.idle, Duration::from_secs(5));
    let bare = r#"{"a": {"command": "npx", "args": ["x"]}, "b": {"url": "https://x"}}"#;
    assert_eq!(servers(bare), ["a: npx x", "b: any https://x"]);
    let continue_dev = r#"{"mcpServers": [{"name": "a", "command": "x"}, {"name": "b", "transport": {"type": "stdio", "command": "y"}}]}"#;
    assert_eq!(servers(continue_dev), ["a: x", "b: y"]);
    warned(continue_dev, &[]);
    let goose = r#"{"mcp_servers": {"a": {"cmd": "x", "args": ["y"], "envs": {"K": "v"}, "type": "stdio"}}}"#;
    assert_eq!(servers(goose), ["a: K=v x y"]);
    warned(goose, &[]);
}

#[test]
fn gateways_and_libraries() {
    let fastmcp = r#"{"mcpServers": {"a": {"transport": "stdio", "command": "x"}, "b": {"transport": "http", "url": "http://u"}}}"#;
    assert_eq!(servers(fastmcp), ["a: x", "b: http http://u"]);
    warned(fastmcp, &[]);
    let one =
        r#"{"mcpServers": {"a": {"command": "x", "tags": ["t"], "inheritParentEnv": true, "restartOnExit": true}}}"#;
    warned(one, &["`tags`", "inheritParentEnv", "restartOnExit"]);
    let sparfenyuk =
        r#"{"mcpServers": {"a": {"enabled": true, "timeout": 60, "command": "x", "transportType": "stdio"}}}"#;
    assert_eq!(servers(sparfenyuk), ["a: x"]);
    warned(sparfenyuk, &[]);
    let tbxark = r#"{"mcpProxy": {"addr": ":9090", "options": {"authTokens": ["hunter2"]}}, "mcpServers": {
        "a": {"command": "x", "options": {"panicIfInvalid": true, "toolFilter": {"mode": "block", "list": ["bad"]}}}}}"#;
    assert_eq!(read(tbxark).servers[0].tools.deny, ["bad"]);
    warned(tbxark, &["/mcpProxy: `mcpProxy` is ignored: write `listen` and `auth`", "/mcpServers/a/options"]);
    let hub = r#"{"mcpServers": {"a": {"command": "x", "tools": {"t": {"enabled": false}, "u": {"enabled": true}}}}}"#;
    assert_eq!(read(hub).servers[0].tools.deny, ["t"]);
    let cherry =
        r#"{"mcpServers": {"x1": {"name": "A", "isActive": false, "command": "x", "baseUrl": "", "provider": "p"}}}"#;
    assert!(!read(cherry).servers[0].enabled);
}

#[test]
fn a_filter_of_another_program_that_cannot_be_read_blocks_its_server() {
    for entry in [
        r#""disabledTools": "bad""#,
        r#""includeTools": [1]"#,
        r#""options": {"toolFilter": {"mode": "x", "list": []}}"#,
        r#""tools": {"block": ["x"]}"#,
    ] {
        let config =
            read(&format!(r#"{{"mcpServers": {{"a": {{"command": "x", {entry}}}, "b": {{"command": "y"}}}}}}"#));
        assert!(matches!(config.servers[0].reach, Err(Blocked::Mistake(_))), "{entry}");
        assert_eq!(shown(&config.servers[1]), "b: y");
    }
}

#[test]
fn a_tilde_begins_a_path_in_command_and_directory_and_nowhere_else() {
    let text = r#"{"mcpServers": {"a": {"command": "~/bin/x", "cwd": "~", "args": ["~/y", "--dir=~/z", "a~b"]}}}"#;
    let config = read(text);
    let Some(launch) = config.servers[0].launch_spec() else { panic!("{}", config.problems) };
    assert_eq!((launch.program.as_str(), launch.cwd.as_deref()), ("/home/me/bin/x", Some("/home/me".as_ref())));
    warned(text, &["/mcpServers/a/args/0: `~` is not replaced", "/mcpServers/a/args/1: `~` is not replaced"]);
    let text = r#"{"mcpServers": {"a": {"command": "$HOME/bin/x", "args": ["$HOME", "pa$word", "$"]}}}"#;
    warned(text, &["/mcpServers/a/command: `$NAME`", "/mcpServers/a/args/0: `$NAME`"]);
    let homeless = Config::parse(r#"{"mcpServers": {"a": {"command": "~/x"}}}"#, &|_| None).expect("read");
    assert_eq!(shown(&homeless.servers[0]), "a: environment variable HOME is not set");
}

#[test]
fn an_entry_with_a_mistake_is_blocked_says_where_and_costs_the_others_nothing() {
    let text = "{\"mcpServers\": {\n\"a\": {\"command\": \"x\", \"timeout\": \"long\"},\n\"b\": 5,\n\"c\": {\"args\": []},\n\"d\": {\"command\": \"npx -y x\"},\n\"e\": {\"command\": \"y\"}}}";
    assert_eq!(
        servers(text),
        [
            "a: its entry has a mistake: 2:34 /mcpServers/a/timeout: expected a number, found a string",
            "b: its entry has a mistake: 3:6 /mcpServers/b: a server is an object: {\"command\": …}",
            "c: its entry has a mistake: 4:6 /mcpServers/c: `command` is missing, or `url` for a server that is reached over the network",
            "d: its entry has a mistake: 5:18 /mcpServers/d/command: a command contains no spaces; write its arguments in `args`",
            "e: y",
        ]
    );
    let config = read(text);
    assert!(config.problems.has_errors());
    assert_eq!(config.mistaken().count(), 4);
}

#[test]
fn a_mistyped_key_of_ours_refuses_the_file_wherever_it_stands() {
    for (text, named) in [
        (r#"{"lisen": 1}"#, "did you mean `listen`?"),
        (r#"{"auht": {"tokens": []}}"#, "did you mean `auth`?"),
        (r#"{"mcpServers": {"a": {"comand": "x"}}}"#, "did you mean `command`?"),
        (r#"{"servers": [{"name": "a", "command": "x", "toolz": {"deny": ["*"]}}]}"#, "did you mean `tools`?"),
        (r#"{"mcpServers": {"a": {"command": "x", "limits": {"maxmemory": 1}}}}"#, "did you mean `maxMemory`?"),
        (r#"{"defaults": {"timeot": 1}}"#, "did you mean `timeout`?"),
    ] {
        let problems = Config::parse(text, &|_| None).expect_err(text).to_string();
        assert!(problems.contains(named), "{problems}");
    }
}

#[test]
fn names_that_are_none_get_a_safe_form_that_never_takes_another_servers_name() {
    let text = r#"{"mcpServers": {"a b": {"command": "1"}, "a.b": {"command": "2"}, "a-b": {"command": "3"}, "": {"command": "4"},
        "日本語": {"command": "5"}, "mcproxy": {"command": "6"}, "a__b": {"command": "7"}}, "groups": {"g": {"servers": ["a.b", "a-b"]}}}"#;
    let config = read(text);
    let names: Vec<&str> = config.servers.iter().map(|server| server.name.as_str()).collect();
    assert_eq!(names[..4], ["a-b-2", "a-b-3", "a-b", "server-e3b0c4"]);
    assert_eq!(names[5..], ["mcproxy-2", "a_b"]);
    let group: Vec<&str> = config.gateway.groups[0].servers.iter().map(|name| name.as_str()).collect();
    assert_eq!(group, ["a-b-3", "a-b"]);
    assert_eq!(config.problems.list().iter().filter(|p| p.severity == Severity::Warning).count(), 6);
    let again: Vec<String> = read(text).servers.iter().map(|server| server.name.to_string()).collect();
    assert_eq!(again, names);
}

#[test]
fn an_entry_that_leads_back_to_mcproxy_is_blocked() {
    let text =
        r#"{"mcpServers": {"mcproxy": {"command": "/opt/mcproxy", "args": ["connect"]}, "a": {"command": "x"}}}"#;
    let config = read(text);
    assert_eq!(config.servers[0].reach, Err(Blocked::Itself));
    assert_eq!(shown(&config.servers[1]), "a: x");
}

#[test]
fn null_is_no_value() {
    let text = r#"{"auth": null, "mcpServers": {"a": {"command": "x", "args": null, "env": null, "cwd": null, "type": null, "tools": null,
        "environment": {"E": "v"}, "url": null, "restart": {"maxDelay": null}, "idleTimeout": null, "start": "lazy"}, "b": {"command": "x", "env": {"K": null}}}}"#;
    assert_eq!(servers(text), ["a: E=v x", "b: x"]);
    assert_eq!(read(text).servers[0].start.idle_timeout(), None, "for some keys of ours it is one");
    warned(text, &["/mcpServers/b/env/K"]);
}

#[test]
fn the_project_of_an_editors_file_is_the_folder_above() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let here = dir.path().canonicalize().expect("there");
    for (folder, project) in [("", ""), (".vscode", ""), (".kiro/settings", ""), ("sub", "sub")] {
        std::fs::create_dir_all(here.join(folder)).expect("created");
        let path = here.join(folder).join("mcp.json");
        std::fs::write(&path, r#"{"servers": {"a": {"command": "x", "args": ["${workspaceFolder}"]}}}"#)
            .expect("written");
        let config = Config::load(&path, &|_| None).expect("read");
        let project = here.join(project).components().collect::<std::path::PathBuf>();
        assert_eq!(shown(&config.servers[0]), format!("a: x {}", project.display()), "{folder}");
    }
}

#[test]
fn servers_over_the_network_in_the_words_of_many_programs() {
    let text = r#"{"mcpServers": {
        "metamcp": {"type": "STREAMABLE_HTTP", "url": "https://x/mcp", "bearerToken": "${TOKEN}"},
        "metamcp-sse": {"type": "SSE", "url": "https://x/sse", "headers": {"X-Api-Key": "k", "N": 1}},
        "roo": {"type": "streamable-http", "url": "https://x"},
        "cherry": {"type": "streamableHttp", "baseUrl": "", "url": "https://x"},
        "gemini": {"httpUrl": "https://x"},
        "windsurf": {"serverUrl": "https://x"},
        "langchain": {"transport": "streamable_http", "url": "https://x"},
        "opencode": {"type": "remote", "url": "https://x", "headers": {"Authorization": "Bearer ${TOKEN}"}},
        "codex": {"url": "https://x", "http_headers": {"A": "b"}, "bearer_token": "Bearer t"},
        "socket": {"type": "ws", "url": "ws://x"},
        "command": {"command": "x", "url": "https://left.over"}}}"#;
    assert_eq!(
        servers(text),
        [
            "metamcp: http https://x/mcp Authorization=Bearer hunter2-hunter2",
            "metamcp-sse: sse https://x/sse N=1 X-Api-Key=k",
            "roo: http https://x",
            "cherry: http https://x",
            "gemini: http https://x",
            "windsurf: any https://x",
            "langchain: http https://x",
            "opencode: any https://x Authorization=Bearer hunter2-hunter2",
            "codex: any https://x A=b Authorization=Bearer t",
            "socket: servers of type `ws` are not known; MCProxy starts commands (`stdio`), and reaches servers by `http` (Streamable HTTP) and `sse`",
            "command: x",
        ]
    );
    warned(
        text,
        &[
            "/N: the number is read as text",
            "`baseUrl` is ignored",
            "type `ws` are not known",
            "/command/url: `url` is ignored",
        ],
    );
}

#[test]
fn a_remote_entry_that_cannot_be_right_says_where_and_costs_the_others_nothing() {
    let of = |entry: &str| {
        let config = read(&format!(r#"{{"mcpServers": {{"a": {{{entry}}}, "b": {{"command": "y"}}}}}}"#));
        assert_eq!(shown(&config.servers[1]), "b: y", "{entry}");
        shown(&config.servers[0])
    };
    for (entry, said) in [
        (r#""type": "http""#, "expected a URL: https://HOST/PATH"),
        (r#""url": "example.com/mcp""#, "expected a URL: https://HOST/PATH"),
        (r#""url": "ftp://x/""#, "begins with https:// or http://"),
        (r#""type": "http", "url": "wss://x/""#, "WebSocket is no transport of MCP"),
        (r#""url": "https://x/#a""#, "is not sent to a server"),
        (r#""url": "https://x", "headers": {"A b": "c"}"#, "no name of a header"),
        (
            r#""url": "https://x", "headers": {"Mcp-Session-Id": "c"}"#,
            "MCProxy sets the header `Mcp-Session-Id` itself",
        ),
        (r#""url": "https://x", "headers": {"A": "b\nc"}"#, "the value of `A` has characters"),
        (r#""url": "https://x", "bearerToken": " ""#, "this is no token"),
        (r#""url": "https://x", "bearerToken": "t", "headers": {"authorization": "u"}"#, "leave one of the two out"),
        (r#""url": "https://x", "forwardHeaders": ["A b"]"#, "no name of a header"),
        (r#""url": "https://x", "forwardHeaders": ["X", "Mcp-Param-Region"]"#, "which is never passed on"),
        (r#""url": "https://x", "forwardHeaders": ["Transfer-Encoding"]"#, "which is never passed on"),
        (r#""url": "https://x", "forwardHeaders": ["proxy-authorization"]"#, "which is never passed on"),
        (
            r#""url": "https://x", "forwardHeaders": ["a","b","c","d","e","f","g","h","i","j","k","l","m","n","o","p","q"]"#,
            "more than 16 headers",
        ),
        (r#""url": "https://x", "tls": {"clientCert": "c.pem"}"#, "need each other"),
        (r#""url": "https://x", "proxy": "proxy:3128""#, "expected the URL of an HTTP proxy"),
        (r#""url": "https://x", "network": "none""#, "cannot be reached"),
        (r#""url": "https://x", "connectTimeout": 0"#, "must be between 0.1 and 600"),
        (r#""url": "${NOPE}""#, "environment variable NOPE is not set"),
    ] {
        let found = of(entry);
        assert!(found.contains(said), "{entry}: {found}");
    }
}

#[test]
fn keys_of_the_other_kind_of_server_are_named() {
    let text = r#"{"defaults": {"env": {"K": "v"}}, "mcpServers": {
        "a": {"url": "https://x", "args": ["y"], "env": {"K": "v"}},
        "b": {"command": "x", "headers": {"A": "b"}}, "c": {"url": "https://x"}}}"#;
    warned(
        text,
        &[
            "/a/args: `args` is ignored: it concerns servers that are started",
            "/a/env",
            "/b/headers: `headers` is ignored",
        ],
    );
}

#[test]
fn nothing_secret_of_a_remote_entry_is_told() {
    let text = r#"{"mcpServers": {"a": {"type": "sse", "url": "https://user:hunter2@x/y?k=hunter2", "headers": {"X": "hunter2"},
        "bearerToken": "hunter2", "oauth": {"clientSecret": "hunter2"}}}}"#;
    let config = read(text);
    assert!(!format!("{config:?}{}", config.problems).contains("hunter2"));
    assert_eq!(config.servers[0].command, "https://x/y");
    let Ok(Reach::Http(http)) = &config.servers[0].reach else { panic!("{}", config.problems) };
    let masked: Vec<&str> = http.looked_up.iter().map(mcproxy_ipc::Secret::expose).collect();
    assert_eq!(masked, ["hunter2"; 5]);
    assert_eq!(config.servers[0].era, mcproxy_config::Era::Legacy, "HTTP+SSE is older than the other era");
}

#[test]
fn files_of_certificates_lie_beside_the_configuration() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let path = dir.path().join("mcp.json");
    let text = r#"{"mcpServers": {"a": {"url": "https://x", "tls": {"ca": "ca.pem", "clientCert": "-----BEGIN CERTIFICATE-----", "clientKey": "/k"}}}}"#;
    std::fs::write(&path, text).expect("written");
    let config = Config::load(&path, &|_| None).expect("read");
    let Ok(Reach::Http(http)) = &config.servers[0].reach else { panic!("{}", config.problems) };
    let ca = http.tls.ca.as_ref().expect("one");
    assert!(ca.expose().ends_with("/ca.pem") && ca.expose().starts_with('/'), "{}", ca.expose());
    let (certificate, key) = http.tls.client.as_ref().expect("one");
    assert_eq!((certificate.expose(), key.expose()), ("-----BEGIN CERTIFICATE-----", "/k"));
}

#[test]
fn a_line_for_people_shows_the_package() {
    let text = r#"{"servers": [{"name": "a", "command": "npx", "args": ["-y", "@playwright/mcp@latest"]}, {"name": "b", "command": "x", "args": ["secret"]}]}"#;
    let config = read(text);
    assert_eq!(config.servers[0].package.as_deref(), Some("@playwright/mcp@latest"));
    assert_eq!(config.servers[1].package, None);
}
