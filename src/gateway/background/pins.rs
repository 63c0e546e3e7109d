//! Looks up what the tools of servers were when they were pinned, and says how what they offer now differs.

use std::{os::fd::OwnedFd, rc::Rc};

use mcproxy_ipc::{ServerName, disk::on_disk};
use slog::warn;

use crate::gateway::{catalogue::ToolDifferences, state::Gateway, upstream::catalogue_cache};

/// Most names of tools in one record.
const NAMED: usize = 20;

/// Reads the pins of a server. Those that cannot be read are as good as none: what it offers now counts then, as at first sight.
pub(super) async fn look_up(gateway: Rc<Gateway>, server: ServerName) {
    let read = move |file: OwnedFd| catalogue_cache::read(file.into());
    let pinned = match gateway.supervisor.catalogue_file(server.clone(), None).await {
        Ok(Some(file)) => on_disk(move || read(file))
            .await
            .map_err(|error| error.to_string())
            .and_then(|read| read.map_err(|error| error.to_string())),
        Ok(None) => Ok(None),
        Err(error) => Err(error.to_string()),
    };
    let pinned = pinned.unwrap_or_else(|error| {
        warn!(gateway.log, "cannot read the pins of a server"; "server" => %server, "error" => error);
        None
    });
    gateway.servers.set_pins(&server, pinned);
}

/// Follows approvals, and reports each difference once.
pub(super) async fn follow(gateway: Rc<Gateway>) {
    let mut approvals = gateway.supervisor.approvals.clone();
    let mut changes = gateway.servers.watch();
    loop {
        tokio::select! {
            approved = approvals.changed() => {
                if approved.is_err() {
                    return;
                }
                approvals.borrow_and_update();
                for server in gateway.servers.with_pins() {
                    tokio::task::spawn_local(look_up(gateway.clone(), server));
                }
            }
            changed = changes.changed() => {
                if changed.is_err() {
                    return;
                }
                changes.borrow_and_update();
                for (server, differences, held) in gateway.servers.take_differences() {
                    report(&gateway, &server, &differences, held);
                }
            }
        }
    }
}

fn report(gateway: &Gateway, server: &ServerName, differences: &ToolDifferences, held: bool) {
    let names = |names: &[Box<str>]| {
        let mut shown: Vec<&str> = names.iter().take(NAMED).map(|name| &**name).collect();
        if names.len() > NAMED {
            shown.push("…");
        }
        shown.join(" ")
    };
    let message = if held {
        "tools are held, because they are not as they were pinned"
    } else {
        "tools are not as they were pinned"
    };
    warn!(gateway.log, "{}", message; "server" => %server, "changed" => names(&differences.changed),
        "added" => names(&differences.added), "removed" => names(&differences.removed),
        "help" => format!("mcproxy tools diff {server}; mcproxy tools approve {server}"));
}
