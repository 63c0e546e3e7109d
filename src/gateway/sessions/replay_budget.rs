//! The memory of all streams of all sessions for clients that come back.

use std::{
    cell::{Cell, RefCell},
    collections::VecDeque,
    rc::{Rc, Weak},
    time::Instant,
};

use mcproxy_ipc::Generation;

use super::{
    event_id::{StreamKind, StreamName},
    replay_buffer::Bounds,
    stream::Stream,
};

/// Opens streams and bounds what all of them keep together.
pub(crate) struct ReplayBudget {
    gateway: Generation,
    opened: Cell<u64>,
    bytes: Cell<usize>,
    bound: Cell<usize>,
    /// Streams that were left, longest ago first: these are emptied first.
    left: RefCell<VecDeque<Weak<Stream>>>,
}

impl ReplayBudget {
    /// The budget of the gateway of that generation.
    pub(crate) fn new(gateway: Generation) -> Rc<Self> {
        let (opened, bytes, bound) = (Cell::new(0), Cell::new(0), Cell::new(usize::MAX));
        Rc::new(Self { gateway, opened, bytes, bound, left: RefCell::default() })
    }

    /// From now on all streams together keep at most so much.
    pub(crate) fn set_bound(&self, bytes: usize) {
        self.bound.set(bytes);
    }

    /// Opens a stream.
    pub(crate) fn open(self: &Rc<Self>, kind: StreamKind, bounds: Bounds) -> Rc<Stream> {
        self.opened.set(self.opened.get() + 1);
        let name = StreamName::new(kind, self.gateway.0, self.opened.get());
        Rc::new(Stream::new(name, bounds, self.clone(), Instant::now()))
    }

    /// The bytes that all streams keep.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes.get()
    }

    /// Whether so much more is within the bound, as streams without a reader make room for it.
    pub(super) fn has_room(&self, bytes: usize) -> bool {
        self.bytes.get() + bytes <= self.bound.get() || !self.left.borrow().is_empty()
    }

    /// The stream has no reader now.
    pub(super) fn left(&self, stream: &Rc<Stream>) {
        self.left.borrow_mut().push_back(Rc::downgrade(stream));
    }

    /// Forgets streams that are gone.
    pub(crate) fn tidy(&self) {
        self.left.borrow_mut().retain(|stream| stream.strong_count() > 0);
    }

    /// The size of what a stream keeps has changed.
    pub(super) fn account(&self, before: usize, after: usize) {
        self.bytes.set(self.bytes.get() - before + after);
    }

    /// Empties streams without a reader, and as the last resort this one, until all is within the bound.
    pub(super) fn keep_within_bounds(&self, current: &Stream) {
        while self.bytes.get() > self.bound.get() {
            let next = self.left.borrow_mut().pop_front();
            match next {
                Some(stream) => {
                    if let Some(stream) = stream.upgrade().filter(|stream| !stream.has_reader()) {
                        stream.shrink();
                    }
                }
                None => return current.shrink(),
            }
        }
    }
}
