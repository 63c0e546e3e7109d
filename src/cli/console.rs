use std::{
    fmt,
    io::{self, IsTerminal, Read, Write},
};

/// What a command reads from and writes to; tests put buffers in.
pub struct Console {
    /// Data.
    pub out: Box<dyn Write + Send>,
    /// Everything else: errors, progress.
    pub err: Box<dyn Write + Send>,
    /// For `call --args -` and `connect`.
    pub input: Box<dyn Read + Send>,
    /// Columns of the terminal that `out` is; `None` when it is a file or a pipe.
    pub width: Option<usize>,
}

impl Console {
    /// The process's own standard streams.
    pub fn standard() -> Self {
        let width = io::stdout().is_terminal().then(|| {
            let size = rustix::termios::tcgetwinsize(io::stdout()).ok();
            size.map(|s| usize::from(s.ws_col)).filter(|columns| *columns > 0).unwrap_or(80)
        });
        Self { out: Box::new(io::stdout()), err: Box::new(io::stderr()), input: Box::new(io::stdin()), width }
    }

    /// A line on stderr. Nobody may be reading it, which changes nothing.
    pub(crate) fn remark(&mut self, text: impl fmt::Display) {
        let _ = writeln!(self.err, "{text}");
    }
}

impl fmt::Debug for Console {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Console").field("width", &self.width).finish_non_exhaustive()
    }
}
