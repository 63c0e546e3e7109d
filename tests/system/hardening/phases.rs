//! A gateway or a worker that says what it may not say, or what nobody can read, is killed and started anew (docs/decisions/0133).

use std::{
    fs,
    io::Read as _,
    os::unix::{fs::PermissionsExt as _, net::UnixStream},
    path::{Path, PathBuf},
};

use mcproxy_ipc::{
    Inherited,
    control::{GatewayToSupervisor, SupervisorToGateway, SupervisorToWorker, WorkerToSupervisor},
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::json;

use crate::support::{Proxy, binary, fixture};

/// A hello and these messages, as they go over the connection.
async fn said<In: DeserializeOwned, Out: Serialize>(messages: &[Out]) -> Vec<u8> {
    let (mut ours, theirs) = UnixStream::pair().expect("a pair");
    let child = Inherited::new(theirs.into()).expect("taken over");
    let (receiver, mut sender) = child.introduce::<In, Out>().await.expect("said");
    for message in messages {
        sender.send(message).await.expect("said");
    }
    drop((receiver, sender));
    let mut bytes = Vec::new();
    ours.read_to_end(&mut bytes).expect("all of it");
    bytes
}

/// A directory with our programs, in which `liar` says one of these lies each time it is started as a process of ours, and is
/// itself when none is left.
fn programs(liar: &str, lies: &[Vec<u8>]) -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().expect("a directory");
    let at = |name: &str| dir.path().join(name);
    // Our programs are looked for beside the file that runs: a link would lead back.
    fs::copy(binary("mcproxy-supervisor"), at("mcproxy-supervisor")).expect("copied");
    for name in ["mcproxy-gateway", "mcproxy-worker"].iter().filter(|name| **name != liar) {
        std::os::unix::fs::symlink(binary(name), at(name)).expect("linked");
    }
    for (number, lie) in lies.iter().enumerate() {
        fs::write(at(&format!("lie{number}")), lie).expect("written");
    }
    let script = format!(
        "#!/bin/sh\ncase \"$*\" in *--socket*) ;; *) exec {real} \"$@\";; esac\n\
         cd {dir}; n=$(cat count 2>/dev/null || echo 0); echo $((n+1)) >count\n\
         test -e lie$n || {{ cd \"$OLDPWD\"; exec {real} \"$@\"; }}\n\
         cat lie$n >&0; exec sleep 60\n",
        real = binary(liar).display(),
        dir = dir.path().display(),
    );
    fs::write(at(liar), script).expect("written");
    fs::set_permissions(at(liar), fs::Permissions::from_mode(0o755)).expect("a program");
    let supervisor = at("mcproxy-supervisor");
    (dir, supervisor)
}

async fn launch(supervisor: &Path) -> Proxy {
    Proxy::launch_at(supervisor, json!({"servers": [fixture("a", &[])]})).await
}

#[tokio::test]
async fn a_gateway_that_breaks_the_protocol_is_killed_and_started_anew() {
    let early = said::<SupervisorToGateway, _>(&[GatewayToSupervisor::Forget(Vec::new())]).await;
    let twice = GatewayToSupervisor::Listening { missing: Vec::new() };
    let twice = said::<SupervisorToGateway, _>(&[twice.clone(), twice]).await;
    let garbage = [said::<SupervisorToGateway, GatewayToSupervisor>(&[]).await, vec![0xff; 4096]].concat();
    let mut endless = said::<SupervisorToGateway, GatewayToSupervisor>(&[]).await;
    // The head of a frame that never ends: it is bounded before anything is kept of it.
    let header = endless[..4].to_vec();
    endless.extend([&header[..], &[0x7f, 0xff, 0xff, 0xff, 0, 0, 0, 0]].concat());
    let (_dir, supervisor) = programs("mcproxy-gateway", &[early, twice, garbage, endless]);
    let proxy = launch(&supervisor).await;
    proxy.logged(&["gateway broke the protocol and is killed", "`Forget` is not allowed"]).await;
    proxy.logged(&["gateway broke the protocol and is killed", "`Listening` is not allowed"]).await;
    proxy.logged(&["gateway connection lost", "its control connection broke"]).await;
    let gateway = proxy.status().await.gateway.expect("a gateway");
    assert_eq!(gateway.restarts, 4, "once for each lie");
    proxy.until_ready().await;
    assert_eq!(proxy.session().await.say("a__echo", json!({"text": "the fifth"})).await, "the fifth");
}

#[tokio::test]
async fn a_worker_that_breaks_the_protocol_has_failed_and_the_next_one_runs() {
    let early = said::<SupervisorToWorker, _>(&[WorkerToSupervisor::CatalogueFilled]).await;
    let garbage = [said::<SupervisorToWorker, WorkerToSupervisor>(&[]).await, vec![0xff; 4096]].concat();
    let (_dir, supervisor) = programs("mcproxy-worker", &[early, garbage]);
    let proxy = launch(&supervisor).await;
    proxy.logged(&["worker broke the protocol and is killed", "`CatalogueFilled` is not allowed"]).await;
    proxy.logged(&["its control connection broke"]).await;
    let server = proxy.server_until("ready in the end", "a", |server| server.is_ready()).await;
    assert_eq!(server.restarts, 2, "{server:?}");
    assert_eq!(proxy.session().await.say("a__echo", json!({"text": "the third"})).await, "the third");
}
