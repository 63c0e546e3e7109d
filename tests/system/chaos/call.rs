use std::time::Duration;

use serde_json::{Value, json};

use super::{dice::Dice, ledger::Ledger};
use crate::support::{Answer, text};

/// The tokens and texts of a client begin with this, so that everything it gets shows whose it is.
pub(super) fn mark(client: u64) -> String {
    format!("client-{client}.")
}

/// One request of one client.
#[derive(Debug, Clone)]
pub(super) struct Call {
    pub(super) id: u64,
    method: &'static str,
    params: Value,
    expect: Expect,
    /// What the client does before the answer is there.
    pub(super) leave: Option<(Duration, Leave)>,
}

/// How a client loses interest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Leave {
    /// `notifications/cancelled`
    Cancel,
    /// It closes its connection.
    HangUp,
}

/// What the answer must hold, unless it is an error.
#[derive(Debug, Clone)]
enum Expect {
    Text(String),
    Padded { tag: String, bytes: usize },
    Tools,
    Anything,
}

impl Call {
    /// A call of any kind. `server` is the one it goes to, `prefix` what comes before its tools' names.
    pub(super) fn any(id: u64, client: u64, prefix: Option<usize>, dice: &mut Dice) -> Self {
        let tag = format!("{}{id}.{:x}", mark(client), dice.roll());
        match dice.choose(&[(50, 0), (12, 1), (12, 2), (10, 3), (6, 4), (5, 5), (5, 6)]) {
            0 => Self::echo(id, prefix, &tag),
            1 => {
                let ms = dice.within(1..700);
                let expect = Expect::Text(format!("slept {ms} ms for {tag}"));
                Self::tool(id, prefix, "slow", json!({"ms": ms, "tag": tag}), expect)
            }
            2 => {
                let steps = dice.within(1..6);
                let arguments = json!({"steps": steps, "interval_ms": 20, "tag": tag});
                let expect = Expect::Text(format!("{steps} steps done for {tag}"));
                let mut call = Self::tool(id, prefix, "progress", arguments, expect);
                call.params["_meta"] = json!({"progressToken": tag});
                call
            }
            3 => {
                let bytes = dice.within(1000..400_000) as usize;
                Self::tool(id, prefix, "echo_size", json!({"bytes": bytes, "tag": tag}), Expect::Padded { tag, bytes })
            }
            4 => Self { id, method: "tools/list", params: json!({}), expect: Expect::Tools, leave: None },
            5 => Self::left(id, prefix, (dice.millis(1..400), Leave::Cancel)),
            _ => Self::left(id, prefix, (dice.millis(1..400), Leave::HangUp)),
        }
    }

    pub(super) fn echo(id: u64, prefix: Option<usize>, tag: &str) -> Self {
        Self::tool(id, prefix, "echo", json!({"text": tag}), Expect::Text(tag.to_owned()))
    }

    /// A call whose client does not wait for the answer.
    pub(super) fn left(id: u64, prefix: Option<usize>, leave: (Duration, Leave)) -> Self {
        let call = Self::tool(id, prefix, "slow", json!({"ms": 3000}), Expect::Anything);
        Self { leave: Some(leave), ..call }
    }

    /// A call that makes the server do something wrong.
    pub(super) fn misdeed(id: u64, server: usize, tool: &str, arguments: Value) -> Self {
        Self::tool(id, Some(server), tool, arguments, Expect::Anything)
    }

    fn tool(id: u64, prefix: Option<usize>, tool: &str, arguments: Value, expect: Expect) -> Self {
        let name = prefix.map_or_else(|| tool.to_owned(), |server| format!("s{server}__{tool}"));
        let params = json!({"name": name, "arguments": arguments});
        Self { id, method: "tools/call", params, expect, leave: None }
    }

    pub(super) fn message(&self) -> Value {
        json!({"jsonrpc": "2.0", "id": self.id, "method": self.method, "params": self.params})
    }

    /// The same as a request of 2026-07-28, which says of its client all that is to be known.
    pub(super) fn stateless_message(&self) -> Value {
        let mut message = self.message();
        let meta = &mut message["params"]["_meta"];
        meta["io.modelcontextprotocol/protocolVersion"] = "2026-07-28".into();
        meta["io.modelcontextprotocol/clientInfo"] = json!({"name": "chaos", "version": "1"});
        meta["io.modelcontextprotocol/clientCapabilities"] = json!({});
        message
    }

    pub(super) fn cancellation(&self) -> Value {
        json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": self.id}})
    }

    /// Enters what this response came to. Whose it is, its content shows.
    pub(super) fn check(&self, ledger: &Ledger, response: &Value) {
        if let Some(code) = response["error"]["code"].as_i64() {
            return ledger.count(format!("error {code}"));
        }
        let result = &response["result"];
        let right = match &self.expect {
            Expect::Text(wanted) => text(result) == wanted,
            Expect::Padded { tag, bytes } => text(result).len() == *bytes && text(result).starts_with(tag.as_str()),
            Expect::Tools => result["tools"].is_array(),
            Expect::Anything => result.is_object(),
        };
        if right {
            ledger.count("answered");
        } else {
            let mut got = response.to_string();
            got.truncate(got.floor_char_boundary(300));
            ledger.violated("every answer is the caller's own", format!("{:?} got {got}", self.expect));
        }
    }

    /// Looks at everything that came in answer to the request, and gives the response. That there is none is as it should be
    /// for calls that were `given_up`.
    pub(super) fn check_all(&self, ledger: &Ledger, client: u64, answer: &Answer, given_up: bool) -> Option<Value> {
        let (responses, others): (Vec<Value>, Vec<Value>) = answer
            .messages()
            .into_iter()
            .partition(|message| message["id"] == self.id && message.get("method").is_none());
        for other in &others {
            Self::check_other(ledger, client, other);
        }
        match &responses[..] {
            [response] => self.check(ledger, response),
            [] if given_up => ledger.count("cancelled by the client"),
            [] => ledger.violated("no answer is lost", format!("client {client}: {self:?}: {answer:?}")),
            several => ledger.violated("no call is answered twice", format!("client {client}: {several:?}")),
        }
        responses.into_iter().next()
    }

    /// Looks at a message that came with this call's answer but is not it.
    pub(super) fn check_other(ledger: &Ledger, client: u64, message: &Value) {
        let token = message["params"]["progressToken"].as_str();
        let foreign = token.is_some_and(|token| !token.starts_with(&mark(client)));
        if foreign || message.get("method").is_none() {
            let mut got = message.to_string();
            got.truncate(got.floor_char_boundary(300));
            ledger.violated("every answer is the caller's own", format!("client {client} got {got}"));
        }
    }
}
