//! What a request was let in by, for as long as it is under way: when that is not configured any more, it has to go.

use std::{fmt, rc::Rc};

use mcproxy_ipc::control::{GatewaySettings, TokenHash};

/// The settings by which a request was let in, and which of their tokens it had; `None`: none was needed.
#[derive(Clone)]
pub(super) struct Admission {
    settings: Rc<GatewaySettings>,
    token: Option<usize>,
}

impl Admission {
    pub(super) fn new(settings: Rc<GatewaySettings>, token: Option<usize>) -> Self {
        Self { settings, token }
    }

    /// Whose request it is, where there are tokens.
    pub(super) fn principal(&self) -> Option<&str> {
        self.token().map(|token| token.name.as_str())
    }

    fn token(&self) -> Option<&TokenHash> {
        self.settings.tokens.as_ref()?.get(self.token?)
    }

    /// Whether it would be let in as the same by these settings.
    pub(super) fn holds(&self, now: &GatewaySettings) -> bool {
        match (self.token(), &now.tokens) {
            (Some(token), Some(tokens)) => tokens.contains(token),
            (None, None) => true,
            (Some(_), None) | (None, Some(_)) => false,
        }
    }
}

impl fmt::Debug for Admission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Admission").field(&self.principal()).finish()
    }
}
