//! Log lines for the web page: those that are there, and those that come.

use std::time::{Duration, Instant};

use mcproxy_ipc::{LogLine, control::OwnedLine};
use tokio::sync::broadcast::{Receiver, error::TryRecvError};

use crate::{
    context::Context,
    log_ring::{Followed, LogOwner},
};

/// Lines and bytes of one answer: it has to fit into one frame.
const MAX_LINES: usize = 2000;
const MAX_BYTES: usize = 512 * 1024;
/// Without a question for so long, new lines are not kept for one.
const PATIENCE: Duration = Duration::from_secs(10);

/// The last lines of everything, in the order of their time. `of_gateway`: those of the gateway.
pub(crate) async fn all_lines(context: &Context, of_gateway: Vec<LogLine>, lines: usize) -> Vec<OwnedLine> {
    let lines = lines.min(MAX_LINES);
    let mut all: Vec<OwnedLine> = of_gateway.into_iter().map(|line| OwnedLine { server: None, line }).collect();
    for server in context.servers().iter() {
        let name = &server.name;
        all.extend(server.logs(lines).await.into_iter().map(|line| OwnedLine { server: Some(name.clone()), line }));
    }
    all.sort_by_key(|line| line.line.at_ms);
    bounded(all, lines)
}

/// The last of these that fit into an answer.
fn bounded(mut all: Vec<OwnedLine>, lines: usize) -> Vec<OwnedLine> {
    let mut bytes = 0;
    let fitting = all.iter().rev().take(lines).take_while(|line| {
        bytes += line.line.text.len();
        bytes <= MAX_BYTES
    });
    let kept = fitting.count();
    all.split_off(all.len() - kept)
}

/// The new lines, for a gateway that asks for them again and again.
#[derive(Default)]
pub(crate) struct LogFeed {
    lines: Option<Receiver<Followed>>,
    asked: Option<Instant>,
}

impl LogFeed {
    /// The lines since the last question, and how many there were besides.
    pub(crate) fn take(&mut self, context: &Context, now: Instant) -> (Vec<OwnedLine>, u64) {
        self.rest(now);
        self.asked = Some(now);
        let lines = self.lines.get_or_insert_with(|| context.follow.subscribe());
        let (mut new, mut dropped) = (Vec::new(), 0);
        loop {
            match lines.try_recv() {
                Ok(Followed { owner, line }) => {
                    let server = match owner {
                        LogOwner::Server(name) => Some(name),
                        LogOwner::Gateway => None,
                    };
                    new.push(OwnedLine { server, line });
                }
                Err(TryRecvError::Lagged(count)) => dropped += count,
                Err(TryRecvError::Empty | TryRecvError::Closed) => break,
            }
        }
        let all = new.len();
        let new = bounded(new, MAX_LINES);
        dropped += (all - new.len()) as u64;
        (new, dropped)
    }

    /// Stops listening when nobody has asked for a while.
    pub(crate) fn rest(&mut self, now: Instant) {
        if self.asked.is_some_and(|asked| now.saturating_duration_since(asked) >= PATIENCE) {
            *self = Self::default();
        }
    }
}

#[cfg(test)]
mod tests {
    use mcproxy_ipc::{LogLevel, LogSource};

    use super::*;

    #[test]
    fn the_newest_lines_that_fit_are_told() {
        let line = |text: String| OwnedLine {
            server: None,
            line: LogLine { at_ms: 0, level: LogLevel::Info, source: LogSource::Own, text },
        };
        let many = bounded((0..5000).map(|n| line(n.to_string())).collect(), MAX_LINES);
        assert_eq!((many.len(), &*many[0].line.text, &*many[1999].line.text), (2000, "3000", "4999"));
        let large = bounded((0..100).map(|_| line("x".repeat(16 * 1024))).collect(), MAX_LINES);
        assert_eq!(large.len(), 32);
    }
}
