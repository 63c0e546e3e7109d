//! Servers that cannot be started: the reason is said, and is not an exit of theirs.

use std::{fs, os::unix::fs::PermissionsExt, path::Path};

use mcproxy_ipc::EndReason;

use crate::harness::{Worker, run};

fn program(dir: &Path, text: &str) {
    fs::write(dir.join("server"), text).expect("written");
    fs::set_permissions(dir.join("server"), fs::Permissions::from_mode(0o755)).expect("executable");
}

#[test]
fn a_program_that_the_kernel_does_not_execute_is_a_reason_with_what_helps() {
    let dir = tempfile::tempdir().expect("a directory");
    let server = dir.path().join("server");
    let long = "x".repeat(200_000);
    for (text, args, why, help) in [
        ("#!/nowhere/python\n", &[][..], "os error 2", "the interpreter that its first line names"),
        ("#!/bin/sh\n", &[&*long], "os error 7", "its arguments and its environment are too large"),
    ] {
        program(dir.path(), text);
        run(async {
            let ended = Worker::start(&server, args, |_| {}).await.ended().await;
            let EndReason::Spawn(said) = &ended.reason else { panic!("{ended:?}") };
            assert!(said.starts_with(&format!("{} cannot be executed", server.display())), "{said}");
            assert!(said.contains(why) && said.contains(help), "{said}");
            assert_eq!(ended.stderr_tail, "", "it is no line of the server");
        });
    }
}

#[test]
fn a_server_that_ends_with_the_code_of_a_shell_without_a_program_has_ended() {
    run(async {
        let ended = Worker::start(Path::new("/bin/sh"), &["-c", "exit 127"], |_| {}).await.ended().await;
        assert_eq!(ended.reason, EndReason::Exited { code: Some(127), signal: None });
    });
}

#[test]
fn an_argument_that_no_program_can_be_given_is_a_reason() {
    run(async {
        let ended = Worker::start(Path::new("/bin/sh"), &["-c", "true\0"], |_| {}).await.ended().await;
        assert!(matches!(&ended.reason, EndReason::Spawn(why) if why.contains("NUL byte")), "{ended:?}");
    });
}
