//! `search.embeddings`: the worker that embeds texts is run as a server that is reached over the network, and that no client sees.

use mcproxy_ipc::{EMBEDDINGS_SERVER, EmbeddingsSpec, HttpSpec, Reach, ServerName};

use crate::dialect::Source;
use crate::hidden_server;
use crate::interpolate::Lack;
use crate::raw::{RawEmbeddings, RawServer};
use crate::report::Report;
use crate::server::{self, Blocked, ServerConfig};
use crate::servers::told;
use crate::tree::Node;

/// Requests to the model at once: batches of texts of tools come one after the other, beside what is searched for.
const AT_ONCE: usize = 16;

/// Longest name of a model, in bytes.
const LONGEST_MODEL: usize = 256;

/// The server that stands for it; what is wrong with it blocks that and nothing else. `root` is the whole file.
pub(crate) fn server(raw: &RawEmbeddings, root: &Node, source: Source<'_>, report: &mut Report) -> ServerConfig {
    let name = ServerName::try_from(EMBEDDINGS_SERVER).expect("a name");
    let node = root.at(&["search", "embeddings"]).unwrap_or(root);
    let mut own = Report::of_entry();
    let blocked = lacking(node, &mut own);
    if !(1..=LONGEST_MODEL).contains(&raw.model.len()) {
        let at = node.get("model").unwrap_or(node).span.start;
        own.add(at, format!("a model's name has 1 to {LONGEST_MODEL} bytes"));
    }
    let mut entry = RawServer::default();
    entry.remote.url = Some(raw.url.clone());
    entry.remote.bearer_token = raw.key.clone();
    entry.remote.headers = raw.headers.clone();
    entry.settings.limits.max_concurrent = AT_ONCE as u64;
    let server = server::build(name, entry, node, blocked, &mut own);
    let reach = |mut http: HttpSpec| {
        // There is nothing to log in at.
        http.oauth = None;
        Reach::Embeddings(Box::new(EmbeddingsSpec { http, model: raw.model.clone(), dir: None }))
    };
    hidden_server::finish(server, reach, own, (root, source), report)
}

/// What keeps it from having all its texts: variables that are not set, or a file that cannot be read. Any other lack is a mistake.
fn lacking(node: &Node, own: &mut Report) -> Option<Blocked> {
    let (mut variables, mut secret) = (Vec::new(), None);
    node.each_lack(&mut |node, lack| match lack {
        Lack::Variable(name) if variables.contains(name) => {}
        Lack::Variable(name) => variables.push(name.clone()),
        Lack::Secret(of) => secret = Some(of.clone()),
        Lack::Reference(_) | Lack::Malformed(_) => own.add(node.span.start, told(lack)),
    });
    let variables = (!variables.is_empty()).then_some(Blocked::Variables(variables));
    variables.or_else(|| secret.map(Blocked::Secret))
}
