//! Which of its lists a client has to look at again.

use super::ListKind;

/// Which lists differ between two views.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Changes {
    /// `tools/list`
    pub(crate) tools: bool,
    /// `prompts/list`
    pub(crate) prompts: bool,
    /// `resources/list` or `resources/templates/list`
    pub(crate) resources: bool,
}

impl Changes {
    /// All lists changed, or it is not known which.
    pub(crate) const ALL: Self = Self { tools: true, prompts: true, resources: true };

    /// Those of both.
    pub(crate) fn or(self, other: Self) -> Self {
        Self {
            tools: self.tools || other.tools,
            prompts: self.prompts || other.prompts,
            resources: self.resources || other.resources,
        }
    }

    /// The same with one more.
    pub(crate) fn with(self, kind: ListKind) -> Self {
        match kind {
            ListKind::Tools => Self { tools: true, ..self },
            ListKind::Prompts => Self { prompts: true, ..self },
            ListKind::Resources | ListKind::Templates => Self { resources: true, ..self },
        }
    }
}
