//! The reader of a stream, for one HTTP response.

use std::{
    pin::Pin,
    rc::Rc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use tokio::time::{Sleep, sleep};

use super::{
    event_id::{EventId, StreamKind},
    replay_buffer::Lookup,
    stream::Stream,
};

/// An item for a reader.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// Nothing but an id to come back with.
    Prime(EventId),
    /// A message.
    Message(EventId, Bytes),
}

/// The reading end, for one HTTP response.
pub(crate) struct Reader {
    stream: Rc<Stream>,
    number: u64,
    /// The event to be read next.
    at: u64,
    prime: bool,
    /// It has not begun to read, so it cannot have fallen behind.
    fresh: bool,
    time: Option<Pin<Box<Sleep>>>,
}

impl Reader {
    /// Use [`Stream::read`].
    pub(super) fn new(stream: &Rc<Stream>, number: u64, at: u64, prime: bool, time: Option<Duration>) -> Self {
        let time = time.map(|time| Box::pin(sleep(time)));
        Self { stream: stream.clone(), number, at, prime, fresh: true, time }
    }

    /// Skips what is not there any more; whether there was such.
    pub(crate) fn catch_up(&mut self) -> bool {
        match self.stream.buffer.borrow().get(self.at) {
            Lookup::Gone { oldest } => {
                self.at = oldest;
                true
            }
            Lookup::Event(_) | Lookup::NotYet => false,
        }
    }

    /// The next event; `None` at the end of the stream, or of this reader's time with it.
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Option<Event>> {
        let stream = &self.stream;
        if stream.reader.get() != Some(self.number) {
            return Poll::Ready(None);
        }
        if std::mem::take(&mut self.prime) {
            return Poll::Ready(Some(Event::Prime(stream.name().event(0))));
        }
        let mut buffer = stream.buffer.borrow();
        if self.at >= buffer.next() && stream.shares.borrow().has_lost() {
            drop(buffer);
            stream.tell_lost();
            buffer = stream.buffer.borrow();
        }
        if let Lookup::Gone { oldest } = buffer.get(self.at) {
            // Of a call its client misses progress, nothing else. What belongs to no call could have been anything.
            if stream.name().kind() == StreamKind::Listening {
                stream.lagged.set(true);
                if !self.fresh {
                    return Poll::Ready(None);
                }
            }
            self.at = oldest;
        }
        self.fresh = false;
        match buffer.get(self.at) {
            Lookup::Event(message) => {
                let id = stream.name().event(self.at);
                self.at += 1;
                stream.read_to.set(self.at);
                Poll::Ready(Some(Event::Message(id, message)))
            }
            Lookup::Gone { .. } | Lookup::NotYet if stream.ended.get() => Poll::Ready(None),
            Lookup::Gone { .. } | Lookup::NotYet => {
                if let Some(time) = &mut self.time
                    && time.as_mut().poll(context).is_ready()
                {
                    return Poll::Ready(None);
                }
                *stream.waker.borrow_mut() = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }
}

impl futures_util::Stream for Reader {
    type Item = Event;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Event>> {
        self.poll(context)
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.stream.leave(self.number);
    }
}
