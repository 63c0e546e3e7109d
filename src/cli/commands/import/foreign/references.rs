//! References in texts of other programs: what MCProxy cannot look up becomes a variable that a person sets. Pure.

use mcproxy_config::Json;

use super::{
    super::{
        report::{ImportReport, Weight},
        secret_file::{SecretFile, is_variable},
    },
    file::EditorQuestion,
};
use crate::cli::clients::ClientProgram;

/// What is known where a text stands.
pub(super) struct TextReader<'a> {
    pub(super) program: Option<ClientProgram>,
    /// The project that the server is for.
    pub(super) folder: Option<&'a str>,
    pub(super) questions: &'a [EditorQuestion],
    pub(super) about: &'a str,
    pub(super) secrets: &'a mut SecretFile,
    pub(super) report: &'a mut ImportReport,
}

impl TextReader<'_> {
    /// The value with all its texts read.
    pub(super) fn value(&mut self, value: &Json) -> Json {
        match value {
            Json::Text(text) => Json::Text(self.text(text)),
            Json::List(elements) => Json::List(elements.iter().map(|element| self.value(element)).collect()),
            Json::Object(members) => {
                Json::Object(members.iter().map(|(key, value)| (key.clone(), self.value(value))).collect())
            }
            Json::Null | Json::Bool(_) | Json::Number(_) => value.clone(),
        }
    }

    /// A text with references as MCProxy has them.
    fn text(&mut self, text: &str) -> String {
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        let opens: &[&str] =
            if self.program == Some(ClientProgram::OpenCode) { &["${", "{env:", "{file:"] } else { &["${"] };
        loop {
            let found = opens.iter().filter_map(|open| Some((rest.find(open)?, *open))).min();
            let Some((at, open)) = found else { break };
            let begin = at + open.len();
            let Some(end) = rest[begin..].find('}') else { break };
            out.push_str(&rest[..at]);
            let body = &rest[begin..begin + end];
            match open {
                "${" => out.push_str(&self.reference(body)),
                "{env:" if is_variable(body) => out.push_str(&format!("${{{body}}}")),
                "{file:" if body.starts_with('/') => out.push_str(&format!("${{file:{body}}}")),
                _ => out.push_str(&self.open(body, "OpenCode read this from a file")),
            }
            rest = &rest[begin + end + 1..];
        }
        out.push_str(rest);
        match self.program {
            Some(ClientProgram::Gemini) => bare_variables(&out),
            _ => out,
        }
    }

    /// What stands for the reference to `body`.
    fn reference(&mut self, body: &str) -> String {
        let name = body.split(":-").next().unwrap_or_default();
        if let Some(variable) = name.strip_prefix("env:").filter(|name| is_variable(name)) {
            return format!("${{{variable}{}}}", &body[name.len()..]);
        }
        if is_variable(name) && !matches!(name, "workspaceFolder" | "workspaceRoot" | "workspaceFolderBasename")
            || matches!(name, "/" | "pathSeparator")
        {
            return format!("${{{body}}}");
        }
        let Some((kind, of)) = name.split_once(':').or(Some((name, ""))) else { return format!("${{{body}}}") };
        match (kind, self.folder) {
            // MCProxy reads such a file itself.
            ("file", _) if of.starts_with('/') => format!("${{{body}}}"),
            ("workspaceFolder" | "workspaceRoot", Some(folder)) => folder.to_owned(),
            ("workspaceFolderBasename", Some(folder)) => folder.rsplit('/').next().unwrap_or(folder).to_owned(),
            ("workspaceFolder" | "workspaceRoot" | "workspaceFolderBasename", None) => {
                let text = "it is told the folder that the editor has open, which MCProxy does not know: write a path";
                self.report.add(Weight::ToDo, self.about, text);
                format!("${{{body}}}")
            }
            ("input", _) => {
                let question = self.questions.iter().find(|question| question.id == of).cloned();
                let what = question.as_ref().and_then(|question| question.description.clone());
                let asked = what
                    .map(|what| format!("the editor asked for \"{what}\""))
                    .unwrap_or_else(|| "the editor asked for it".to_owned());
                match question.and_then(|question| question.default) {
                    Some(default) => {
                        let variable = variable_of(of);
                        let text = format!("{asked}; set {variable} for another value than the default");
                        self.report.add(Weight::Note, self.about, text);
                        format!("${{{variable}:-{}}}", default.replace(['}', '{'], ""))
                    }
                    None => self.open(of, &asked),
                }
            }
            // `$${…}` is a text, and stays one.
            _ if of.is_empty() => format!("${{{body}}}"),
            _ => self.open(of, "only that program can look it up"),
        }
    }

    /// A variable that a person has to set.
    fn open(&mut self, of: &str, why: &str) -> String {
        let variable = variable_of(of);
        self.secrets.refer(&variable, None);
        self.report.add(Weight::ToDo, self.about, format!("set the variable {variable} where MCProxy runs: {why}"));
        format!("${{{variable}}}")
    }
}

fn variable_of(text: &str) -> String {
    let fit = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' };
    let name: String = text.chars().map(fit).take(64).collect();
    let name = name.trim_matches('_');
    if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) {
        format!("INPUT_{name}")
    } else {
        name.to_owned()
    }
}

/// `$NAME` as `${NAME}`, for a program that looks such up.
fn bare_variables(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        out.push_str(&rest[..at]);
        let behind = &rest[at + 1..];
        let length = behind.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(behind.len());
        let name = &behind[..length];
        if is_variable(name) && name.starts_with(|c: char| c.is_ascii_uppercase() || c == '_') {
            out.push_str(&format!("${{{name}}}"));
        } else {
            out.push('$');
            out.push_str(name);
        }
        rest = &behind[length..];
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(program: Option<ClientProgram>, folder: Option<&str>, text: &str) -> (String, SecretFile, ImportReport) {
        let (mut secrets, mut report) = (SecretFile::default(), ImportReport::default());
        let question = |id: &str, default: Option<&str>| EditorQuestion {
            id: id.to_owned(),
            description: Some("Your key".to_owned()),
            default: default.map(str::to_owned),
        };
        let questions = [question("api-key", None), question("host", Some("localhost"))];
        let mut reader = TextReader {
            program,
            folder,
            questions: &questions,
            about: "s",
            secrets: &mut secrets,
            report: &mut report,
        };
        let text = reader.text(text);
        (text, secrets, report)
    }

    #[test]
    fn references_are_put_into_ours_and_what_only_an_editor_knows_becomes_a_variable() {
        let (code, open, gemini) =
            (Some(ClientProgram::VsCode), Some(ClientProgram::OpenCode), Some(ClientProgram::Gemini));
        for (program, text, expected) in [
            (code, "a${env:HOME}b", "a${HOME}b"),
            (code, "${env:X:-y}", "${X:-y}"),
            (code, "${X:-y}", "${X:-y}"),
            (code, "${input:api-key}", "${API_KEY}"),
            (code, "${input:host}:1", "${HOST:-localhost}:1"),
            (code, "${workspaceFolder}/x", "/srv/app/x"),
            (code, "${workspaceFolderBasename}", "app"),
            (code, "${command:pick.one}", "${PICK_ONE}"),
            (code, "${userHome}${/}x", "${userHome}${/}x"),
            (code, "plain $X ${", "plain $X ${"),
            (open, "Bearer {env:KEY}", "Bearer ${KEY}"),
            (open, "{file:~/.key}", "${KEY}"),
            (open, "{file:/run/key}", "${file:/run/key}"),
            (code, "${file:/run/key}", "${file:/run/key}"),
            (gemini, "$KEY and ${OTHER}, 5$", "${KEY} and ${OTHER}, 5$"),
        ] {
            assert_eq!(read(program, Some("/srv/app"), text).0, expected, "{text}");
        }
        let (text, secrets, report) = read(code, None, "${input:api-key}${workspaceFolder}");
        assert_eq!(
            (text.as_str(), secrets.names().collect::<Vec<_>>()),
            ("${API_KEY}${workspaceFolder}", vec!["API_KEY"])
        );
        let todo = report.of(Weight::ToDo).join("\n");
        assert!(
            todo.contains("set the variable API_KEY") && todo.contains("Your key") && todo.contains("write a path"),
            "{todo}"
        );
    }

    proptest! {
        #[test]
        fn no_text_is_read_with_a_panic(text in "[${}a-cA-C:/é-]{0,30}") {
            for program in [None, Some(ClientProgram::OpenCode), Some(ClientProgram::Gemini)] {
                let _ = read(program, None, &text);
            }
        }
    }
}
