//! How much of the confinement is wanted.

use serde::{Deserialize, Serialize};

/// The key `hardening` of the configuration.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Hardening {
    /// All of it, or MCProxy does not start.
    Strict,
    /// All that this machine gives; what is missing is reported ([`crate::Degradation`]).
    #[default]
    BestEffort,
    /// None.
    Off,
}

impl Hardening {
    /// Its name, as in the configuration.
    pub fn name(self) -> &'static str {
        match self {
            Self::Strict => "strict",
            Self::BestEffort => "best-effort",
            Self::Off => "off",
        }
    }

    /// Whether anything is asked of the kernel.
    pub fn is_on(self) -> bool {
        self != Self::Off
    }
}
