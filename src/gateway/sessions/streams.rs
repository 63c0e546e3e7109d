//! The Streamable HTTP streams of one session: the one for messages that belong to no request, and those of requests.

use std::{
    cell::RefCell,
    rc::Rc,
    time::{Duration, Instant},
};

use super::{
    event_id::{EventId, StreamKind},
    reader::Reader,
    replay_budget::ReplayBudget,
    replay_buffer::Bounds,
    stream::Stream,
};

/// Most streams of answered calls that one session keeps.
const MAX_ANSWERED: usize = 64;

/// The streams of one session of Streamable HTTP: one for what belongs to no request, and one for each call that is
/// answered by a stream.
#[derive(Default)]
pub(crate) struct Streams {
    listening: RefCell<Option<Rc<Stream>>>,
    answering: RefCell<Vec<Rc<Stream>>>,
}

/// How a client begins to listen.
pub(crate) struct Listened {
    /// The stream that it reads.
    pub(crate) reader: Reader,
    /// It may have missed something that is not on the stream.
    pub(crate) lost: bool,
}

impl Streams {
    /// Lets a client listen: after that event, if it is on the stream we have, else to a new stream. A stream that was
    /// read until now ends (MCP allows us one).
    pub(crate) fn listen(
        &self,
        replay_budget: &Rc<ReplayBudget>,
        bounds: Bounds,
        after: Option<EventId>,
        prime: bool,
    ) -> Listened {
        let old = self.listening.borrow().clone();
        if let (Some(id), Some(stream)) = (after, &old)
            && id.stream == stream.name()
            && let Some(reader) = stream.read(id.number, false, None)
        {
            return Listened { reader, lost: stream.take_lag() };
        }
        let lost = after.is_some()
            || old.is_some_and(|old| {
                old.end();
                old.take_lag() || old.has_unread()
            });
        let stream = replay_budget.open(StreamKind::Listening, bounds);
        let reader = stream.read(0, prime, None).expect("a new stream is read from its beginning");
        *self.listening.borrow_mut() = Some(stream);
        Listened { reader, lost }
    }

    /// The stream that is being listened to, or was.
    pub(crate) fn listening(&self) -> Option<Rc<Stream>> {
        self.listening.borrow().clone()
    }

    /// Opens a stream for a call.
    pub(crate) fn answer(&self, replay_budget: &Rc<ReplayBudget>, bounds: Bounds) -> Rc<Stream> {
        let mut answering = self.answering.borrow_mut();
        let answered = answering.iter().filter(|stream| stream.is_over());
        if answered.count() >= MAX_ANSWERED
            && let Some(oldest) = answering.iter().position(|stream| stream.is_over())
        {
            answering.remove(oldest);
        }
        let stream = replay_budget.open(StreamKind::Answering, bounds);
        answering.push(stream.clone());
        stream
    }

    /// Reads on in the stream of a call; `None`: it is not kept any more, or never was.
    pub(crate) fn read_on(&self, after: EventId, time: Option<Duration>) -> Option<Reader> {
        let stream = self.answering.borrow().iter().find(|stream| stream.name() == after.stream).cloned()?;
        stream.read(after.number, false, time)
    }

    /// How many of them have a reader.
    pub(crate) fn read(&self) -> usize {
        let answering = self.answering.borrow();
        let listening = self.listening.borrow();
        answering.iter().chain(listening.as_ref()).filter(|stream| stream.has_reader()).count()
    }

    /// When a reader last left.
    pub(crate) fn last_left(&self) -> Option<Instant> {
        let answering = self.answering.borrow();
        let listening = self.listening.borrow();
        answering.iter().chain(listening.as_ref()).map(|stream| stream.left_at()).max()
    }

    /// Forgets streams of calls that were over and left by that moment.
    pub(crate) fn tidy(&self, moment: Instant) {
        self.answering.borrow_mut().retain(|stream| !stream.is_left_since(moment));
    }

    /// Ends the stream that is listened to.
    pub(crate) fn stop_listening(&self) {
        if let Some(stream) = self.listening.borrow_mut().take() {
            stream.end();
        }
    }

    /// Ends all of them.
    pub(crate) fn end(&self) {
        self.stop_listening();
        for stream in self.answering.take() {
            stream.end();
        }
    }
}
