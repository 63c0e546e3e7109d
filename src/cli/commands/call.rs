//! `mcproxy call`.

use std::{
    borrow::Cow,
    cell::RefCell,
    io::Read,
    pin::pin,
    time::{Duration, Instant},
};

use mcproxy_mcp::{RawObject, RawValue, json_string, method, name_of, one_line as one_json_line};

use super::content;
use crate::cli::{
    console::{Console, QUIET},
    endpoint::Endpoint,
    error::CliError,
    exit::Exit,
    human::{duration, one_line},
    names,
    session::Session,
};

/// Between two looks at how far it is.
const TICK: Duration = Duration::from_millis(500);
/// Longest arguments read from stdin, in bytes.
const MAX_ARGS: u64 = 16 * 1024 * 1024;
/// Our own codes for a server that did not answer: the tool exists, there is no other name to propose.
const OWN_CODES: std::ops::RangeInclusive<i64> = 31001..=31003;

/// The tool or method to be called.
pub(crate) struct CallArgs {
    pub(crate) tool: String,
    pub(crate) args: String,
    pub(crate) timeout: Duration,
}

impl CallArgs {
    /// Calls, and prints what the tool answers.
    pub(crate) async fn run(self, endpoint: Endpoint, json: bool, console: &mut Console) -> Result<Exit, CliError> {
        let arguments = self.arguments(&mut console.input)?;
        let mut session = console.waiting("connecting", Session::open(endpoint)).await?;
        let outcome = self.call(&mut session, &arguments, console).await;
        let outcome = self.explain(outcome, &mut session).await;
        session.close().await;
        let result = match outcome {
            Err(error) => {
                if let CliError::Rpc { raw, .. } = &error
                    && json
                {
                    writeln!(console.out, "{{\"error\":{}}}", one_json_line(raw))?;
                }
                return Err(error);
            }
            Ok(result) => result,
        };
        if json {
            writeln!(console.out, "{}", one_json_line(result.get()))?;
        } else {
            content::print(&result, console)?;
        }
        console.out.flush()?;
        Ok(if content::is_error(&result) { Exit::Failed } else { Exit::Ok })
    }

    /// The arguments as given, checked to be an object, and otherwise left as they are.
    fn arguments(&self, input: &mut dyn Read) -> Result<String, CliError> {
        let mut text = String::new();
        if self.args == "-" {
            let read = input.take(MAX_ARGS + 1).read_to_string(&mut text).map_err(CliError::Stdin)?;
            if read as u64 > MAX_ARGS {
                return Err(CliError::Usage(format!("the arguments are longer than {MAX_ARGS} bytes")));
            }
        } else {
            text.clone_from(&self.args);
        }
        match RawObject::from_text(&text) {
            Ok(_) => Ok(text),
            Err(e) => {
                Err(CliError::Usage(format!("--args is no JSON object: {e}; write it like '{{\"key\": \"value\"}}'")))
            }
        }
    }

    async fn call(
        &self,
        session: &mut Session,
        arguments: &str,
        console: &mut Console,
    ) -> Result<Box<RawValue>, CliError> {
        let name = json_string(&self.tool);
        let params = format!(r#"{{"name":{name},"arguments":{arguments},"_meta":{{"progressToken":1}}}}"#);
        console.waiting("looking the tool up", session.look_up(&self.tool)).await?;
        let begun = Instant::now();
        let latest = RefCell::new(String::new());
        let mut notified = |method: &str, params: Option<&RawValue>| {
            if method == method::PROGRESS {
                latest.replace(progress(params));
            }
        };
        let give_up = tokio::time::sleep(self.timeout);
        let (given_up, reason) = {
            let mut request = pin!(session.request(method::TOOLS_CALL, &params, &mut notified));
            let mut give_up = pin!(give_up);
            let mut told = String::new();
            loop {
                tokio::select! {
                    result = &mut request => {
                        self.tell(console, begun, &latest.borrow(), &mut told);
                        console.show_wait("");
                        return result;
                    }
                    () = tokio::time::sleep(TICK) => self.tell(console, begun, &latest.borrow(), &mut told),
                    () = &mut give_up => {
                        let limit = self.timeout.as_secs();
                        break (CliError::Refused(format!("no answer within {limit} s (--timeout)")), "timeout");
                    }
                    _ = tokio::signal::ctrl_c() => {
                        break (CliError::Refused("interrupted".into()), "the user interrupted it");
                    }
                }
            }
        };
        console.show_wait("");
        session.cancel_last(reason).await;
        Err(given_up)
    }

    /// Says how far it is: on a terminal in its last line, else in a line of its own for each news.
    fn tell(&self, console: &mut Console, begun: Instant, latest: &str, told: &mut String) {
        if begun.elapsed() < QUIET {
            return;
        }
        if console.err_is_terminal {
            let latest = if latest.is_empty() { "still running" } else { latest };
            console.show_wait(&format!("{} … {}, {latest}", self.tool, duration(begun.elapsed())));
        } else if *told != latest {
            console.remark(latest);
            latest.clone_into(told);
        }
    }

    /// When the call failed because there is no such tool, says so and names the nearest.
    async fn explain(
        &self,
        outcome: Result<Box<RawValue>, CliError>,
        session: &mut Session,
    ) -> Result<Box<RawValue>, CliError> {
        let suspicious = match &outcome {
            Ok(result) => content::is_error(result),
            Err(CliError::Rpc { code, .. }) => !OWN_CODES.contains(code),
            Err(_) => false,
        };
        if !suspicious {
            return outcome;
        }
        let Ok(tools) = session.list(method::TOOLS_LIST, "tools").await else { return outcome };
        let known: Vec<String> = tools.iter().filter_map(|tool| name_of(tool)).map(Cow::into_owned).collect();
        if known.contains(&self.tool) { outcome } else { Err(names::unknown_tool(&self.tool, &known)) }
    }
}

/// One line about how far it is.
fn progress(params: Option<&RawValue>) -> String {
    let object = params.and_then(|p| RawObject::from_raw(p).ok()).unwrap_or_default();
    let number = |key: &str| object.get(key).map(|n| one_line(n.get()));
    let mut line = match (number("progress"), number("total")) {
        (Some(done), Some(total)) => format!("progress {done} of {total}"),
        (Some(done), None) => format!("progress {done}"),
        _ => "still running".to_owned(),
    };
    if let Some(message) = object.get_string("message") {
        line.push_str(": ");
        line.push_str(&one_line(&message));
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arguments(args: &str, input: &str) -> Result<String, CliError> {
        let call = CallArgs { tool: String::new(), args: args.into(), timeout: QUIET };
        call.arguments(&mut input.as_bytes())
    }

    #[test]
    fn arguments_are_an_object_and_stay_as_they_are() {
        let big = r#"{"n": 12345678901234567890.10}"#;
        assert_eq!(arguments(big, "").expect("an object"), big);
        assert_eq!(arguments("-", big).expect("an object"), big);
        for wrong in ["[1]", "x", "", "{\"a\":1", "{} {}"] {
            assert_eq!(arguments(wrong, "").expect_err("refused").exit(), Exit::Usage, "{wrong}");
        }
    }

    #[test]
    fn progress_says_how_far_it_is() {
        let raw = |text: &str| RawValue::from_string(text.into()).expect("JSON");
        let line = progress(Some(&raw(r#"{"progress":2,"total":5,"message":"copying\u001b[2J"}"#)));
        assert_eq!(line, "progress 2 of 5: copying");
        assert_eq!(progress(None), "still running");
    }
}
