//! The real servers that need no browser, behind one proxy.

use std::path::Path;

use serde_json::{Value, json};
use tokio::process::Command;

use crate::support::{Proxy, Real, RealServer, run};

/// What the servers need to be installed.
pub(super) const PARTS: [&str; 5] = [
    "node_modules/@modelcontextprotocol/server-everything",
    "node_modules/@modelcontextprotocol/server",
    "node_modules/fastmcp",
    "venv/bin/fastmcp",
    "modern/bin/fastmcp",
];

/// Those that are reached over HTTP, in the order in which they are started.
const REMOTE: [&str; 6] = ["all-http", "all-sse", "fm-2-http", "fm-2-sse", "fm-4-http", "python-http"];

/// One call of a server's tool, and what its answer must hold.
pub(super) struct Call {
    pub(super) tool: String,
    pub(super) arguments: Value,
    pub(super) holds: String,
}

/// A server, and the calls by which a client shows that it can use it.
pub(super) struct Column {
    pub(super) server: &'static str,
    /// Whether the server is to be found to speak 2026-07-28.
    pub(super) modern: bool,
    pub(super) calls: Vec<Call>,
}

impl Column {
    /// Its name, with a star where 2026-07-28 is spoken.
    pub(super) fn heading(&self) -> String {
        format!("{}{}", self.server, if self.modern { "*" } else { "" })
    }
}

/// All of them.
pub(super) struct Fleet {
    pub(super) proxy: Proxy,
    pub(super) columns: Vec<Column>,
    // Hold the files that the servers work on, and those that run elsewhere.
    _files: tempfile::TempDir,
    _remote: Vec<RealServer>,
}

impl Fleet {
    pub(super) async fn start(real: &Real) -> Self {
        let files = files().await;
        let dir = files.path().to_str().expect("a path").to_owned();
        let (old_python, new_python) = (real.path("venv/bin/python"), real.path("modern/bin/python"));
        let remote: Vec<RealServer> = vec![
            RealServer::everything(real, "streamableHttp").await,
            RealServer::everything(real, "sse").await,
            RealServer::python(old_python.clone(), "on_fastmcp.py", "http").await,
            RealServer::python(old_python, "on_fastmcp.py", "sse").await,
            RealServer::python(new_python.clone(), "on_fastmcp.py", "http").await,
            RealServer::python(new_python, "on_mcp.py", "streamable-http").await,
        ];
        let mut servers = servers(real, &dir);
        servers.extend(REMOTE.iter().zip(&remote).map(|(name, server)| {
            let path = if name.ends_with("sse") { "/sse" } else { "/mcp" };
            json!({"name": name, "url": server.url(path)})
        }));
        let proxy = Proxy::start(json!({"servers": servers})).await;
        Self { proxy, columns: columns(&dir), _files: files, _remote: remote }
    }
}

/// A directory with a note, in a repository.
pub(super) async fn files() -> tempfile::TempDir {
    let files = tempfile::tempdir().expect("a directory");
    std::fs::write(files.path().join("note.txt"), "a note on disk").expect("written");
    let author = ["-c", "user.name=t", "-c", "user.email=t@example.org"];
    git(files.path(), &["init", "-q"]).await;
    git(files.path(), &["add", "note.txt"]).await;
    git(files.path(), &[&author[..], &["commit", "-q", "-m", "The first commit"]].concat()).await;
    files
}

/// Each SDK that servers are made with, in its newest releases before and of 2026-07-28.
pub(super) fn servers(real: &Real, dir: &str) -> Vec<Value> {
    let official = |package: &str| real.node(&format!("@modelcontextprotocol/{package}/dist/index.js"));
    let (old_python, new_python) = (real.path("venv/bin/python"), real.path("modern/bin/python"));
    let ours = Real::server;
    let environment = json!({"MCPROXY_REAL": real.path("")});
    let servers = json!([
        {"name": "everything", "command": "node", "args": [official("server-everything")]},
        {"name": "filesystem", "command": "node", "args": [official("server-filesystem"), dir]},
        {"name": "memory", "command": "node", "args": [official("server-memory")],
            "env": {"MEMORY_FILE_PATH": format!("{dir}/memory.jsonl")}, "sandbox": {"write": [dir]}},
        {"name": "time", "command": old_python, "args": ["-m", "mcp_server_time"]},
        {"name": "git", "command": new_python, "args": ["-m", "mcp_server_git"]},
        {"name": "fastmcp-2", "command": old_python, "args": [ours("on_fastmcp.py")]},
        {"name": "fastmcp-4", "command": new_python, "args": [ours("on_fastmcp.py")]},
        {"name": "fastmcp-npm", "command": "node", "args": [ours("on-fastmcp.mjs")], "env": environment},
        {"name": "typescript", "command": "node", "args": [ours("on-typescript-sdk.mjs")], "env": environment},
        {"name": "strict", "command": "node", "args": [ours("on-typescript-sdk.mjs"), "--strict"], "env": environment},
        {"name": "python", "command": new_python, "args": [ours("on_mcp.py")]},
    ]);
    servers.as_array().expect("a list").clone()
}

/// Each server of the fleet with its calls.
pub(super) fn columns(dir: &str) -> Vec<Column> {
    let call = |tool: &str, arguments, holds: &str| Call { tool: tool.to_owned(), arguments, holds: holds.to_owned() };
    let entity = json!({"entities": [{"name": "Ann", "entityType": "person", "observations": ["likes tea"]}]});
    let noon = json!({"source_timezone": "UTC", "time": "12:00", "target_timezone": "Asia/Tokyo"});
    let official = [
        ("everything", false, vec![call("echo", json!({"message": "hi there"}), "hi there")]),
        (
            "filesystem",
            false,
            vec![call("read_text_file", json!({"path": format!("{dir}/note.txt")}), "a note on disk")],
        ),
        ("memory", false, vec![call("create_entities", entity, ""), call("read_graph", json!({}), "likes tea")]),
        ("time", false, vec![call("convert_time", noon, "21:00")]),
        ("git", true, vec![call("git_log", json!({"repo_path": dir}), "The first commit")]),
    ];
    let ours = [
        ("fastmcp-2", false),
        ("fastmcp-4", true),
        ("fastmcp-npm", false),
        ("typescript", true),
        ("strict", true),
        ("python", true),
        ("fm-2-http", false),
        ("fm-2-sse", false),
        ("fm-4-http", true),
        ("python-http", true),
    ];
    let everything = ["all-http", "all-sse"]
        .map(|server| (server, false, vec![call("echo", json!({"message": "hi there"}), "hi there")]));
    let ours = ours.map(|(server, modern)| {
        let calls =
            vec![call("echo", json!({"text": "hi there"}), "hi there"), call("add", json!({"a": 20, "b": 22}), "42")];
        (server, modern, calls)
    });
    let all = official.into_iter().chain(ours).chain(everything);
    let mut columns: Vec<Column> = all.map(|(server, modern, calls)| Column { server, modern, calls }).collect();
    for Column { server, calls, .. } in &mut columns {
        for call in calls {
            call.tool = format!("{server}__{}", call.tool);
        }
    }
    columns
}

async fn git(dir: &Path, args: &[&str]) {
    let finished = run(Command::new("git").args(args).current_dir(dir), "").await;
    assert_eq!(finished.code, Some(0), "{finished:?}");
}
