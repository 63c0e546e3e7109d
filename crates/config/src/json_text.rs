//! JSON as a person would write it: in a given order, and on one line what fits there.

/// Columns of a line.
const WIDTH: usize = 110;

/// A value whose members keep their order.
#[derive(Debug, Clone, PartialEq)]
pub enum Json {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number.
    Number(f64),
    /// A string.
    Text(String),
    /// An array.
    List(Vec<Json>),
    /// An object.
    Object(Vec<(String, Json)>),
}

/// How the lines of a file are made.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Layout<'a> {
    /// Before the line on which the value begins.
    pub(crate) base: &'a str,
    /// One step further in.
    pub(crate) unit: &'a str,
    /// Between two lines.
    pub(crate) newline: &'a str,
}

const OWN_LAYOUT: Layout<'_> = Layout { base: "", unit: "  ", newline: "\n" };

impl Json {
    /// A list of texts.
    pub fn texts<T: Into<String>>(texts: impl IntoIterator<Item = T>) -> Self {
        Self::List(texts.into_iter().map(|text| Self::Text(text.into())).collect())
    }

    /// An object of texts.
    pub fn pairs(pairs: impl IntoIterator<Item = (String, String)>) -> Self {
        Self::Object(pairs.into_iter().map(|(key, value)| (key, Self::Text(value))).collect())
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        match self {
            Self::List(elements) => elements.is_empty(),
            Self::Object(members) => members.is_empty(),
            Self::Null | Self::Bool(_) | Self::Number(_) | Self::Text(_) => false,
        }
    }

    /// The value of a member, when this is an object that has it.
    pub fn get(&self, key: &str) -> Option<&Self> {
        self.members().iter().find(|(known, _)| known == key).map(|(_, value)| value)
    }

    /// The members of an object; none for anything else.
    pub fn members(&self) -> &[(String, Self)] {
        match self {
            Self::Object(members) => members,
            Self::Null | Self::Bool(_) | Self::Number(_) | Self::Text(_) | Self::List(_) => &[],
        }
    }

    /// The elements of a list; none for anything else.
    pub fn elements(&self) -> &[Self] {
        match self {
            Self::List(elements) => elements,
            Self::Null | Self::Bool(_) | Self::Number(_) | Self::Text(_) | Self::Object(_) => &[],
        }
    }

    /// The string, when this is one.
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Null | Self::Bool(_) | Self::Number(_) | Self::List(_) | Self::Object(_) => None,
        }
    }

    /// The whole text of a file.
    pub fn file(&self) -> String {
        let mut out = String::new();
        self.write(&mut out, OWN_LAYOUT, 0, 0, true);
        out.push('\n');
        out
    }

    /// The text of a part of a file. `column`: how far its line is written already.
    pub(crate) fn part(&self, layout: Layout<'_>, column: usize) -> String {
        let mut out = String::new();
        self.write(&mut out, layout, 0, column, false);
        out
    }

    /// `column`: how far the line is written already. `open`: it is never put on one line.
    fn write(&self, out: &mut String, layout: Layout<'_>, depth: usize, column: usize, open: bool) {
        let line = self.line();
        if !open && column + width(&line) < WIDTH || self.is_empty() {
            return out.push_str(&line);
        }
        let Layout { base, unit, newline } = layout;
        let outer = format!("{newline}{base}{}", unit.repeat(depth));
        let inner = format!("{outer}{unit}");
        let column = width(&inner) - width(newline);
        match self {
            Self::Null | Self::Bool(_) | Self::Number(_) | Self::Text(_) => out.push_str(&line),
            Self::List(elements) => {
                out.push('[');
                for (at, element) in elements.iter().enumerate() {
                    out.push_str(if at == 0 { "" } else { "," });
                    out.push_str(&inner);
                    element.write(out, layout, depth + 1, column, false);
                }
                out.push_str(&outer);
                out.push(']');
            }
            Self::Object(members) => {
                out.push('{');
                for (at, (key, value)) in members.iter().enumerate() {
                    out.push_str(if at == 0 { "" } else { "," });
                    out.push_str(&inner);
                    let key = quoted(key);
                    out.push_str(&key);
                    out.push_str(": ");
                    // The file and what holds servers and groups are lists for people: one of them a line at least.
                    let open = open
                        && depth == 0
                        && matches!(value, Self::Object(inner) if inner.iter().any(|(_, v)| matches!(v, Self::Object(_))));
                    value.write(out, layout, depth + 1, column + width(&key) + 2, open);
                }
                out.push_str(&outer);
                out.push('}');
            }
        }
    }

    /// All of it on one line.
    pub(crate) fn line(&self) -> String {
        match self {
            Self::Null => "null".to_owned(),
            Self::Bool(truth) => truth.to_string(),
            Self::Number(number) => number.to_string(),
            Self::Text(text) => quoted(text),
            Self::List(elements) => format!("[{}]", elements.iter().map(Self::line).collect::<Vec<_>>().join(", ")),
            Self::Object(members) => {
                let member = |(key, value): &(String, Self)| format!("{}: {}", quoted(key), value.line());
                format!("{{{}}}", members.iter().map(member).collect::<Vec<_>>().join(", "))
            }
        }
    }
}

/// A string as JSON writes it.
pub(crate) fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

fn width(text: &str) -> usize {
    text.chars().count()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    fn values() -> impl Strategy<Value = Json> {
        let leaf = prop_oneof![
            any::<bool>().prop_map(Json::Bool),
            (-1000_i32..1000).prop_map(|number| Json::Number(f64::from(number) / 4.0)),
            "\\PC{0,50}".prop_map(Json::Text),
        ];
        leaf.prop_recursive(4, 30, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Json::List),
                prop::collection::btree_map("[a-z\"]{0,9}", inner, 0..4)
                    .prop_map(|map| Json::Object(map.into_iter().collect())),
            ]
        })
    }

    fn plain(json: &Json) -> Value {
        match json {
            Json::Null => Value::Null,
            Json::Bool(truth) => (*truth).into(),
            Json::Number(number) => (*number).into(),
            Json::Text(text) => text.as_str().into(),
            Json::List(elements) => elements.iter().map(plain).collect(),
            Json::Object(members) => members.iter().map(|(key, value)| (key.clone(), plain(value))).collect(),
        }
    }

    fn same(one: &Value, other: &Value) -> bool {
        match (one, other) {
            (Value::Number(one), Value::Number(other)) => one.as_f64() == other.as_f64(),
            (Value::Array(one), Value::Array(other)) => {
                one.len() == other.len() && one.iter().zip(other).all(|(one, other)| same(one, other))
            }
            (Value::Object(one), Value::Object(other)) => {
                one.len() == other.len()
                    && one.iter().all(|(key, value)| other.get(key).is_some_and(|o| same(value, o)))
            }
            (one, other) => one == other,
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_as_it_was(json in values()) {
            let read: Value = serde_json::from_str(&json.file()).expect("JSON");
            prop_assert!(same(&read, &plain(&json)), "{}", json.file());
        }
    }

    #[test]
    fn what_fits_is_on_one_line() {
        let server = |args: Vec<String>| {
            Json::Object(vec![("command".into(), Json::Text("npx".into())), ("args".into(), Json::texts(args))])
        };
        let file = Json::Object(vec![
            ("listen".into(), Json::Text("127.0.0.1:1".into())),
            (
                "mcpServers".into(),
                Json::Object(vec![
                    ("a".into(), server(vec!["-y".into(), "x".into()])),
                    ("b".into(), server(vec!["long".repeat(12), "long".repeat(12)])),
                ]),
            ),
        ]);
        let long = "long".repeat(12);
        let expected = format!(
            "{{\n  \"listen\": \"127.0.0.1:1\",\n  \"mcpServers\": {{\n    \"a\": {{\"command\": \"npx\", \"args\": [\"-y\", \"x\"]}},\n    \
             \"b\": {{\n      \"command\": \"npx\",\n      \"args\": [\n        \"{long}\",\n        \"{long}\"\n      ]\n    }}\n  }}\n}}\n"
        );
        assert_eq!(file.file(), expected);
    }
}
