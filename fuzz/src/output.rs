//! A server's stdout: lines of any kind in pieces of any size.

use crate::{
    split_choice,
    worker::lines::{ServerLine, Splitter, printable},
};

const KEEP: usize = 8;

/// The first two bytes say how long a line may be and how the stream is cut.
pub(crate) fn target(data: &[u8]) {
    let (max, rest) = split_choice(data);
    let (cut, stream) = split_choice(rest);
    let max = usize::from(max) + 1;
    let lines = split(stream, usize::from(cut) + 1, max);
    assert_eq!(lines, split(stream, usize::MAX, max), "the lines depend on how the stream is cut");
    for line in &lines {
        match line {
            ServerLine::Text(text) => {
                assert!(!text.is_empty() && text.len() <= max);
                assert!(!text.contains(&b'\n'));
            }
            ServerLine::TooLong { head, tail, len } => {
                assert!(*len > max && head.len() <= KEEP && tail.len() <= KEEP);
            }
        }
    }
    let shown = printable(stream, max);
    assert!(shown.chars().all(|c| c == '\t' || !c.is_control()), "a terminal would obey {shown:?}");
}

fn split(stream: &[u8], cut: usize, max: usize) -> Vec<ServerLine> {
    let mut splitter = Splitter::new(max, KEEP);
    let mut lines = Vec::new();
    for chunk in stream.chunks(cut) {
        splitter.space();
        splitter.push(chunk);
        lines.extend(std::iter::from_fn(|| splitter.next()));
    }
    lines.extend(splitter.finish());
    splitter.clear();
    lines
}
