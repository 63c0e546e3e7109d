//! Tools that clients refuse: by their names, or because there are too many.

use mcproxy_mcp::{RawObject, method};
use mcproxy_search::{estimate_tokens, why_too_much};

use super::finding::DoctorFinding;
use crate::cli::{args::Global, human::one_line, session::Session, supervisor::SupervisorClient, target::endpoint};

/// Longest name that all clients take; one longer one may cost the whole list.
const LONGEST_NAME: usize = 64;
/// Names that are shown.
const SHOWN: usize = 5;

/// What is known of a tool.
struct NamedTool {
    name: String,
    tokens: usize,
}

/// Lists them as a client would.
pub(super) async fn look(global: &Global, supervisor: &SupervisorClient) -> Vec<DoctorFinding> {
    let listed = async {
        let mut session = Session::open(endpoint(global, supervisor).await?).await?;
        let tools = session.list(method::TOOLS_LIST, "tools").await;
        session.close().await;
        tools
    };
    match listed.await {
        Ok(tools) => {
            let tool = |raw: &mcproxy_mcp::RawValue| NamedTool {
                name: RawObject::from_raw(raw)
                    .ok()
                    .and_then(|tool| tool.get_string("name").map(|name| name.into_owned()))
                    .unwrap_or_default(),
                tokens: estimate_tokens(raw.get()),
            };
            of(&tools.iter().map(|raw| tool(raw)).collect::<Vec<_>>())
        }
        Err(error) => vec![DoctorFinding::bad(
            "endpoint",
            error.to_string(),
            "`mcproxy health` and `mcproxy logs` say more; a token goes into MCPROXY_TOKEN",
        )],
    }
}

fn of(tools: &[NamedTool]) -> Vec<DoctorFinding> {
    let mut findings = Vec::new();
    let named = |is: &dyn Fn(&str) -> bool| {
        let found: Vec<&str> = tools.iter().map(|tool| tool.name.as_str()).filter(|name| is(name)).collect();
        let more = found.len().saturating_sub(SHOWN);
        let shown = found.iter().take(SHOWN).map(|name| one_line(name)).collect::<Vec<_>>().join(", ");
        (found.len(), if more > 0 { format!("{shown} and {more} more") } else { shown })
    };
    let (count, names) = named(&|name| name.len() > LONGEST_NAME);
    if count > 0 {
        let text = format!("{count} are longer than {LONGEST_NAME} characters, which clients refuse: {names}");
        findings.push(DoctorFinding::bad(
            "names of tools",
            text,
            "give the server a shorter name, or the tool another one (`tools.rename`)",
        ));
    }
    let is_plain = |name: &str| name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'));
    let (count, names) = named(&|name| !is_plain(name));
    if count > 0 {
        let text = format!("{count} have characters that some clients refuse: {names}");
        findings.push(DoctorFinding::hint(
            "names of tools",
            text,
            "give them names of letters, digits, `_` and `-` (`tools.rename`)",
        ));
    }
    let tokens: usize = tools.iter().map(|tool| tool.tokens).sum();
    let smaller =
        "`groups` or `tools.allow` show fewer, and /search/mcp lists three that find all others (docs/tool-search.md)";
    let total = format!("{} tools, about {tokens} tokens", tools.len());
    findings.push(match why_too_much(tools.len(), tokens) {
        Some(why) => DoctorFinding::hint("tools", format!("{total}: {why}"), smaller),
        None => DoctorFinding::good("tools", total),
    });
    findings
}

#[cfg(test)]
mod tests {
    use super::{super::finding::Gravity, *};

    #[test]
    fn names_and_numbers_that_clients_refuse_are_told() {
        let tool = |name: &str, tokens| NamedTool { name: name.to_owned(), tokens };
        let good = of(&[tool("time__now", 50)]);
        assert!(good.len() == 1 && good[0].gravity == Gravity::Good, "{good:?}");
        let found = of(&[tool(&format!("s__{}", "t".repeat(70)), 50), tool("s__a.b", 30_000)]);
        let told: Vec<Gravity> = found.iter().map(|finding| finding.gravity).collect();
        assert_eq!(told, [Gravity::Bad, Gravity::Hint, Gravity::Hint], "{found:?}");
        let many: Vec<NamedTool> = (0..200).map(|at| tool(&format!("s__t.{at}"), 1)).collect();
        let found = of(&many);
        assert!(
            found[0].message.contains("and 195 more") && found[1].message.contains("128 tools at most"),
            "{found:?}"
        );
    }
}
