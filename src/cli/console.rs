//! Where commands write.

use std::{
    fmt,
    io::{self, IsTerminal, Read, Write},
    time::{Duration, Instant},
};

use super::{
    human::{duration, one_line, printable},
    style::Style,
    table::cut,
};

/// A wait that takes less than this is not commented on.
pub(crate) const QUIET: Duration = Duration::from_secs(1);

/// Most bytes of an answer.
const MAX_ANSWER: usize = 4096;

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
    /// How texts on `out` look.
    pub(crate) style: Style,
    /// Whether somebody can answer questions on `input`.
    pub input_is_terminal: bool,
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
            style: Style::of(width.is_some()),
            err_is_terminal: io::stderr().is_terminal(),
            input_is_terminal: io::stdin().is_terminal() && io::stderr().is_terminal(),
        }
    }

    /// A line on stderr. It may have no reader, which changes nothing. Control characters in it move no cursor.
    pub(crate) fn remark(&mut self, text: impl fmt::Display) {
        let _ = writeln!(self.err, "{}", printable(&text.to_string()));
    }

    /// Asks whoever is there; without anybody the answer is `default`.
    pub(crate) fn confirm(&mut self, question: &str, default: bool) -> io::Result<bool> {
        let choice = if default { "[Y/n]" } else { "[y/N]" };
        let Some(answer) = self.ask(&format!("{question} {choice} "))? else {
            return Ok(default && !self.input_is_terminal);
        };
        Ok(match answer.to_ascii_lowercase().as_str() {
            "" => default,
            "y" | "yes" => true,
            _ => false,
        })
    }

    /// Asks for a line; `None`: there is nobody to answer, or they gave none.
    pub(crate) fn ask(&mut self, question: &str) -> io::Result<Option<String>> {
        if !self.input_is_terminal {
            return Ok(None);
        }
        write!(self.err, "{}", printable(question))?;
        self.err.flush()?;
        let mut line = Vec::new();
        let mut byte = [0_u8];
        while line.len() < MAX_ANSWER && self.input.read(&mut byte)? == 1 {
            if byte[0] == b'\n' {
                return Ok(Some(String::from_utf8_lossy(&line).trim().to_owned()));
            }
            line.push(byte[0]);
        }
        writeln!(self.err)?;
        Ok(None)
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
