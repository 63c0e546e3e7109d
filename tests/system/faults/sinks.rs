//! Where logs and state go to is full or stuck: that costs records, and no call.

use std::{
    fs::{self, File},
    io::Read,
    os::unix::fs::MetadataExt as _,
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use serde_json::{Value, json};
use tokio::net::UnixDatagram;

use crate::support::{DEADLINE, Proxy, Session, eventually, fixture, skip, within};

async fn call_at_once(session: &Session, calls: u64) {
    let call = |id: u64| {
        let params = json!({"name": "a__echo", "arguments": {"text": id.to_string()}});
        async move { (id, session.request_as(json!(id), "tools/call", params).await) }
    };
    for chunk in (0..calls).collect::<Vec<_>>().chunks(50) {
        for (id, messages) in futures_util::future::join_all(chunk.iter().map(|id| call(*id))).await {
            let last = messages.last().expect("an answer");
            assert_eq!(last["result"]["content"][0]["text"], id.to_string(), "{last}");
        }
    }
}

#[tokio::test]
async fn a_standard_output_that_nobody_reads_delays_no_call_and_what_was_lost_is_counted() {
    let (mut reader, writer) = std::io::pipe().expect("a pipe");
    rustix::pipe::fcntl_setpipe_size(&writer, 4096).expect("a small pipe");
    let config = json!({"servers": [fixture("a", &[])]});
    let proxy = Proxy::launch_with(config, |command| {
        command.stdout(writer);
    })
    .await;
    proxy.until_ready().await;
    let session = proxy.session().await;
    // Until the queues and the pipe hold no more of their records; on its way some are lost in the gateway's queue.
    let lost = eventually("some records are lost", Duration::from_secs(90), async || {
        call_at_once(&session, 500).await;
        let status: Value = serde_json::from_str(&proxy.cli(&["status", "--json"]).await.stdout).ok()?;
        status["logDropped"].as_u64().filter(|lost| *lost > 0)
    })
    .await;
    let metrics = proxy.get("/metrics").await.body;
    assert!(metrics.lines().any(|line| line.starts_with("mcproxy_log_records_lost_total ") && !line.ends_with(" 0")));
    let reading = std::thread::spawn(move || {
        let mut all = String::new();
        reader.read_to_string(&mut all).map(|_| all)
    });
    eventually("the sink takes records again", Duration::from_secs(20), async || {
        call_at_once(&session, 10).await;
        let status: Value = serde_json::from_str(&proxy.cli(&["status", "--json"]).await.stdout).ok()?;
        (status["logDropped"] == lost || status["logDropped"].as_u64() > Some(lost)).then_some(())
    })
    .await;
    drop((session, proxy)); // the end of the supervisor is the end of the pipe
    let log = reading.join().expect("it ends").expect("text");
    assert!(log.contains("log records were dropped because their queue was full"), "{} bytes of log", log.len());
}

/// The same command in a mount namespace, where `state` is a disk of 64 KiB without room, and takes its log as well.
fn on_a_full_disk(command: &mut Command) {
    let script = "mount -t tmpfs -o size=64k none state && dd if=/dev/zero of=state/filler bs=4k 2>/dev/null; \
        exec \"$@\" >state/log.txt 2>&1";
    let mut wrapped = Command::new("unshare");
    wrapped.args(["-m", "sh", "-c", script, "sh"]).arg(command.get_program()).args(command.get_args());
    wrapped.current_dir(command.get_current_dir().expect("a directory")).stdin(Stdio::null());
    fs::create_dir(command.get_current_dir().expect("a directory").join("state")).expect("a place for the disk");
    *command = wrapped;
}

#[tokio::test]
async fn a_full_disk_under_state_and_log_stops_nothing() {
    let dir = tempfile::tempdir().expect("a directory");
    let probe = Command::new("unshare").args(["-m", "mount", "-t", "tmpfs", "none"]).arg(dir.path()).output();
    if !probe.is_ok_and(|output| output.status.success()) {
        return skip("no disk can be mounted here");
    }
    let config = json!({"servers": [fixture("a", &[])], "defaults": {"restart": {"initialDelay": 0.2}}});
    let proxy = Proxy::launch_with(config, on_a_full_disk).await;
    proxy.until_ready().await;
    let full = format!("/proc/{}/cwd/state", proxy.pid());
    let error = fs::write(format!("{full}/probe"), vec![0; 8192]).expect_err("there is no room");
    assert_eq!(error.kind(), std::io::ErrorKind::StorageFull, "{error}");
    let session = proxy.session().await;
    call_at_once(&session, 100).await;
    let before = proxy.server("a").await;
    crate::support::kill(before.pid());
    proxy.server_until("ready again", "a", |server| server.is_ready() && server.restarts == 1).await;
    proxy.write_config(&json!({"servers": [fixture("a", &[]), fixture("b", &[])]}).to_string());
    proxy.server_until("ready", "b", |server| server.is_ready()).await;
    call_at_once(&proxy.session().await, 100).await;
}

/// Starts a proxy whose standard output is this file, which it is told is a stream of the journal; that listens at `socket`.
async fn under_systemd(stream: &Path, socket: &Path) -> Proxy {
    let file = File::create(stream).expect("created");
    let found = file.metadata().expect("its number");
    let config = json!({"servers": [fixture("a", &[])]});
    Proxy::launch_with(config, |command| {
        let number = format!("{}:{}", found.dev(), found.ino());
        command.stdout(file).env("JOURNAL_STREAM", number).env("MCPROXY_TEST_JOURNAL", socket);
    })
    .await
}

#[tokio::test]
async fn under_systemd_records_go_to_the_journal_with_their_level_and_server_as_fields() {
    let dir = tempfile::tempdir().expect("a directory");
    let (stream, socket) = (dir.path().join("stream"), dir.path().join("journal"));
    let journal = UnixDatagram::bind(&socket).expect("a socket");
    let read = async {
        let mut bytes = vec![0; 256 * 1024];
        loop {
            let len = journal.recv(&mut bytes).await.expect("a record");
            let record = String::from_utf8_lossy(&bytes[..len]).into_owned();
            if record.starts_with("MESSAGE=server is ready, server: a, generation: 1, ") {
                return record;
            }
        }
    };
    // It has to be read, or the log waits.
    let (record, _proxy) = tokio::join!(within("the server is ready", DEADLINE, read), under_systemd(&stream, &socket));
    let lines =
        ["PRIORITY=6", "SYSLOG_IDENTIFIER=mcproxy", "MCPROXY_SERVER=a", "MCPROXY_GENERATION=1", "MCPROXY_TO=ready"];
    for line in lines {
        assert!(record.lines().any(|said| said == line), "{line}: {record}");
    }
    assert_eq!(fs::read_to_string(&stream).expect("the stream"), "", "nothing is written twice");
}

#[tokio::test]
async fn a_stream_of_the_journal_without_its_socket_gets_lines_with_their_level_and_no_time() {
    let dir = tempfile::tempdir().expect("a directory");
    let stream = dir.path().join("stream");
    let proxy = under_systemd(&stream, &dir.path().join("none")).await;
    proxy.until_ready().await;
    eventually("a line", DEADLINE, async || {
        let text = fs::read_to_string(&stream).expect("the stream");
        text.lines().find(|line| line.starts_with("<6>server is ready, server: a, ")).map(str::to_owned)
    })
    .await;
}
