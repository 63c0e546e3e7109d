//! A frame with a large payload on its way in.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use tokio::{
    io::{AsyncRead, AsyncReadExt},
    task::yield_now,
};

use crate::FrameError;

/// A payload of more bytes than this has a block of its own, of just its size: it keeps no other frame alive, nor do they keep it.
pub(crate) const LARGE: usize = 64 * 1024;
/// How much of a payload that is not wanted is read at once.
const DISCARDED: usize = 16 * 1024;
/// How much of a payload is read before other tasks have their turn, in bytes: about 50 µs of copying. A writer on another processor
/// fills the pipe as fast as it is emptied, so that the end of what is there never comes.
const TURN: usize = 256 * 1024;

/// One frame, and what has come of it.
#[derive(Debug)]
pub(crate) struct Large {
    head: Bytes,
    length: usize,
    /// Present once its payload is asked for.
    payload: Option<BytesMut>,
    missing: usize,
}

impl Large {
    /// `head`: the bytes of its message.
    pub(crate) fn begin(head: &[u8], length: usize) -> Self {
        Self { head: Bytes::copy_from_slice(head), length, payload: None, missing: length }
    }

    /// The bytes of its message.
    pub(crate) fn head(&self) -> &[u8] {
        &self.head
    }

    /// How long its payload is.
    pub(crate) fn payload_len(&self) -> usize {
        self.length
    }

    /// Takes its payload out of what is there already and out of what follows; one that is not wanted is not kept. Cancel safe.
    pub(crate) async fn fill(
        &mut self,
        io: &mut (impl AsyncRead + Unpin),
        buffer: &mut BytesMut,
        wanted: bool,
    ) -> Result<(), FrameError> {
        let capacity = if wanted { self.length } else { DISCARDED };
        let payload = self.payload.get_or_insert_with(|| BytesMut::with_capacity(capacity));
        let there = self.missing.min(buffer.len());
        if wanted {
            payload.put_slice(&buffer[..there]);
        }
        buffer.advance(there);
        self.missing -= there;
        let mut in_turn = 0;
        while self.missing > 0 {
            if in_turn >= TURN {
                in_turn = 0;
                yield_now().await;
            }
            let most = self.missing.min(payload.capacity() - payload.len());
            let read = io.read_buf(&mut (&mut *payload).limit(most)).await?;
            if read == 0 {
                return Err(FrameError::Truncated);
            }
            self.missing -= read;
            in_turn += read;
            if !wanted {
                payload.clear();
            }
        }
        Ok(())
    }

    /// All of its payload, once it is there; nothing of one that was not wanted.
    pub(crate) fn into_payload(self) -> Bytes {
        self.payload.unwrap_or_default().freeze()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tokio::io::AsyncWriteExt;

    use super::*;
    use crate::{
        data::GatewayToWorker,
        frame::{MAX_PAYLOAD, Part, Receiver, encode_frame},
    };

    proptest! {
        #[test]
        fn large_frames_come_among_others_whole_or_without_what_is_not_wanted(
            frames in prop::collection::vec((prop_oneof![0usize..200, LARGE - 2..LARGE + 50_000], any::<bool>()), 1..6),
            cut in 1000usize..70_000,
        ) {
            let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
            runtime.block_on(async {
                let mut wire = BytesMut::new();
                for (id, (length, _)) in frames.iter().enumerate() {
                    let message = GatewayToWorker::Cancel { id: id as u64, reason: None };
                    encode_frame(&message, &vec![id as u8; *length], &mut wire).expect("encodes");
                }
                let (mut ours, theirs) = tokio::io::duplex(cut);
                let writer = async { ours.write_all(&wire).await.expect("written"); drop(ours); };
                let reader = async {
                    let mut receiver = Receiver::<GatewayToWorker, _>::new(theirs, MAX_PAYLOAD);
                    for (id, (length, wanted)) in frames.iter().enumerate() {
                        let expected = GatewayToWorker::Cancel { id: id as u64, reason: None };
                        let (message, payload) = match receiver.next_part().await.expect("a frame") {
                            Some(Part::Whole(message, payload)) => (message, payload),
                            Some(Part::Large(message, announced)) => {
                                assert!(announced == *length && announced > LARGE);
                                let payload = receiver.payload(*wanted).await.expect("a payload");
                                assert!(payload.len() == if *wanted { *length } else { 0 });
                                (message, payload)
                            }
                            None => panic!("not the end"),
                        };
                        assert_eq!(message, expected);
                        assert!(payload.iter().all(|byte| *byte == id as u8));
                        assert!(*length > LARGE || payload.len() == *length);
                    }
                    assert!(receiver.next_part().await.expect("a clean end").is_none());
                };
                tokio::join!(writer, reader);
            });
        }
    }
}
