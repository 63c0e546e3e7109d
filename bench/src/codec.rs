//! What our own frames cost: ns to encode and to decode one.

use std::{hint::black_box, time::Instant};

use bytes::{Bytes, BytesMut};
use mcproxy_ipc::{
    FrameError, Receiver,
    data::{CallContext, GatewayToWorker},
    frame::{MAX_PAYLOAD, encode_frame},
};
use serde::Serialize;

/// Frames in one in-memory stream.
const BATCH: usize = 64;
/// Rounds of which the fastest counts: anything slower was disturbed.
const ROUNDS: usize = 15;

/// The cost of one size of payload.
#[derive(Debug, Serialize)]
pub(crate) struct Cost {
    payload_bytes: usize,
    encode_ns: f64,
    decode_ns: f64,
}

/// Measures a `Call` frame with that payload.
pub(crate) async fn measure(payload_bytes: usize) -> Result<Cost, FrameError> {
    let call = GatewayToWorker::Call {
        id: 4711,
        method: "tools/call".into(),
        meta_at: payload_bytes,
        context: CallContext::default(),
    };
    let payload = vec![b'x'; payload_bytes];
    let passes = (1_000_000 / (payload_bytes + 1000)).max(1);
    let mut cost = Cost { payload_bytes, encode_ns: f64::MAX, decode_ns: f64::MAX };
    let mut wire = BytesMut::new();
    for _ in 0..ROUNDS {
        let start = Instant::now();
        for _ in 0..passes {
            wire.clear();
            for _ in 0..BATCH {
                encode_frame(black_box(&call), black_box(&payload), &mut wire)?;
            }
        }
        cost.encode_ns = cost.encode_ns.min(each(start, passes));

        let start = Instant::now();
        for _ in 0..passes {
            let mut receiver = Receiver::<GatewayToWorker, _>::new(&wire[..], MAX_PAYLOAD);
            while let Some(frame) = receiver.next().await? {
                black_box::<(GatewayToWorker, Bytes)>(frame);
            }
        }
        cost.decode_ns = cost.decode_ns.min(each(start, passes));
    }
    Ok(cost)
}

fn each(start: Instant, passes: usize) -> f64 {
    start.elapsed().as_nanos() as f64 / (passes * BATCH) as f64
}
