//! A bounded queue between tasks of the HTTP thread.

use std::{
    cell::{Cell, RefCell},
    collections::VecDeque,
};

use tokio::sync::Notify;

/// A bounded queue between tasks of the HTTP thread: one allocation, no lock, and its two ends are the same value behind
/// an `Rc`. Each call has two of them, which is why they are not channels.
pub(crate) struct Queue<T> {
    items: RefCell<VecDeque<T>>,
    /// The size of all of them, in bytes.
    bytes: Cell<usize>,
    bound: usize,
    most_bytes: usize,
    size: fn(&T) -> usize,
    news: Notify,
    /// Whether [`Queue::ready`] returns even without an item.
    hurried: Cell<bool>,
}

impl<T> Queue<T> {
    /// Holds at most `bound` items of `most_bytes` together, or one that is larger; `size` says what one is.
    pub(crate) fn new(bound: usize, most_bytes: usize, size: fn(&T) -> usize) -> Self {
        let (items, bytes) = (RefCell::default(), Cell::new(0));
        Self { items, bytes, bound, most_bytes, size, news: Notify::new(), hurried: Cell::new(false) }
    }

    /// Adds an item, or drops it when the reader is too far behind.
    pub(crate) fn push(&self, item: T) {
        let waiting = self.items.borrow().len();
        let fits = waiting == 0 || self.bytes.get().saturating_add((self.size)(&item)) <= self.most_bytes;
        if waiting < self.bound && fits {
            self.push_last(item);
        }
    }

    /// Adds the item after which there are no more: it always finds room.
    pub(crate) fn push_last(&self, item: T) {
        self.bytes.set(self.bytes.get() + (self.size)(&item));
        self.items.borrow_mut().push_back(item);
        self.news.notify_one();
    }

    /// The next item, if there is one.
    pub(crate) fn pop(&self) -> Option<T> {
        let item = self.items.borrow_mut().pop_front()?;
        self.bytes.set(self.bytes.get() - (self.size)(&item));
        Some(item)
    }

    /// Whether nothing waits in it.
    pub(crate) fn is_empty(&self) -> bool {
        self.items.borrow().is_empty()
    }

    /// Ends the wait of [`Queue::ready`], now or when it begins.
    pub(crate) fn hurry(&self) {
        self.hurried.set(true);
        self.news.notify_one();
    }

    /// Waits until there is an item, and leaves it there, or until the wait is ended. Cancel safe; one task may wait.
    pub(crate) async fn ready(&self) {
        while self.is_empty() && !self.hurried.get() {
            self.news.notified().await;
        }
    }

    /// Waits for the next item. Cancel safe; one task may wait.
    pub(crate) async fn next(&self) -> T {
        loop {
            if let Some(item) = self.pop() {
                return item;
            }
            self.news.notified().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{rc::Rc, time::Duration};

    use super::*;

    #[tokio::test]
    async fn a_reader_that_waits_is_woken_and_misses_nothing_within_the_bound() {
        let queue = Rc::new(Queue::new(4, 100, |_| 1));
        let writer = queue.clone();
        let read = async {
            let mut all = Vec::new();
            while all.last() != Some(&99) {
                all.push(queue.next().await);
            }
            all
        };
        let write = async {
            for item in [1, 2, 3] {
                writer.push(item);
                tokio::task::yield_now().await;
            }
            writer.push_last(99);
        };
        let both = async { tokio::join!(read, write) };
        let (all, ()) = tokio::time::timeout(Duration::from_secs(5), both).await.expect("in time");
        assert_eq!(all, [1, 2, 3, 99]);
    }

    #[tokio::test]
    async fn a_wait_that_is_ended_leaves_the_queue_as_it_is() {
        let queue = Queue::<u8>::new(1, 1, |_| 1);
        queue.hurry();
        tokio::time::timeout(Duration::from_secs(5), queue.ready()).await.expect("ended");
        assert!(queue.is_empty());
    }

    #[test]
    fn beyond_the_bound_items_are_dropped_but_the_last_has_room() {
        let queue = Queue::new(2, 100, |_| 1);
        (0..5).for_each(|item| queue.push(item));
        queue.push_last(99);
        assert_eq!(std::iter::from_fn(|| queue.pop()).collect::<Vec<_>>(), [0, 1, 99]);
    }

    #[test]
    fn items_are_bounded_in_bytes_and_one_that_is_too_large_is_alone() {
        let queue = Queue::new(10, 100, |item: &usize| *item);
        [60, 50, 40, 1].into_iter().for_each(|item| queue.push(item));
        assert_eq!(std::iter::from_fn(|| queue.pop()).collect::<Vec<_>>(), [60, 40]);
        [500, 1].into_iter().for_each(|item| queue.push(item));
        assert_eq!(std::iter::from_fn(|| queue.pop()).collect::<Vec<_>>(), [500]);
        queue.push(100);
        assert_eq!(queue.pop(), Some(100));
    }
}
