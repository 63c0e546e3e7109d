//! A message in one piece, or in several that need not be put together: what is large is written as it came.

use bytes::{Bytes, BytesMut};
use mcproxy_mcp::{ErrorCode, RequestId, error_object, write_error_response};

use super::budget::{Budget, Purpose, SMALL};

/// A JSON-RPC message.
#[derive(Debug, Clone)]
pub(crate) struct Pieces {
    pieces: Kind,
    /// How many of its bytes are not shared with other messages.
    own: usize,
}

#[derive(Debug, Clone)]
enum Kind {
    One(Bytes),
    Many(Vec<Bytes>),
}

impl Pieces {
    /// Something large with what comes before and after it.
    pub(crate) fn around(before: Vec<u8>, large: Bytes, after: &'static [u8]) -> Self {
        let own = before.len() + large.len();
        Self { pieces: Kind::Many(vec![before.into(), large, Bytes::from_static(after)]), own }
    }

    /// The same of something that others hold, too.
    pub(crate) fn around_shared(before: Vec<u8>, large: Bytes, after: &'static [u8]) -> Self {
        let own = before.len();
        Self { own, ..Self::around(before, large, after) }
    }

    /// A JSON array of messages.
    pub(crate) fn array(messages: Vec<Self>) -> Self {
        const OPEN: Bytes = Bytes::from_static(b"[");
        const NEXT: Bytes = Bytes::from_static(b",");
        const CLOSE: Bytes = Bytes::from_static(b"]");
        let own = messages.iter().map(|message| message.own).sum();
        let mut pieces = vec![OPEN];
        for message in messages {
            if pieces.len() > 1 {
                pieces.push(NEXT);
            }
            pieces.extend(message);
        }
        pieces.push(CLOSE);
        Self { pieces: Kind::Many(pieces), own }
    }

    /// How long it is, in bytes.
    pub(crate) fn len(&self) -> usize {
        match &self.pieces {
            Kind::One(piece) => piece.len(),
            Kind::Many(pieces) => pieces.iter().map(Bytes::len).sum(),
        }
    }

    /// How many bytes are given back when it is dropped.
    pub(crate) fn own(&self) -> usize {
        self.own
    }

    /// All of it in one piece. Where there is no room for the copy of a large one: an error in its place, for the request of that
    /// id (without one, for none that could be named).
    pub(crate) fn join(self, budget: &Budget, id: Option<&RequestId>) -> Bytes {
        let length = self.len();
        let pieces = match self.pieces {
            Kind::One(piece) => return piece,
            Kind::Many(pieces) => pieces,
        };
        let held = match (length > SMALL).then(|| budget.take(Purpose::Answers, length)).transpose() {
            Ok(held) => held,
            Err(full) => {
                let mut out = Vec::new();
                write_error_response(&mut out, id, error_object(ErrorCode::INTERNAL_ERROR, full).get());
                return out.into();
            }
        };
        let mut whole = BytesMut::with_capacity(length);
        pieces.iter().for_each(|piece| whole.extend_from_slice(piece));
        match held {
            Some(held) => held.attach(whole.freeze()),
            None => whole.freeze(),
        }
    }
}

impl From<Bytes> for Pieces {
    fn from(piece: Bytes) -> Self {
        let own = piece.len();
        Self { pieces: Kind::One(piece), own }
    }
}

impl From<Vec<u8>> for Pieces {
    fn from(piece: Vec<u8>) -> Self {
        Bytes::from(piece).into()
    }
}

impl IntoIterator for Pieces {
    type Item = Bytes;
    type IntoIter = std::iter::Chain<std::option::IntoIter<Bytes>, std::vec::IntoIter<Bytes>>;

    fn into_iter(self) -> Self::IntoIter {
        let (one, many) = match self.pieces {
            Kind::One(piece) => (Some(piece), Vec::new()),
            Kind::Many(pieces) => (None, pieces),
        };
        one.into_iter().chain(many)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_the_same_in_pieces_and_joined_and_costs_what_is_its_own() {
        let budget = Budget::new(1 << 20);
        let page = Bytes::from(vec![b'1'; 100_000]);
        let list = || Pieces::around_shared(b"{\"id\":1,\"result\":".to_vec(), page.clone(), b"}");
        let call = Pieces::around(b"{".to_vec(), page.clone(), b"}");
        assert_eq!((call.own(), call.len(), list().own()), (100_001, 100_002, 17));
        let batch = Pieces::array(vec![list(), Bytes::from_static(b"{}").into(), list()]);
        assert_eq!(batch.own(), 36);
        let pieces: Vec<Bytes> = batch.clone().into_iter().collect();
        let joined = batch.join(&budget, None);
        assert_eq!(joined, pieces.concat());
        assert_eq!(budget.held(Purpose::Answers), joined.len());
        budget.set_total(150_000);
        let error = list().join(&budget, Some(&RequestId::from(7)));
        let error = std::str::from_utf8(&error).expect("text");
        assert!(error.contains("\"id\":7") && error.contains("limits.totalBuffered"), "{error}");
    }
}
