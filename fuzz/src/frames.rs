//! Frames of both planes: what a peer of ours, or somebody who took its place, sends.

use bytes::{BufMut, BytesMut};
use futures_util::FutureExt;
use mcproxy_ipc::{
    FrameError, Hello, Receiver, Verdict,
    control::{
        GatewayToSupervisor, OperatorToSupervisor, SupervisorToGateway, SupervisorToOperator, SupervisorToWorker,
        WorkerToSupervisor,
    },
    data::{GatewayToWorker, WorkerToGateway},
    frame::{WIRE_VERSION, encode_frame},
};
use serde::{Serialize, de::DeserializeOwned};

use crate::split_choice;

const MAX_PAYLOAD: usize = 1024;

/// Half of the inputs are whole streams, the other half are heads that get a fitting header.
pub(crate) fn target(data: &[u8]) {
    let (choice, rest) = split_choice(data);
    let stream = if choice & 0x80 == 0 { rest.to_vec() } else { framed(rest) };
    match choice & 0x0f {
        0 => read::<Hello>(&stream),
        1 => read::<Verdict>(&stream),
        2 => read::<SupervisorToWorker>(&stream),
        3 => read::<WorkerToSupervisor>(&stream),
        4 => read::<SupervisorToGateway>(&stream),
        5 => read::<GatewayToSupervisor>(&stream),
        6 => read::<OperatorToSupervisor>(&stream),
        7 => read::<SupervisorToOperator>(&stream),
        8 => read::<GatewayToWorker>(&stream),
        _ => read::<WorkerToGateway>(&stream),
    }
}

fn framed(head: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(12 + head.len());
    out.put_slice(b"MP");
    out.put_u16(WIRE_VERSION);
    out.put_u32(u32::try_from(head.len()).unwrap_or(u32::MAX));
    out.put_u32(0);
    out.put_slice(head);
    out
}

/// The frames of a stream, until it ends or errs.
fn frames<M: DeserializeOwned>(stream: &[u8]) -> (Vec<(M, Vec<u8>)>, Option<FrameError>) {
    let mut receiver = Receiver::<M, _>::new(stream, MAX_PAYLOAD);
    let mut frames = Vec::new();
    loop {
        match receiver.next().now_or_never().expect("a slice never makes anybody wait") {
            Ok(Some((message, payload))) => frames.push((message, payload.to_vec())),
            Ok(None) => return (frames, None),
            Err(error) => return (frames, Some(error)),
        }
    }
}

/// What was understood can be said again, and is then understood in the same way.
fn read<M: Serialize + DeserializeOwned>(stream: &[u8]) {
    let (first, _) = frames::<M>(stream);
    let said = say(&first);
    let (second, error) = frames::<M>(&said);
    assert!(error.is_none(), "our own frames are refused: {error:?}");
    assert_eq!(said, say(&second), "a message changes when it is passed on");
}

fn say<M: Serialize>(frames: &[(M, Vec<u8>)]) -> BytesMut {
    let mut out = BytesMut::new();
    for (message, payload) in frames {
        encode_frame(message, payload, &mut out).expect("what fitted into a frame fits again");
    }
    out
}
