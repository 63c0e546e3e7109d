//! From a client to a server: the names of the common endpoint become the server's own.

use mcproxy_ipc::ServerName;
use mcproxy_mcp::{ErrorCode, ErrorObject, RawObject, RawValue, json_string};

use super::Splices;

/// The server that completes an argument, and the `ref` of the params as it understands it. `prompt` and `resource` say where
/// one is, and what it is called there.
pub(crate) fn completion_ref(
    params: &RawObject<'_>,
    prompt: impl Fn(&str) -> Option<(ServerName, String)>,
    resource: impl Fn(&str) -> Option<(ServerName, String)>,
) -> Result<(ServerName, Box<RawValue>), ErrorObject> {
    let wrong = |message: String| ErrorObject::new(ErrorCode::INVALID_PARAMS, message);
    let shape = || wrong("`ref` must be of type `ref/prompt` with a `name`, or `ref/resource` with a `uri`".into());
    let raw = params.get("ref").ok_or_else(shape)?;
    let reference = RawObject::from_raw(raw).map_err(|_| shape())?;
    let (server, key, own) = match reference.get_string("type").as_deref() {
        Some("ref/prompt") => {
            let name = reference.get_string("name").ok_or_else(shape)?;
            let (server, own) = prompt(&name).ok_or_else(|| wrong(format!("Unknown prompt: {}", shortened(&name))))?;
            (server, "name", own)
        }
        Some("ref/resource") => {
            let uri = reference.get_string("uri").ok_or_else(shape)?;
            let (server, own) =
                resource(&uri).ok_or_else(|| wrong(format!("Unknown resource: {}", shortened(&uri))))?;
            (server, "uri", own)
        }
        _ => return Err(shape()),
    };
    let mut edits = Splices::of(raw.get());
    edits.set(&reference, key, json_string(&own).get());
    let own = RawValue::from_string(edits.finish().into_owned()).map_err(|_| shape())?;
    Ok((server, own))
}

fn shortened(text: &str) -> String {
    text.chars().take(128).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use mcproxy_ipc::ToolRules;

    use super::*;
    use crate::gateway::{
        catalogue::{ServerCatalogue, View},
        rewrite::Naming,
    };

    fn view(naming: Naming) -> View {
        let server = ServerName::try_from("srv").expect("a name");
        let payload = br#"{"prompts":[{"name":"hello"}],"resourceTemplates":[{"uriTemplate":"f:///{p}"}]}"#;
        let (catalogue, _) = ServerCatalogue::read(&server, payload, &ToolRules::default()).expect("reads");
        View::build(naming, &[(server, Arc::new(catalogue))])
    }

    fn sent(naming: Naming, reference: &str) -> Result<String, ErrorObject> {
        let params = format!(r#"{{"argument":{{}},"ref":{reference}}}"#);
        let params = RawObject::from_text(&params).expect("an object");
        let view = view(naming);
        let prompt = |name: &str| view.prompt(name).map(|target| (target.server.clone(), target.name.to_owned()));
        completion_ref(&params, prompt, |uri| view.resource(uri)).map(|(server, own)| format!("{server} {}", own.get()))
    }

    #[test]
    fn a_completion_goes_to_the_server_that_is_meant_under_its_own_name() {
        let q = Naming::Qualified;
        assert_eq!(
            sent(q, r#"{"x":1.0, "type":"ref/prompt","name":"srv__hello"}"#).as_deref(),
            Ok(r#"srv {"x":1.0, "type":"ref/prompt","name":"hello"}"#)
        );
        assert_eq!(
            sent(q, r#"{"type":"ref/resource","uri":"srv+f:///{p}"}"#).as_deref(),
            Ok(r#"srv {"type":"ref/resource","uri":"f:///{p}"}"#)
        );
        assert_eq!(
            sent(Naming::Own, r#"{"type":"ref/prompt","name":"hello"}"#).as_deref(),
            Ok(r#"srv {"type":"ref/prompt","name":"hello"}"#)
        );
    }

    #[test]
    fn a_reference_to_nothing_is_refused() {
        for reference in [
            r#"{"type":"ref/prompt","name":"hello"}"#,
            r#"{"type":"ref/prompt","name":"other__hello"}"#,
            r#"{"type":"ref/prompt"}"#,
            r#"{"type":"ref/resource","uri":"f:///{p}"}"#,
            r#"{"type":"ref/other"}"#,
            "3",
            "[]",
            "{}",
        ] {
            let error = sent(Naming::Qualified, reference).expect_err("refused");
            assert_eq!(error.code, ErrorCode::INVALID_PARAMS, "{reference}");
        }
    }
}
