//! The worker that embeds texts (docs/decisions/0146): no server of MCP is behind this transport. It answers the session itself, as a
//! server without tools would, and the gateway's `mcproxy/embed` by a request to a model.
//!
//! The model is asked when the run begins, and the run ends when it has refused three requests in a row: so its state, its restarts and
//! the reason are shown and logged as those of servers are.

mod interface;
mod message;
mod model;
mod store;

use std::{
    collections::{HashMap, VecDeque},
    io,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use mcproxy_ipc::{EMBEDDINGS_FILE, EmbedParams, EmbedResult, EmbeddingsSpec, EndReason, WorkerSpec, disk::on_disk};
use mcproxy_mcp::{ErrorCode, LATEST, RequestId, error_object, json_string, write_error_response, write_response};
use mcproxy_search::Vector;
use slog::{Logger, warn};
use tokio::{
    task::{AbortHandle, JoinError, JoinSet},
    time::Instant,
};

use self::{
    message::SessionMessage,
    model::{Model, ModelFailure},
    store::{KeptDigest, VectorStore, digest},
};
use super::{LineDirection, Trace, trace::trace_received};
use crate::{lines::ServerLine, secrets};

/// Requests that fail in a row until the run ends.
const MOST_FAILURES: u32 = 3;
/// What is new is written so long after it came, together with what came meanwhile.
const WRITE_DELAY: Duration = Duration::from_secs(2);
/// What the model is asked for when the run begins.
const PROBE: &str = "search";

/// The transport.
pub(crate) struct Embeddings {
    model: Arc<Model>,
    store: Arc<Mutex<VectorStore>>,
    path: Option<PathBuf>,
    tasks: JoinSet<TaskEnd>,
    under_way: HashMap<RequestId, AbortHandle>,
    /// Messages for the session.
    arrived: VecDeque<ServerLine>,
    has_sent: bool,
    failures: u32,
    /// The failure that was logged last.
    told: Option<String>,
    write_at: Option<Instant>,
    is_writing: bool,
    /// Why it ends when all is written.
    closing: Option<EndReason>,
    end: Option<EndReason>,
    trace: Option<Trace>,
    log: Logger,
}

/// What a task came to.
enum TaskEnd {
    Opened(RequestId, Result<(), ModelFailure>),
    Embedded(RequestId, Result<Vec<Arc<Vector>>, ModelFailure>),
    Written(io::Result<()>),
}

impl Embeddings {
    /// Makes the client; nothing is sent before the session begins.
    ///
    /// # Errors
    /// The settings cannot be used.
    pub(crate) fn start(
        spec: &WorkerSpec,
        embeddings: &EmbeddingsSpec,
        trace: Option<Trace>,
        log: Logger,
    ) -> Result<Self, EndReason> {
        let model = Model::new(embeddings, secrets::mask(&spec.reach)).map_err(EndReason::Unreachable)?;
        Ok(Self {
            model: Arc::new(model),
            store: Arc::new(Mutex::new(VectorStore::new(embeddings.http.url.expose(), &embeddings.model))),
            path: embeddings.dir.as_ref().map(|dir| dir.join(EMBEDDINGS_FILE)),
            tasks: JoinSet::new(),
            under_way: HashMap::new(),
            arrived: VecDeque::new(),
            has_sent: false,
            failures: 0,
            told: None,
            write_at: None,
            is_writing: false,
            closing: None,
            end: None,
            trace,
            log,
        })
    }

    /// A message of the session.
    fn take(&mut self, line: &[u8]) {
        if let Some(trace) = &mut self.trace {
            trace(LineDirection::ToServer, line);
        }
        self.has_sent = true;
        match message::read(line) {
            SessionMessage::Initialize(id) => {
                let task = open(self.model.clone(), self.store.clone(), self.path.clone());
                self.spawn(id, TaskEnd::Opened, task);
            }
            SessionMessage::Embed(id, params) => {
                let task = embed(self.model.clone(), self.store.clone(), params);
                self.spawn(id, TaskEnd::Embedded, task);
            }
            SessionMessage::Ping(id) => self.answer(&id, "{}"),
            SessionMessage::ListTools(id) => self.answer(&id, r#"{"tools":[]}"#),
            SessionMessage::Refused(id, code, why) => self.refuse(&id, code, why),
            SessionMessage::Cancel(id) => {
                if let Some(task) = self.under_way.remove(&id) {
                    task.abort();
                }
            }
            SessionMessage::Nothing => {}
        }
    }

    fn spawn<T: Send + 'static>(
        &mut self,
        id: RequestId,
        end: impl FnOnce(RequestId, Result<T, ModelFailure>) -> TaskEnd + Send + 'static,
        task: impl Future<Output = Result<T, ModelFailure>> + Send + 'static,
    ) {
        if self.closing.is_some() {
            return; // the session answers what is pending when the run ends
        }
        let of = id.clone();
        let handle = self.tasks.spawn(async move { end(of, task.await) });
        self.under_way.insert(id, handle);
    }

    /// A task has ended; of one that was given up nothing comes.
    fn landed(&mut self, ended: Result<TaskEnd, JoinError>) {
        match ended {
            Ok(TaskEnd::Opened(id, Ok(()))) => {
                self.under_way.remove(&id);
                let name = json_string(&format!("embeddings of {}", self.model.name()));
                let version = env!("CARGO_PKG_VERSION");
                let info = format!(r#"{{"name":{},"version":"{version}"}}"#, name.get());
                self.answer(
                    &id,
                    &format!(r#"{{"protocolVersion":"{LATEST}","capabilities":{{}},"serverInfo":{info}}}"#),
                );
            }
            Ok(TaskEnd::Opened(id, Err(failure))) => {
                self.under_way.remove(&id);
                self.close(EndReason::Unreachable(failure.0));
            }
            Ok(TaskEnd::Embedded(id, outcome)) => {
                if self.under_way.remove(&id).is_some() {
                    self.embedded(&id, outcome);
                }
            }
            Ok(TaskEnd::Written(written)) => self.written(written),
            Err(_) => {}
        }
    }

    fn embedded(&mut self, id: &RequestId, outcome: Result<Vec<Arc<Vector>>, ModelFailure>) {
        match outcome {
            Ok(vectors) => {
                (self.failures, self.told) = (0, None);
                let vectors = vectors.iter().map(|vector| STANDARD.encode(vector.to_bytes())).collect();
                let result = serde_json::to_string(&EmbedResult { vectors }).expect("texts alone");
                self.answer(id, &result);
                if self.path.is_some() && self.store().is_changed() {
                    self.write_at.get_or_insert_with(|| Instant::now() + WRITE_DELAY);
                }
            }
            Err(ModelFailure(why)) => {
                self.failures += 1;
                self.refuse(id, ErrorCode::SERVER_UNAVAILABLE, &why);
                if self.failures >= MOST_FAILURES {
                    return self.close(EndReason::Unreachable(why));
                }
                if self.told.as_ref() != Some(&why) {
                    warn!(self.log, "texts cannot be embedded, tools are found by their words alone"; "error" => &why);
                    self.told = Some(why);
                }
            }
        }
    }

    fn answer(&mut self, id: &RequestId, result: &str) {
        let mut line = Vec::new();
        write_response(&mut line, id, result);
        self.arrive(line);
    }

    fn refuse(&mut self, id: &RequestId, code: ErrorCode, why: &str) {
        let mut line = Vec::new();
        write_error_response(&mut line, Some(id), error_object(code, why).get());
        self.arrive(line);
    }

    fn arrive(&mut self, line: Vec<u8>) {
        let line = ServerLine::Text(line.into());
        trace_received(&mut self.trace, &line);
        self.arrived.push_back(line);
    }

    fn store(&self) -> MutexGuard<'_, VectorStore> {
        lock(&self.store)
    }

    /// Puts all that is known into the file.
    fn write(&mut self) {
        self.write_at = None;
        let Some(path) = self.path.clone() else { return };
        self.is_writing = true;
        let content = self.store().snapshot();
        self.tasks.spawn(async move {
            let written = on_disk(move || content.write(&path)).await;
            TaskEnd::Written(written.unwrap_or_else(|error| Err(io::Error::other(error))))
        });
    }

    fn written(&mut self, written: io::Result<()>) {
        self.is_writing = false;
        if let Err(error) = written {
            warn!(self.log, "embeddings cannot be kept, they are asked for again after the next start"; "error" => %error);
        }
        self.end_when_written();
    }

    /// Gives up what is under way, and ends when what is new is in the file. The first reason counts.
    fn close(&mut self, reason: EndReason) {
        if self.closing.is_some() {
            return;
        }
        self.closing = Some(reason);
        self.under_way.drain().for_each(|(_, task)| task.abort());
        self.end_when_written();
    }

    fn end_when_written(&mut self) {
        if self.closing.is_none() || self.is_writing {
            return;
        }
        // What changed while the file was written has its time still to come.
        match self.path.is_some() && self.store().is_changed() {
            true => self.write(),
            false => self.end = self.closing.clone(),
        }
    }
}

fn lock(store: &Mutex<VectorStore>) -> MutexGuard<'_, VectorStore> {
    // A panic ends the process, so the lock is never poisoned.
    store.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Asks the model for the first time, which says how long its vectors are, and reads those that are kept.
async fn open(model: Arc<Model>, store: Arc<Mutex<VectorStore>>, path: Option<PathBuf>) -> Result<(), ModelFailure> {
    let probe = model.embed(&[PROBE]).await?;
    let dimension = probe.first().map_or(0, Vector::dimension);
    let read = match path {
        Some(path) => {
            let empty = lock(&store).emptied(dimension);
            // Without it all is asked for again.
            on_disk(move || empty.read(&path)).await.ok()
        }
        None => None,
    };
    let mut store = lock(&store);
    *store = read.unwrap_or_else(|| store.emptied(dimension));
    Ok(())
}

/// The vectors of texts: those that are known, and the model's of the others.
async fn embed(
    model: Arc<Model>,
    store: Arc<Mutex<VectorStore>>,
    EmbedParams { texts, keep }: EmbedParams,
) -> Result<Vec<Arc<Vector>>, ModelFailure> {
    let digests: Vec<KeptDigest> = texts.iter().map(|text| digest(text)).collect();
    let (mut known, dimension) = {
        let mut store = lock(&store);
        let known: Vec<Option<Arc<Vector>>> = digests.iter().map(|digest| store.get(digest)).collect();
        (known, store.dimension())
    };
    let missing: Vec<usize> = (0..texts.len()).filter(|at| known[*at].is_none()).collect();
    if !missing.is_empty() {
        let wanted: Vec<&str> = missing.iter().map(|at| texts[*at].as_str()).collect();
        let new = model.embed(&wanted).await?;
        if let Some(other) = new.iter().map(Vector::dimension).find(|of| *of != dimension) {
            return Err(model.changed(dimension, other));
        }
        let mut store = lock(&store);
        for (at, vector) in missing.into_iter().zip(new) {
            let vector = Arc::new(vector);
            if keep {
                store.insert(digests[at], vector.clone());
            }
            known[at] = Some(vector);
        }
    }
    Ok(known.into_iter().flatten().collect())
}
