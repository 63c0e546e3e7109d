//! Where requests begin and end among the bytes of a connection.

use crate::{gateway::framing::Framing, split_choice};

/// The first byte says in what pieces the others come.
pub(crate) fn target(data: &[u8]) {
    let (choice, data) = split_choice(data);
    let mut whole = data.to_vec();
    let mut framing = Framing::new();
    let heads = framing.take(&mut whole);
    // How they are cut makes no difference.
    let mut pieces = data.to_vec();
    let mut again = Framing::new();
    let counted: u32 = pieces.chunks_mut(usize::from(choice).max(1)).map(|piece| again.take(piece)).sum();
    assert_eq!((heads, framing.is_in_head()), (counted, again.is_in_head()));
    assert_eq!(whole, pieces);
    // No more is changed than the last letter of that option, and the first of that field's value.
    for (at, (old, new)) in data.iter().zip(&whole).enumerate().filter(|(_, (old, new))| old != new) {
        let option = data[..=at].to_ascii_lowercase().ends_with(b"upgrade");
        let value = data[..at].to_ascii_lowercase().trim_ascii_end().ends_with(b"upgrade:");
        assert!(*new == b'-' && (option || value), "{old} became {new}");
    }
}
