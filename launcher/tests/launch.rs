//! The launcher as a worker starts it: two descriptors, and a process that becomes another program or says why not.

use std::{
    ffi::OsString,
    io::{self, Read},
    process::{Command, Output, Stdio},
};

use mcproxy_confine::{ResourceLimits, SealedMemory, hand_on};
use mcproxy_launch::LaunchOrder;

/// What the process said on its standard output, and where a worker reads why it did not become the program.
struct Launched {
    output: Output,
    complaint: String,
}

fn launch_with(order: SealedMemory) -> Launched {
    let (mut complaints, theirs) = io::pipe().expect("a pipe");
    let mut command = Command::new(env!("CARGO_BIN_EXE_mcproxy-launch"));
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let spawn = |order: OsString| hand_on(&theirs, |number| command.args([order, number]).spawn());
    let child = order.hand_on(spawn).expect("spawned");
    drop(theirs);
    let output = child.wait_with_output().expect("ended");
    let mut complaint = String::new();
    complaints.read_to_string(&mut complaint).expect("text");
    Launched { output, complaint }
}

fn launch(change: impl FnOnce(&mut LaunchOrder)) -> Launched {
    let mut order = LaunchOrder {
        parent: std::process::id(),
        program: "/bin/sh".into(),
        args: vec!["-c".into(), "echo ran".into()],
        ..LaunchOrder::default()
    };
    change(&mut order);
    launch_with(order.seal().expect("sealed"))
}

fn script(text: &str) -> impl FnOnce(&mut LaunchOrder) {
    move |order| order.args = vec!["-c".into(), text.into()]
}

fn refused(launched: &Launched, words: &[&str]) {
    assert_eq!(launched.output.status.code(), Some(127));
    assert!(launched.output.stderr.is_empty(), "{:?}", String::from_utf8_lossy(&launched.output.stderr));
    for word in words {
        assert!(launched.complaint.contains(word), "{word:?} in {:?}", launched.complaint);
    }
}

#[test]
fn it_becomes_the_program_and_complains_of_nothing() {
    let launched = launch(script("echo $0 $PPID"));
    assert_eq!(launched.complaint, "");
    assert_eq!(String::from_utf8_lossy(&launched.output.stdout), format!("/bin/sh {}\n", std::process::id()));
    assert!(launched.output.status.success());
}

#[test]
fn the_program_inherits_three_streams_and_nothing_else() {
    // The listing has a descriptor of its own.
    let launched = launch(script("exec ls /proc/self/fd"));
    assert_eq!(String::from_utf8_lossy(&launched.output.stdout), "0\n1\n2\n3\n");
}

#[test]
fn the_program_has_the_limits_of_its_order() {
    let limits = ResourceLimits { files: Some(77), processes: None, file_bytes: Some(1 << 20) };
    let launched = launch(|order| {
        order.limits = Some(limits);
        script("ulimit -n; ulimit -f")(order);
    });
    // In units of 512 bytes.
    assert_eq!(String::from_utf8_lossy(&launched.output.stdout), "77\n2048\n", "{}", launched.complaint);
}

#[test]
fn what_cannot_be_executed_is_said_where_the_worker_reads_it() {
    refused(
        &launch(|order| order.program = "/nowhere/server".into()),
        &["/nowhere/server cannot be executed", "os error 2"],
    );
    refused(&launch(|order| order.program = "/etc/passwd".into()), &["/etc/passwd cannot be executed", "os error 13"]);
    // Whatever its server may write, this is not a file.
    let no_files = ResourceLimits { file_bytes: Some(0), ..ResourceLimits::default() };
    let launched = launch(|order| {
        order.limits = Some(no_files);
        order.program = "/nowhere/server".into();
    });
    refused(&launched, &["/nowhere/server cannot be executed"]);
}

#[test]
fn without_the_worker_that_started_it_there_is_no_server() {
    refused(&launch(|order| order.parent = 1), &["the worker that started it is gone"]);
    refused(&launch(|order| order.waits = true), &["the worker that started it is gone"]);
}

#[test]
fn an_order_that_cannot_be_read_is_a_reason_too() {
    let other = SealedMemory::create(b"mcproxy-launch 999\0").expect("created");
    refused(&launch_with(other), &["cannot read its order", "another build"]);
}

#[test]
fn by_hand_it_says_whose_it_is() {
    let output = Command::new(env!("CARGO_BIN_EXE_mcproxy-launch")).arg("--help").output().expect("run");
    assert_eq!(output.status.code(), Some(64));
    assert!(String::from_utf8_lossy(&output.stderr).contains("started by mcproxy-worker"));
}
