//! What follows from a thing and is made when it is first needed.

use std::sync::OnceLock;

/// A value that follows from what it is a part of. Since it is no difference between two of those, it equals any other, and a copy
/// makes its own.
#[derive(Debug)]
pub(super) struct Derived<T>(OnceLock<T>);

impl<T> Derived<T> {
    /// The value, made now if it was never needed.
    pub(super) fn get(&self, make: impl FnOnce() -> T) -> &T {
        self.0.get_or_init(make)
    }
}

impl<T> Default for Derived<T> {
    fn default() -> Self {
        Self(OnceLock::new())
    }
}

impl<T> Clone for Derived<T> {
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl<T> PartialEq for Derived<T> {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl<T> Eq for Derived<T> {}
