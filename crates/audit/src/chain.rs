//! The chain: each line has a number and the hash of the one before.

use data_encoding::HEXLOWER;
use serde::Deserialize;
use sha2::{Digest, Sha256};

/// Where a chain has come to: what the next line must say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChainHead {
    /// Its number.
    pub next: u64,
    /// The hash of the line before; zeros before the first.
    pub hash: [u8; 32],
}

impl Default for ChainHead {
    fn default() -> Self {
        Self { next: 1, hash: [0; 32] }
    }
}

impl ChainHead {
    /// Of a trail whose last line is this one; `None`: it is none of ours.
    pub fn after(line: &[u8]) -> Option<Self> {
        let Link { n, .. } = serde_json::from_slice(line).ok()?;
        Some(Self { next: n.checked_add(1)?, hash: Sha256::digest(line).into() })
    }

    /// A line was written.
    pub(crate) fn pass(&mut self, line: &[u8]) {
        *self = Self { next: self.next.saturating_add(1), hash: Sha256::digest(line).into() };
    }
}

/// What of a line makes it one of a chain.
#[derive(Deserialize)]
struct Link {
    n: u64,
    prev: String,
    #[serde(default)]
    dropped: u64,
}

/// Why a line is not the one that was written there.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Broken {
    /// It is none of ours.
    #[error("this is no line of an audit file")]
    NoLine,
    /// Its number is another.
    #[error("this line is number {found}, where {expected} is expected: lines were removed, put in or moved")]
    Number {
        /// It says so.
        found: u64,
        /// It would be this one.
        expected: u64,
    },
    /// The line before has another hash than this one says.
    #[error("line {0} was changed, removed or put in: the next one knows another")]
    Before(u64),
}

/// Reads a chain from some line on.
#[derive(Debug, Default)]
pub struct ChainReader {
    head: Option<ChainHead>,
    /// The number of the first line that was read.
    pub first: Option<u64>,
    /// How many lines were read.
    pub lines: u64,
    /// How many calls have no line, as the lines say.
    pub dropped: u64,
}

impl ChainReader {
    /// Takes the next line, without its end. The first one may have any number: lines before it may have been deleted in order.
    ///
    /// # Errors
    /// It does not follow the one before.
    pub fn next(&mut self, line: &[u8]) -> Result<(), Broken> {
        let link: Link = serde_json::from_slice(line).map_err(|_| Broken::NoLine)?;
        if let Some(head) = self.head {
            if link.n != head.next {
                return Err(Broken::Number { found: link.n, expected: head.next });
            }
            if link.prev != hex(&head.hash) {
                return Err(Broken::Before(head.next - 1));
            }
        } else if link.n == 1 && link.prev != hex(&[0; 32]) {
            return Err(Broken::Before(0));
        }
        self.first.get_or_insert(link.n);
        self.lines += 1;
        self.dropped = self.dropped.saturating_add(link.dropped);
        self.head = ChainHead::after(line);
        Ok(())
    }

    /// Where it has come to; `None`: no line was read.
    pub fn head(&self) -> Option<ChainHead> {
        self.head
    }
}

/// In hexadecimal digits.
pub(crate) fn hex(hash: &[u8; 32]) -> String {
    HEXLOWER.encode(hash)
}

#[cfg(test)]
mod tests {
    use mcproxy_ipc::AuditRecord;
    use proptest::prelude::*;

    use super::*;
    use crate::write_line;

    fn record(name: &str) -> AuditRecord {
        AuditRecord {
            approval: None,
            at_ms: 1_795_432_377_123,
            principal: Some("ann".to_owned()),
            client: None,
            session: "none".to_owned(),
            endpoint: "all".to_owned(),
            server: "a".to_owned(),
            method: "tools/call".to_owned(),
            name: name.to_owned(),
            definition: None,
            arguments_sha256: [7; 32],
            arguments_bytes: 2,
            arguments: Some("{\"a\":1}".to_owned()),
            outcome: "result".to_owned(),
            reason: String::new(),
            result_bytes: 3,
            duration_us: 1500,
        }
    }

    fn lines(count: usize) -> Vec<Vec<u8>> {
        let (mut out, mut head) = (Vec::new(), ChainHead::default());
        (0..count).for_each(|n| write_line(&mut out, &mut head, &record(&format!("t{n}")), 0));
        out.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).map(<[u8]>::to_vec).collect()
    }

    fn verify(lines: &[Vec<u8>]) -> Result<ChainReader, Broken> {
        let mut reader = ChainReader::default();
        lines.iter().try_for_each(|line| reader.next(line))?;
        Ok(reader)
    }

    #[test]
    fn a_line_is_json_with_what_was_called_and_how_it_went() {
        let line: serde_json::Value = serde_json::from_slice(&lines(1)[0]).expect("JSON");
        assert_eq!(line["n"], 1);
        assert_eq!(line["prev"], hex(&[0; 32]));
        assert_eq!((&line["at"], &line["durationMs"]), (&"2026-11-23T11:12:57.123Z".into(), &1.5.into()));
        assert_eq!((&line["arguments"]["a"], &line["argumentsSha256"]), (&1.into(), &hex(&[7; 32]).into()));
        assert!(line.get("reason").is_none() && line.get("dropped").is_none());
    }

    #[test]
    fn a_trail_goes_on_after_its_last_line_and_may_begin_anywhere() {
        let lines = lines(5);
        let head = ChainHead::after(&lines[4]).expect("one of ours");
        assert_eq!(head.next, 6);
        assert_eq!(verify(&lines).expect("whole").head(), Some(head));
        let later = verify(&lines[2..]).expect("the first ones were rotated away");
        assert_eq!((later.first, later.lines), (Some(3), 3));
        assert_eq!(ChainHead::after(b"{}"), None);
    }

    proptest! {
        #[test]
        fn a_line_that_is_removed_changed_or_moved_shows(count in 3_usize..12, at in 0_usize..12, byte in 0_usize..400) {
            let whole = lines(count);
            prop_assert!(verify(&whole).is_ok());
            // The last line has none after it that would know.
            let at = at % (count - 1);
            let mut removed = whole.clone();
            removed.remove(at);
            prop_assert!(at == 0 || verify(&removed).is_err());
            let mut moved = whole.clone();
            moved.swap(at, at + 1);
            prop_assert!(verify(&moved).is_err());
            let mut changed = whole.clone();
            let byte = byte % changed[at].len();
            changed[at][byte] ^= 1;
            prop_assert!(verify(&changed).is_err());
            let mut twice = whole;
            twice.insert(at, twice[at].clone());
            prop_assert!(verify(&twice).is_err());
        }

        #[test]
        fn any_bytes_are_read_or_refused(line in prop::collection::vec(any::<u8>(), 0..80)) {
            let _ = ChainReader::default().next(&line);
            let _ = ChainHead::after(&line);
        }
    }
}
