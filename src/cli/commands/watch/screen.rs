//! The whole terminal: a row for each server, and the calls that pass.

use std::{thread::JoinHandle, time::Duration};

use ratatui::{
    DefaultTerminal, Frame,
    crossterm::{
        event::{self, Event, KeyCode, KeyEventKind, KeyModifiers},
        terminal,
    },
    layout::{Constraint, Layout},
    style::{Color, Modifier, Style as Look},
    text::{Line, Span},
    widgets::{Cell, Paragraph, Row, Table as Rows},
};
use tokio::{sync::mpsc, time::interval};

use crate::cli::{
    error::CliError,
    exit::Exit,
    human::{bytes, one_line},
    live::{LiveFeed, LiveModel, LiveServer, call_line, milliseconds},
    style::{Paint, Style},
};

/// Keys that wait to be looked at.
const KEYS: usize = 16;
/// How long the keyboard is waited for before it is asked whether anybody still wants keys.
const KEY_WAIT: Duration = Duration::from_millis(200);
/// The screen is drawn anew at least so often.
const TICK: Duration = Duration::from_secs(1);
/// Rows of the heading and of the line at the bottom.
const FRAME_ROWS: u16 = 3;

/// What a key asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wish {
    Quit,
    Up,
    Down,
    /// The terminal has another size.
    Draw,
}

/// What is shown.
struct Screen {
    model: LiveModel,
    url: String,
    has_calls: bool,
    style: Style,
    /// Servers above the first row.
    above: usize,
}

/// Whether the terminal has a size: some that programs make have none.
pub(super) fn has_room() -> bool {
    terminal::size().is_ok_and(|(columns, rows)| columns > 0 && rows > FRAME_ROWS)
}

/// Shows it until `q`, Ctrl-C, or the end of MCProxy.
pub(super) async fn run(mut feed: LiveFeed, url: String) -> Result<Exit, CliError> {
    let mut screen =
        Screen { model: LiveModel::default(), url, has_calls: feed.has_calls(), style: Style::of(true), above: 0 };
    if let Some(now) = feed.now().await {
        screen.model.apply(now);
    }
    let mut terminal = ratatui::try_init()?;
    let (keys, reader) = keyboard();
    let outcome = show(&mut terminal, &mut screen, &mut feed, keys).await;
    ratatui::restore();
    // It ends when nobody takes keys any more.
    let _ = reader.join();
    outcome
}

async fn show(
    terminal: &mut DefaultTerminal,
    screen: &mut Screen,
    feed: &mut LiveFeed,
    mut keys: mpsc::Receiver<Wish>,
) -> Result<Exit, CliError> {
    let mut tick = interval(TICK);
    loop {
        terminal.draw(|frame| screen.draw(frame))?;
        tokio::select! {
            key = keys.recv() => match key {
                Some(Wish::Quit) | None => return Ok(Exit::Ok),
                Some(Wish::Up) => screen.above = screen.above.saturating_sub(1),
                Some(Wish::Down) => screen.above = (screen.above + 1).min(screen.model.servers.len().saturating_sub(1)),
                Some(Wish::Draw) => {}
            },
            event = feed.next() => match event? {
                Some(event) => screen.model.apply(event),
                None => return Err(CliError::NotUp("MCProxy has ended, or the connection to it".to_owned())),
            },
            _ = tick.tick() => {}
        }
    }
}

/// Reads keys on a thread of its own: a terminal cannot be asked without waiting.
fn keyboard() -> (mpsc::Receiver<Wish>, JoinHandle<()>) {
    let (sender, receiver) = mpsc::channel(KEYS);
    let reader = std::thread::spawn(move || {
        while !sender.is_closed() {
            let wish = match event::poll(KEY_WAIT) {
                Ok(true) => event::read().ok().and_then(|event| wish(&event)),
                Ok(false) => None,
                Err(_) => Some(Wish::Quit),
            };
            if let Some(wish) = wish
                && sender.blocking_send(wish).is_err()
            {
                return;
            }
        }
    });
    (receiver, reader)
}

fn wish(event: &Event) -> Option<Wish> {
    match event {
        Event::Resize(..) => Some(Wish::Draw),
        Event::Key(key) if key.kind == KeyEventKind::Release => None,
        Event::Key(key) => match key.code {
            KeyCode::Char('q') | KeyCode::Esc => Some(Wish::Quit),
            KeyCode::Char('c' | 'd') if key.modifiers.contains(KeyModifiers::CONTROL) => Some(Wish::Quit),
            KeyCode::Up | KeyCode::Char('k') => Some(Wish::Up),
            KeyCode::Down | KeyCode::Char('j') => Some(Wish::Down),
            _ => None,
        },
        _ => None,
    }
}

impl Screen {
    fn draw(&self, frame: &mut Frame<'_>) {
        let area = frame.area();
        let servers = u16::try_from(self.model.servers.len()).unwrap_or(u16::MAX).saturating_add(1);
        let most = area.height.saturating_sub(FRAME_ROWS);
        // With calls, half of the screen is theirs.
        let rows = if self.has_calls { servers.min(most / 2 + 1) } else { servers.min(most) };
        let [title, table, heading, calls, bottom] = Layout::vertical([
            Constraint::Length(1),
            Constraint::Length(rows),
            Constraint::Length(1),
            Constraint::Min(0),
            Constraint::Length(1),
        ])
        .areas(area);
        frame.render_widget(Line::from(self.title()), title);
        frame.render_widget(self.table(), table);
        let dropped = match self.model.dropped {
            0 => String::new(),
            dropped => format!(" ({dropped} more)"),
        };
        let text = if self.has_calls { format!("CALLS{dropped}") } else { super::NO_CALLS.to_owned() };
        frame.render_widget(Line::from(Span::styled(text, self.look(Paint::Heading))), heading);
        let lines: Vec<Line<'_>> = self
            .model
            .calls
            .iter()
            .rev()
            .filter_map(|call| Some((call_line(call)?, call.outcome == "ok")))
            .take(usize::from(calls.height))
            .map(|(line, good)| Line::from(Span::styled(line, if good { Look::new() } else { self.look(Paint::Bad) })))
            .collect();
        frame.render_widget(Paragraph::new(lines), calls);
        frame.render_widget(Line::from(Span::styled("q quits, ↑ ↓ scroll", self.look(Paint::Quiet))), bottom);
    }

    fn title(&self) -> String {
        let ready = self.model.servers.iter().filter(|server| server.state == "ready").count();
        format!("mcproxy {}  {ready} of {} servers ready", one_line(&self.url), self.model.servers.len())
    }

    fn table(&self) -> Rows<'_> {
        let words = ["SERVER", "STATE"].map(Line::from);
        let numbers =
            ["TOOLS", "CALLS/M", "P50", "P95", "ERRORS", "MEMORY"].map(|word| Line::from(word).right_aligned());
        let heading: Vec<Line<'_>> = words.into_iter().chain(numbers).collect();
        let rows = self.model.servers.iter().skip(self.above).map(|server| self.row(server));
        let longest = self.model.servers.iter().map(|server| server.name.len()).max().unwrap_or(0).clamp(6, 20);
        let widths = [
            Constraint::Length(u16::try_from(longest).unwrap_or(20)),
            Constraint::Length(11),
            Constraint::Length(5),
            Constraint::Length(7),
            Constraint::Length(7),
            Constraint::Length(7),
            Constraint::Length(6),
            Constraint::Length(7),
            Constraint::Min(0),
        ];
        Rows::new(rows, widths).header(Row::new(heading).style(self.look(Paint::Heading))).column_spacing(1)
    }

    fn row(&self, server: &LiveServer) -> Row<'_> {
        let number = |value: Option<String>| Line::from(value.unwrap_or_else(|| "-".to_owned())).right_aligned();
        let whole = |value: Option<u64>| number(value.map(|value| value.to_string()));
        Row::new([
            Cell::from(one_line(&server.name)),
            Cell::from(Span::styled(one_line(&server.state), self.look(Paint::of_state(&server.state)))),
            Cell::from(whole(server.tools)),
            Cell::from(number(server.last_minute().map(|calls| format!("{calls:.0}")))),
            Cell::from(number(server.p50_ms.map(milliseconds))),
            Cell::from(number(server.p95_ms.map(milliseconds))),
            Cell::from(whole(server.errors_total)),
            Cell::from(number(server.memory_bytes.map(bytes))),
            Cell::from(server.remark()),
        ])
    }

    fn look(&self, paint: Paint) -> Look {
        let plain = Look::new();
        if !self.style.has_colours() {
            return plain;
        }
        match paint {
            Paint::Good => plain.fg(Color::Green),
            Paint::Pending => plain.fg(Color::Yellow),
            Paint::Bad => plain.fg(Color::Red),
            Paint::Heading => plain.add_modifier(Modifier::BOLD),
            Paint::Quiet => plain.add_modifier(Modifier::DIM),
        }
    }
}

#[cfg(test)]
mod tests {
    use ratatui::{Terminal, backend::TestBackend};

    use super::*;
    use crate::cli::live::{LiveCall, LiveEvent};

    fn drawn(width: u16, height: u16, servers: usize, has_calls: bool) -> Vec<String> {
        let mut model = LiveModel::default();
        let server = |at: usize| LiveServer {
            name: format!("server-{at}"),
            state: if at == 1 { "backoff" } else { "ready" }.to_owned(),
            tools: Some(12),
            calls_per_minute: Some(vec![1.0, 7.0]),
            p50_ms: Some(3.25),
            p95_ms: Some(1234.0),
            memory_bytes: Some(70 << 20),
            last_error: (at == 1).then(|| "the server exited with code 1".to_owned()),
            ..LiveServer::default()
        };
        model.apply(LiveEvent::Servers((0..servers).map(server).collect()));
        let call = |id: u64| LiveCall {
            id,
            at: id,
            server: Some("server-0".into()),
            tool: Some("t".into()),
            outcome: "ok".into(),
            ..LiveCall::default()
        };
        model.apply(LiveEvent::Calls { calls: (0..50).map(call).collect(), dropped: 3 });
        let screen =
            Screen { model, url: "http://127.0.0.1:12009".into(), has_calls, style: Style::default(), above: 0 };
        let mut terminal = Terminal::new(TestBackend::new(width, height)).expect("a terminal");
        terminal.draw(|frame| screen.draw(frame)).expect("drawn");
        let buffer = terminal.backend().buffer().clone();
        let line = |y: u16| (0..width).map(|x| buffer[(x, y)].symbol()).collect::<String>().trim_end().to_owned();
        (0..height).map(line).collect()
    }

    #[test]
    fn servers_and_the_newest_calls_are_on_a_screen_of_eighty_columns() {
        let lines = drawn(80, 24, 3, true);
        assert!(lines[0].contains("2 of 3 servers ready"), "{lines:#?}");
        assert!(lines[1].starts_with("SERVER   STATE       TOOLS CALLS/M     P50     P95"), "{lines:#?}");
        assert!(lines[2].starts_with("server-0 ready          12       7  3.2 ms 1234 ms"), "{lines:#?}");
        assert!(lines[3].contains("backoff") && lines[3].contains("the server exi"), "{lines:#?}");
        assert!(
            lines[5].starts_with("CALLS (3 more)") && lines[6].starts_with("00:00:00.049 server-0__t ok"),
            "{lines:#?}"
        );
        assert!(lines[23].starts_with("q quits"), "{lines:#?}");
    }

    #[test]
    fn a_small_screen_and_many_servers_leave_room_for_calls() {
        let lines = drawn(60, 12, 40, true);
        assert!(lines.iter().any(|line| line.starts_with("CALLS")), "{lines:#?}");
        assert!(lines.iter().filter(|line| line.contains("server-0__t")).count() >= 2, "{lines:#?}");
        for (width, height) in [(1, 1), (10, 2), (200, 3)] {
            drawn(width, height, 5, true);
        }
        assert!(drawn(80, 10, 2, false).iter().any(|line| line.contains("does not say which calls")));
    }

    #[test]
    fn keys_are_understood() {
        let key = |code, modifiers| wish(&Event::Key(event::KeyEvent::new(code, modifiers)));
        assert_eq!(key(KeyCode::Char('q'), KeyModifiers::NONE), Some(Wish::Quit));
        assert_eq!(key(KeyCode::Char('c'), KeyModifiers::CONTROL), Some(Wish::Quit));
        assert_eq!(
            (key(KeyCode::Char('c'), KeyModifiers::NONE), key(KeyCode::Up, KeyModifiers::NONE)),
            (None, Some(Wish::Up))
        );
    }
}
