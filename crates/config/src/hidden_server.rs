//! Servers that no client sees: workers that the gateway asks itself, run as servers that are reached over the network.

use mcproxy_ipc::{HttpSpec, Reach};

use crate::dialect::Source;
use crate::report::Report;
use crate::server::{Era, ServerConfig};
use crate::tree::Node;

/// Makes one of a server that was built from an entry: `reach` is what it is reached by. What is wrong with it (`own`) blocks it and
/// nothing else. `root` is the whole file.
pub(crate) fn finish(
    mut server: ServerConfig,
    reach: impl FnOnce(HttpSpec) -> Reach,
    own: Report,
    (root, source): (&Node, Source<'_>),
    report: &mut Report,
) -> ServerConfig {
    server.era = Era::Legacy;
    server.reach = server.reach.map(|built| match built {
        Reach::Http(http) => reach(*http),
        other @ (Reach::Command(_) | Reach::Embeddings(_) | Reach::Authority(_)) => other,
    });
    server.settled(own, (root, source), report)
}
