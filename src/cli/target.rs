//! What a command speaks to: the endpoint that was named, or that of the supervisor.

use super::{args::Global, endpoint::Endpoint, error::CliError, supervisor::SupervisorClient};

/// The endpoint that was named, else the one that the supervisor knows.
pub(crate) async fn endpoint(global: &Global, supervisor: &SupervisorClient) -> Result<Endpoint, CliError> {
    let url = match &global.url {
        Some(url) => url.clone(),
        None => crate::status_view::endpoint_url(&supervisor.status().await?),
    };
    Ok(Endpoint::new(&url, token(global))?)
}

/// The token that was given.
pub(crate) fn token(global: &Global) -> Option<String> {
    let variable = || std::env::var("MCPROXY_TOKEN").ok();
    global.token.clone().or_else(variable).filter(|token| !token.is_empty())
}
