//! Stdin of `mcproxy connect`: lines, read by a thread of its own.

use std::io::{BufRead, BufReader, Read};

use tokio::sync::mpsc;

/// Longest line from the client, in bytes.
const MAX_LINE: usize = 16 * 1024 * 1024;

/// One line of the client.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum ClientLine {
    /// Without its end.
    Text(Vec<u8>),
    /// It was over the limit and was skipped.
    TooLong,
}

/// Reads lines until the end. The reading blocks, so it has a thread, which is left behind when no more lines are wanted.
pub(super) fn read(input: Box<dyn Read + Send>) -> mpsc::Receiver<ClientLine> {
    // One line waits while one is being sent: each may be large.
    let (sender, receiver) = mpsc::channel(1);
    std::thread::spawn(move || {
        let mut input = BufReader::with_capacity(64 * 1024, input);
        while let Some(line) = next(&mut input, MAX_LINE) {
            if sender.blocking_send(line).is_err() {
                break;
            }
        }
    });
    receiver
}

/// The next line; `None` at the end. A read error is an end too.
fn next(input: &mut impl BufRead, max: usize) -> Option<ClientLine> {
    let mut line = Vec::new();
    let mut too_long = false;
    let mut any = false;
    loop {
        let chunk = match input.fill_buf() {
            Ok(chunk) => chunk,
            Err(e) if e.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(_) => return None,
        };
        let end = memchr::memchr(b'\n', chunk);
        let part = &chunk[..end.unwrap_or(chunk.len())];
        any |= !chunk.is_empty();
        too_long |= line.len() + part.len() > max;
        if too_long {
            line = Vec::new();
        } else {
            line.extend_from_slice(part);
        }
        let is_last = chunk.is_empty();
        let used = end.map_or(part.len(), |end| end + 1);
        input.consume(used);
        if end.is_some() || is_last {
            return any.then_some(if too_long { ClientLine::TooLong } else { ClientLine::Text(line) });
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn all(text: &str, max: usize, buffer: usize) -> Vec<ClientLine> {
        let mut input = BufReader::with_capacity(buffer, text.as_bytes());
        std::iter::from_fn(|| next(&mut input, max)).collect()
    }

    proptest! {
        #[test]
        fn lines_are_the_same_however_reads_are_cut(text in "[ab\n]{0,60}", buffer in 1usize..9) {
            let expected: Vec<ClientLine> = text.lines().map(|l| match l.len() {
                0..=5 => ClientLine::Text(l.into()),
                _ => ClientLine::TooLong,
            }).collect();
            prop_assert_eq!(all(&text, 5, buffer), expected);
        }
    }

    #[test]
    fn a_last_line_without_end_counts() {
        assert_eq!(
            all("a\n\nb", 5, 64),
            [ClientLine::Text(b"a".into()), ClientLine::Text(vec![]), ClientLine::Text(b"b".into())]
        );
        assert_eq!(all("", 5, 64), []);
    }
}
