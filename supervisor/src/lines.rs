//! Bounded lines of a child's stderr.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt};

/// Longest line; a longer one is cut into several.
const MAX_LINE: usize = 8 * 1024;

/// Reads lines; a writer that sends no line break cannot make it grow.
#[derive(Debug)]
pub(crate) struct Lines<R> {
    io: R,
    buffer: Vec<u8>,
}

impl<R: AsyncRead + Unpin> Lines<R> {
    /// Of `io`.
    pub(crate) fn new(io: R) -> Self {
        Self { io, buffer: Vec::new() }
    }

    /// The next line; `None` at the end. Cancel safe.
    pub(crate) async fn next(&mut self) -> io::Result<Option<String>> {
        loop {
            let searched = &self.buffer[..self.buffer.len().min(MAX_LINE)];
            let (line, rest) = match searched.iter().position(|byte| *byte == b'\n') {
                Some(end) => (end, end + 1),
                None if self.buffer.len() >= MAX_LINE => (MAX_LINE, MAX_LINE),
                None if self.io.read_buf(&mut self.buffer).await? > 0 => continue,
                None if self.buffer.is_empty() => return Ok(None),
                None => (self.buffer.len(), self.buffer.len()),
            };
            let text = String::from_utf8_lossy(&self.buffer[..line]).into_owned();
            self.buffer.drain(..rest);
            return Ok(Some(text));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn lines_are_cut_at_the_bound_and_the_last_needs_no_line_break() {
        let text = format!("one\n\n{}\nlast", "x".repeat(MAX_LINE + 5));
        let mut lines = Lines::new(text.as_bytes());
        let mut lengths = Vec::new();
        while let Some(line) = lines.next().await.expect("memory does not fail") {
            lengths.push(line.len());
        }
        assert_eq!(lengths, [3, 0, MAX_LINE, 5, 4]);
    }
}
