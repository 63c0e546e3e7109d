//! The client matrix: every SDK, in each of its eras and transports, uses every real server through one endpoint.

use std::io::Write;

use super::{
    clients::{Cell, Client, Row},
    fleet::{Column, Fleet, PARTS},
};
use crate::support::{Driver, Real};

const CLIENTS: [Client; 9] = [
    Client::Rmcp,
    Client::ModernRmcp,
    Client::Driver(Driver::TypeScript, "sse"),
    Client::Driver(Driver::TypeScript, "http"),
    Client::Driver(Driver::TypeScript, "modern"),
    Client::Driver(Driver::Python, "sse"),
    Client::Driver(Driver::Python, "http"),
    Client::Driver(Driver::Python, "modern"),
    Client::Inspector,
];

#[tokio::test]
async fn every_client_lists_and_calls_tools_of_every_real_server() {
    let parts = [&PARTS[..], &["node_modules/@modelcontextprotocol/client", "inspector/stamp"]].concat();
    let Some(real) = Real::with(&parts) else { return };
    let fleet = Fleet::start(&real).await;
    for column in &fleet.columns {
        let found = fleet.proxy.server(column.server).await.server.expect("a server that is ready was asked");
        assert_eq!(found["protocolVersion"] == "2026-07-28", column.modern, "{}: {found}", column.server);
    }
    let mut rows = Vec::new();
    for client in CLIENTS {
        rows.push((client.name(), client.walk(&real, &fleet).await));
    }
    let table = Table { servers: fleet.columns.iter().map(Column::heading).collect(), rows };
    let drawn = table.draw();
    let wrong = table.wrong();
    assert!(wrong.is_empty(), "{drawn}\n{}", wrong.join("\n"));
    // Nobody may be reading.
    let _ = writeln!(std::io::stderr().lock(), "{drawn}");
}

struct Table {
    servers: Vec<String>,
    rows: Vec<(String, Row)>,
}

impl Table {
    fn cells<'a>(&'a self, row: &'a Row) -> impl Iterator<Item = (&'a str, &'a Cell)> {
        let own = [("lists", &row.lists), ("progress", &row.progress)];
        own.into_iter().chain(self.servers.iter().map(String::as_str).zip(&row.servers))
    }

    fn draw(&self) -> String {
        let headings = ["lists", "progress"].into_iter().chain(self.servers.iter().map(String::as_str));
        let mut lines = vec![format!("{:26}{}", "", headings.map(|name| format!("{name:13}")).collect::<String>())];
        for (client, row) in &self.rows {
            let cells = self.cells(row).map(|(_, cell)| match cell {
                None => format!("{:13}", "-"),
                Some(Ok(())) => format!("{:13}", "ok"),
                Some(Err(_)) => format!("{:13}", "WRONG"),
            });
            lines.push(format!("{client:26}{}", cells.collect::<String>()));
        }
        lines.join("\n")
    }

    fn wrong(&self) -> Vec<String> {
        let all = self.rows.iter().flat_map(|(client, row)| self.cells(row).map(move |cell| (client, cell)));
        all.filter_map(|(client, (server, cell))| match cell {
            Some(Err(why)) => Some(format!("{client}, {server}: {why}")),
            _ => None,
        })
        .collect()
    }
}
