//! Both ends of a text that is too long to be kept. Pure.

use bytes::Bytes;

/// Both ends of a text that is read in pieces and is too long to be kept.
#[derive(Debug)]
pub struct BothEnds {
    keep: usize,
    head: Vec<u8>,
    tail: Vec<u8>,
    len: usize,
}

impl BothEnds {
    /// Of an empty text; `keep` bytes of either end are kept.
    pub fn new(keep: usize) -> Self {
        Self { keep, head: Vec::new(), tail: Vec::new(), len: 0 }
    }

    /// The text goes on with these bytes.
    pub fn absorb(&mut self, bytes: &[u8]) {
        self.len += bytes.len();
        let room = self.keep - self.head.len();
        self.head.extend_from_slice(&bytes[..bytes.len().min(room)]);
        let fresh = &bytes[bytes.len().saturating_sub(self.keep)..];
        let surplus = (self.tail.len() + fresh.len()).saturating_sub(self.keep);
        self.tail.drain(..surplus.min(self.tail.len()));
        self.tail.extend_from_slice(fresh);
    }

    /// The first bytes, the last bytes, and how long it was.
    pub fn into_parts(self) -> (Bytes, Bytes, usize) {
        (self.head.into(), self.tail.into(), self.len)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_ends_are_those_of_the_whole_text_however_it_is_cut(
            text in prop::collection::vec(any::<u8>(), 0..60), cut in 1usize..9, keep in 0usize..12,
        ) {
            let mut ends = BothEnds::new(keep);
            text.chunks(cut).for_each(|piece| ends.absorb(piece));
            let (head, tail, len) = ends.into_parts();
            prop_assert_eq!(&head[..], &text[..keep.min(text.len())]);
            prop_assert_eq!(&tail[..], &text[text.len().saturating_sub(keep)..]);
            prop_assert_eq!(len, text.len());
        }
    }
}
