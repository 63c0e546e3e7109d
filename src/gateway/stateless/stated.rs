//! A header that is there once, not at all, or more often than it can mean something.

/// What a request's headers say under one name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stated<'r> {
    /// Nothing.
    Nothing,
    /// This.
    Once(&'r str),
    /// More than one thing, or something that is not text: whoever else reads it may see something else.
    Unclear,
}
