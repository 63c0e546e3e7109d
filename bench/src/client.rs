//! One client of the load: asks, waits, judges, measures.

use std::time::{Duration, Instant};

use crate::{
    channel::{AskError, Channel, Target},
    message::{self, Job, Verdict},
    plain,
};

/// A call that takes longer is an error.
const DEADLINE: Duration = Duration::from_secs(20);
/// More pages than any list of ours has.
const PAGES: usize = 200;

/// A client with its own session and its own tags.
#[derive(Debug)]
pub(crate) struct Client {
    target: Target,
    channel: Channel,
    number: u64,
    asked: u64,
}

impl Client {
    pub(crate) async fn open(target: &Target, number: u64) -> Result<Self, AskError> {
        let open = tokio::time::timeout(DEADLINE, target.open());
        let channel = open.await.map_err(|_| AskError::Silent(DEADLINE))??;
        Ok(Self { target: target.clone(), channel, number, asked: 0 })
    }

    /// One call of the job: what it is worth, and how long the answer took.
    pub(crate) async fn call(&mut self, job: &Job) -> (Verdict, Duration) {
        let start = Instant::now();
        match tokio::time::timeout(DEADLINE, self.pages(job)).await {
            Ok(Ok((verdict, at))) => (verdict, at - start),
            Ok(Err(error)) => (Verdict::Failed(self.reopened(&error).await), start.elapsed()),
            Err(_) => (Verdict::Failed(self.reopened(&AskError::Silent(DEADLINE)).await), start.elapsed()),
        }
    }

    async fn pages(&mut self, job: &Job) -> Result<(Verdict, Instant), AskError> {
        let mut cursor: Option<String> = None;
        let mut tools = 0;
        for _ in 0..PAGES {
            self.asked += 1;
            let tag = format!("c{}n{}p{}-", self.number, self.asked, std::process::id());
            let id = self.next_id();
            let claim = if matches!(self.channel, Channel::Stateless(_)) { message::CLAIM } else { "" };
            let request = job.request(id, &tag, cursor.as_deref(), claim);
            let answered = self.channel.ask(id, &request).await?;
            let verdict = match self.channel {
                Channel::Plain(_) => plain::judge(job, &request, &answered.message),
                _ => job.judge(id, &tag, &answered.message, tools),
            };
            match verdict {
                Verdict::Page(so_far, next) => (tools, cursor) = (so_far, Some(next)),
                verdict => return Ok((verdict, answered.at)),
            }
        }
        Err(AskError::Protocol(format!("over {PAGES} pages")))
    }

    /// The same ids in every session, on purpose: a peer that mixes sessions up shall be seen. Where all clients share
    /// one connection, ids differ.
    fn next_id(&self) -> u64 {
        match self.channel {
            Channel::Stdio(_) => self.number << 32 | self.asked,
            _ => self.asked,
        }
    }

    /// A new session after a failure; says what the failure was.
    async fn reopened(&mut self, error: &AskError) -> String {
        let mut said = error.to_string();
        if let AskError::Connection(cause) = error {
            said = format!("{cause}: {:?}", std::error::Error::source(cause).map(ToString::to_string));
        }
        match tokio::time::timeout(DEADLINE, self.target.open()).await {
            Ok(Ok(channel)) => self.channel = channel,
            Ok(Err(again)) => said = format!("{said}; then, on reconnecting: {again}"),
            Err(_) => said.push_str("; then no answer on reconnecting"),
        }
        said
    }

    /// Ends the session; a server that minds has had its chance.
    pub(crate) async fn close(self) {
        let _ = tokio::time::timeout(Duration::from_secs(2), self.channel.close()).await;
    }
}
