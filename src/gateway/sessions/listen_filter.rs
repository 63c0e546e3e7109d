//! The filter of a listener, as it is written.

use mcproxy_mcp::{ErrorCode, ErrorObject, RawArray, RawObject, RawValue, json_string};
use serde::Deserialize;

use super::resource_subscriptions::MAX_SUBSCRIPTIONS;
use crate::gateway::catalogue::Changes;

/// The notifications that a listener asks for, or those of them that are honoured (2026-07-28, subscriptions).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Filter {
    /// Of which lists.
    pub(crate) lists: Changes,
    /// Of which resources, as the client knows them; `None` where it said nothing.
    pub(crate) resources: Option<Vec<String>>,
    /// Of which tasks (the tasks extension); the same.
    pub(crate) tasks: Option<Vec<String>>,
}

impl Filter {
    /// From the params of `subscriptions/listen`.
    pub(crate) fn read(params: &RawObject<'_>) -> Result<Self, ErrorObject> {
        let wrong = |message: &str| ErrorObject::new(ErrorCode::INVALID_PARAMS, message);
        let filter = params
            .get_object("notifications")
            .ok_or_else(|| wrong("`params.notifications` must be an object that says what to listen to"))?;
        let flag = |key: &str| match filter.get(key).map(RawValue::get) {
            None | Some("false" | "null") => Ok(false),
            Some("true") => Ok(true),
            Some(_) => Err(wrong(&format!("`params.notifications.{key}` must be a boolean"))),
        };
        let lists = Changes {
            tools: flag("toolsListChanged")?,
            prompts: flag("promptsListChanged")?,
            resources: flag("resourcesListChanged")?,
        };
        let texts = |key: &str, what: &str| match filter.get(key) {
            None => Ok(None),
            Some(raw) => {
                let wrong = || wrong(&format!("`params.notifications.{key}` must be an array of {what}"));
                let elements = RawArray::from_raw(raw).map_err(|_| wrong())?.0;
                let text = |raw: &RawValue| String::deserialize(raw).map_err(|_| wrong());
                elements.into_iter().map(text).collect::<Result<Vec<_>, _>>().map(Some)
            }
        };
        let (resources, tasks) = (texts("resourceSubscriptions", "URIs")?, texts("taskIds", "task ids")?);
        let count = |texts: &Option<Vec<String>>| texts.as_ref().map_or(0, Vec::len);
        if count(&resources) + count(&tasks) > MAX_SUBSCRIPTIONS {
            return Err(wrong(&format!("at most {MAX_SUBSCRIPTIONS} resources and tasks can be listened to at once")));
        }
        Ok(Self { lists, resources, tasks })
    }

    /// As the JSON object of an acknowledgment: what is not honoured is not in it.
    pub(crate) fn to_json(&self) -> String {
        let Changes { tools, prompts, resources } = self.lists;
        let lists = [(tools, "toolsListChanged"), (prompts, "promptsListChanged"), (resources, "resourcesListChanged")];
        let lists = lists.into_iter().filter(|(wanted, _)| *wanted).map(|(_, key)| format!("\"{key}\":true"));
        let texts = [("resourceSubscriptions", &self.resources), ("taskIds", &self.tasks)];
        let texts = texts.into_iter().filter_map(|(key, texts)| {
            let texts: Vec<_> = texts.as_ref()?.iter().map(|text| json_string(text).get().to_owned()).collect();
            Some(format!("\"{key}\":[{}]", texts.join(",")))
        });
        format!("{{{}}}", lists.chain(texts).collect::<Vec<_>>().join(","))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(filter: &str) -> Result<Filter, ErrorCode> {
        let params = format!("{{\"notifications\":{filter}}}");
        Filter::read(&RawObject::from_text(&params).expect("an object")).map_err(|error| error.code)
    }

    #[test]
    fn a_filter_is_read_or_refused() {
        let lists = Changes { tools: true, ..Changes::default() };
        let text = r#"{"toolsListChanged":true,"resourceSubscriptions":["a:b"],"taskIds":["a+1"],"vendor":1}"#;
        let (resources, tasks) = (Some(vec!["a:b".into()]), Some(vec!["a+1".into()]));
        assert_eq!(read(text), Ok(Filter { lists, resources, tasks }));
        assert_eq!(read("{}"), Ok(Filter::default()));
        let most = vec![r#""a""#; MAX_SUBSCRIPTIONS].join(",");
        let many = format!(r#"{{"resourceSubscriptions":[{most}],"taskIds":["a+1"]}}"#);
        for wrong in [
            "3",
            r#"{"toolsListChanged":1}"#,
            r#"{"resourceSubscriptions":"a"}"#,
            r#"{"resourceSubscriptions":[1]}"#,
            r#"{"taskIds":[null]}"#,
            &many,
        ] {
            assert_eq!(read(wrong), Err(ErrorCode::INVALID_PARAMS), "{wrong}");
        }
        assert!(Filter::read(&RawObject::default()).is_err());
    }

    proptest! {
        #[test]
        fn what_is_acknowledged_reads_like_a_filter(tools: bool, prompts: bool, resources: bool, texts in prop::array::uniform2(prop::option::of(prop::collection::vec("\\PC{0,9}", 0..4)))) {
            let lists = Changes { tools, prompts, resources };
            let [resources, tasks] = texts;
            let filter = Filter { lists, resources, tasks };
            prop_assert_eq!(read(&filter.to_json()), Ok(filter));
        }
    }
}
