//! The load tool: what a call costs through MCProxy, through peers, and through nothing. See `README.md`.

mod abandon;
mod cells;
mod channel;
mod client;
mod codec;
mod compare;
mod connection;
mod cost;
mod events;
mod flags;
mod footprint;
mod http;
mod legacy;
mod load;
mod message;
mod plain;
mod process;
mod ready;
mod search;
mod stdio;
mod streamable;
mod table;

use std::{io::Write, time::Duration};

use anyhow::Context;
use clap::Parser;
use serde::Serialize;

use crate::{
    flags::{Command, Flags},
    load::Load,
};

fn main() -> anyhow::Result<()> {
    match Flags::parse().command {
        Command::HttpEcho { port } => plain::serve(port).context("cannot serve the echo"),
        other => {
            // One thread: the tool's own cost is part of every latency.
            tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(run(other))
        }
    }
}

async fn run(command: Command) -> anyhow::Result<()> {
    match command {
        Command::HttpEcho { .. } => unreachable!("served above"),
        Command::Load { aim, clients, servers, until, warm_up_ms, watch } => {
            let target = aim.target().await?;
            let mut watch = watch.watch();
            watch.trees.extend(aim.stdio_pid(&target));
            let load = Load {
                target,
                job: aim.job(),
                clients,
                servers,
                warm_up: Duration::from_millis(warm_up_ms),
                until: until.until(),
                watch,
            };
            print(&load.run().await?)
        }
        Command::Ready { aim, since, within } => {
            print(&ready::wait(&aim.target().await?, &aim.job(), since, Duration::from_secs(within)).await?)
        }
        Command::Abandon { aim, sessions, watch } => {
            print(&abandon::abandon(&aim.target().await?, sessions, &watch.watch()).await?)
        }
        Command::Codec => {
            for payload in [200, 1024 * 1024] {
                print(&codec::measure(payload).await?)?;
            }
            Ok(())
        }
        Command::Search { tools, queries } => print(&search::measure(&tools, &queries)?),
        Command::Processes { tree } => print(&footprint::take(&tree)?),
        Command::Port => print(&std::net::TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port()),
        Command::Table { results } => write(&table::render(&table::read(&results)?)),
        Command::Compare { results } => write(&compare::render(&table::read(&results)?)),
    }
}

fn print(value: &impl Serialize) -> anyhow::Result<()> {
    write(&(serde_json::to_string(value)? + "\n"))
}

fn write(text: &str) -> anyhow::Result<()> {
    std::io::stdout().lock().write_all(text.as_bytes()).context("cannot write to stdout")
}
