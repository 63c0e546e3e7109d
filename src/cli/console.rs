//! Where commands write.

use std::{
    fmt,
    io::{self, IsTerminal, Read, Write},
    time::{Duration, Instant},
};

use super::{
    human::{duration, one_line, printable},
    table::cut,
};

/// A wait that takes less than this is not commented on.
pub(crate) const QUIET: Duration = Duration::from_secs(1);

/// The input and output of a command; tests put buffers in.
pub struct Console {
    /// Data.
    pub out: Box<dyn Write + Send>,
    /// Everything else: errors, progress.
    pub err: Box<dyn Write + Send>,
    /// For `call --args -` and `connect`.
    pub input: Box<dyn Read + Send>,
    /// Columns of the terminal that `out` is; `None` when it is a file or a pipe.
    pub width: Option<usize>,
    /// Whether `err` is a terminal, whose last line may be written over.
    pub err_is_terminal: bool,
}

impl Console {
    /// The process's own standard streams.
    pub fn standard() -> Self {
        let width = io::stdout().is_terminal().then(|| {
            let size = rustix::termios::tcgetwinsize(io::stdout()).ok();
            size.map(|s| usize::from(s.ws_col)).filter(|columns| *columns > 0).unwrap_or(80)
        });
        Self {
            out: Box::new(io::stdout()),
            err: Box::new(io::stderr()),
            input: Box::new(io::stdin()),
            width,
            err_is_terminal: io::stderr().is_terminal(),
        }
    }

    /// A line on stderr. It may have no reader, which changes nothing. Control characters in it move no cursor.
    pub(crate) fn remark(&mut self, text: impl fmt::Display) {
        let _ = writeln!(self.err, "{}", printable(&text.to_string()));
    }

    /// Shows what is being waited for, as the last line of the terminal; an empty text takes it away. Elsewhere nothing.
    pub(crate) fn show_wait(&mut self, text: &str) {
        if self.err_is_terminal {
            let width = self.width.unwrap_or(80).saturating_sub(1);
            // Back to the beginning of the line, and nothing behind it.
            let _ = write!(self.err, "\r\x1b[K{}", cut(&one_line(text), Some(width)));
            let _ = self.err.flush();
        }
    }

    /// Waits, and says on a terminal what for and since when.
    pub(crate) async fn waiting<T>(&mut self, what: &str, waited: impl Future<Output = T>) -> T {
        let mut waited = std::pin::pin!(waited);
        let begun = Instant::now();
        loop {
            tokio::select! {
                done = &mut waited => {
                    if begun.elapsed() >= QUIET {
                        self.show_wait("");
                    }
                    return done;
                }
                () = tokio::time::sleep(QUIET) => self.show_wait(&format!("{what} … {}", duration(begun.elapsed()))),
            }
        }
    }
}

impl fmt::Debug for Console {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Console").field("width", &self.width).finish_non_exhaustive()
    }
}
