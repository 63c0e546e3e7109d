//! The promises of frames.

use proptest::prelude::*;
use tokio::io::AsyncWriteExt;

use super::*;
use crate::{
    Hello, Verdict,
    control::{
        GatewayToSupervisor, OperatorToSupervisor, SupervisorToGateway, SupervisorToOperator, SupervisorToWorker,
        WorkerToSupervisor,
    },
    data::{GatewayToWorker, WorkerToGateway},
};

fn block_on<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread().build().expect("a runtime").block_on(future)
}

async fn read_all<M: DeserializeOwned>(bytes: &[u8], max_payload: usize) -> Result<Vec<(M, Bytes)>, FrameError> {
    let mut receiver = Receiver::<M, _>::new(bytes, max_payload);
    let mut all = Vec::new();
    while let Some(frame) = receiver.next().await? {
        all.push(frame);
    }
    Ok(all)
}

proptest! {
    #[test]
    fn frames_come_back_however_the_stream_is_cut(
        frames in prop::collection::vec((any::<u64>(), prop::collection::vec(any::<u8>(), 0..2000)), 1..8),
        cut in 1usize..97,
    ) {
        block_on(async {
            let mut wire = BytesMut::new();
            for (id, payload) in &frames {
                encode_frame(&GatewayToWorker::Cancel { id: *id, reason: None }, payload, &mut wire).expect("encodes");
            }
            let (mut ours, theirs) = tokio::io::duplex(cut);
            let writer = async { ours.write_all(&wire).await.expect("written"); drop(ours); };
            let reader = async {
                let mut receiver = Receiver::<GatewayToWorker, _>::new(theirs, MAX_PAYLOAD);
                for (id, payload) in &frames {
                    let (message, bytes) = receiver.next().await.expect("a frame").expect("not the end");
                    assert_eq!(message, GatewayToWorker::Cancel { id: *id, reason: None });
                    assert_eq!(&bytes[..], &payload[..]);
                }
                assert!(receiver.next().await.expect("a clean end").is_none());
            };
            tokio::join!(writer, reader);
        });
    }

    #[test]
    fn hostile_bytes_never_panic_a_decoder(body in prop::collection::vec(any::<u8>(), 0..600), payload in 0u32..64) {
        let mut wire = BytesMut::new();
        wire.put_slice(&MAGIC);
        wire.put_u16(WIRE_VERSION);
        wire.put_u32(body.len() as u32);
        wire.put_u32(payload);
        wire.put_slice(&body);
        wire.put_bytes(0, payload as usize);
        block_on(async {
            let _ = read_all::<Hello>(&wire, 64).await;
            let _ = read_all::<Verdict>(&wire, 64).await;
            let _ = read_all::<SupervisorToWorker>(&wire, 64).await;
            let _ = read_all::<WorkerToSupervisor>(&wire, 64).await;
            let _ = read_all::<SupervisorToGateway>(&wire, 64).await;
            let _ = read_all::<GatewayToSupervisor>(&wire, 64).await;
            let _ = read_all::<OperatorToSupervisor>(&wire, 64).await;
            let _ = read_all::<SupervisorToOperator>(&wire, 64).await;
            let _ = read_all::<GatewayToWorker>(&wire, 64).await;
            let _ = read_all::<WorkerToGateway>(&wire, 64).await;
        });
    }

    #[test]
    fn raw_garbage_never_panics_the_reader(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        block_on(async { let _ = read_all::<WorkerToGateway>(&bytes, MAX_PAYLOAD).await; });
    }
}

#[test]
fn a_frame_beyond_its_bound_is_refused_before_allocation() {
    let mut wire = BytesMut::new();
    wire.put_slice(&MAGIC);
    wire.put_u16(WIRE_VERSION);
    wire.put_u32(3);
    wire.put_u32(u32::MAX);
    let error = block_on(read_all::<WorkerToGateway>(&wire, MAX_PAYLOAD)).expect_err("refused");
    assert!(matches!(error, FrameError::TooLarge { part: "payload", .. }), "{error}");
    let error = block_on(read_all::<WorkerToSupervisor>(&wire, 0)).expect_err("refused");
    assert!(matches!(error, FrameError::TooLarge { part: "payload", max: 0, .. }), "{error}");
}

#[test]
fn a_hostile_length_inside_a_head_claims_no_memory() {
    // A `Log` head whose string announces 2^62 bytes.
    let head = [2u8, 0, 2, 0xfd, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x3f];
    let mut wire = BytesMut::new();
    wire.put_slice(&MAGIC);
    wire.put_u16(WIRE_VERSION);
    wire.put_u32(head.len() as u32);
    wire.put_u32(0);
    wire.put_slice(&head);
    assert!(block_on(read_all::<WorkerToSupervisor>(&wire, 0)).is_err());
    assert!(block_on(read_all::<GatewayToSupervisor>(&wire, 0)).is_err());
}

#[test]
fn another_wire_version_is_named_in_the_error() {
    let mut wire = BytesMut::new();
    encode_frame(&GatewayToWorker::Cancel { id: 1, reason: None }, b"", &mut wire).expect("encodes");
    wire[3] = 250; // the version's low byte
    let error = block_on(read_all::<GatewayToWorker>(&wire, 0)).expect_err("refused");
    assert!(matches!(error, FrameError::Version { theirs: 250, ours: WIRE_VERSION }), "{error}");
}

#[test]
fn a_connection_cut_inside_a_frame_is_not_a_clean_end() {
    let mut wire = BytesMut::new();
    encode_frame(&GatewayToWorker::Cancel { id: 1, reason: None }, b"abc", &mut wire).expect("encodes");
    let error = block_on(read_all::<GatewayToWorker>(&wire[..wire.len() - 1], 8)).expect_err("cut");
    assert!(matches!(error, FrameError::Truncated), "{error}");
}
