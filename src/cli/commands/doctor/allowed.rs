//! What a server may do, in words.

use std::path::PathBuf;

use mcproxy_config::ServerConfig;
use mcproxy_confine::{Network, Reading};

/// One sentence for each kind of thing.
pub(super) fn sentences(server: &ServerConfig) -> Vec<String> {
    let sandbox = &server.confinement.sandbox;
    let files = if sandbox.files {
        let read = match &sandbox.reading {
            Reading::Everything => "reads what its user may but MCProxy's own files".to_owned(),
            Reading::Only(paths) => format!("reads the system, its program and its own{}", and(paths)),
        };
        let denied = if sandbox.deny.is_empty() { String::new() } else { format!("; never {}", list(&sandbox.deny)) };
        format!("{read}; writes below HOME, its working directory and TMPDIR{}{denied}", and(&sandbox.write))
    } else {
        "reads and writes what its user may (sandbox: off)".to_owned()
    };
    let ports = |ports: &[u16]| match ports {
        [] => "no TCP port".to_owned(),
        ports => format!("TCP {}", ports.iter().map(u16::to_string).collect::<Vec<_>>().join(", ")),
    };
    let network = match &sandbox.network {
        Network::Full => "connects anywhere".to_owned(),
        Network::Ports(to) => format!("connects to {}", ports(to)),
        Network::None => "has no network".to_owned(),
    };
    let bind = sandbox.bind.as_deref().map(|to| format!("listens on {}", ports(to)));
    let namespaces = sandbox.namespaces.then(|| "may make namespaces".to_owned());
    let account = server.run_as.as_ref().map(|user| format!("runs as {user}"));
    [Some(files), Some(network), bind, namespaces, account].into_iter().flatten().collect()
}

fn and(paths: &[PathBuf]) -> String {
    if paths.is_empty() { String::new() } else { format!(", and {}", list(paths)) }
}

fn list(paths: &[PathBuf]) -> String {
    paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use mcproxy_config::Config;

    use super::*;

    #[test]
    fn what_an_entry_allows_is_told_whole() {
        let text = r#"{"mcpServers": {"a": {"command": "x"}, "b": {"command": "x", "network": "none", "runAs": "me",
            "sandbox": {"read": ["/r"], "write": ["/w"], "deny": ["/d"], "bind": [80], "namespaces": true}}}}"#;
        let config = Config::parse(text, &|_| None).expect("valid");
        let said = |n: usize| sentences(&config.servers[n]).join("; ");
        assert_eq!(
            said(0),
            "reads what its user may but MCProxy's own files; writes below HOME, its working directory and TMPDIR; connects anywhere"
        );
        assert_eq!(
            said(1),
            "reads the system, its program and its own, and /r; writes below HOME, its working directory and TMPDIR, and /w; \
             never /d; has no network; listens on TCP 80; may make namespaces; runs as me"
        );
    }
}
