//! Exit codes.

use std::process::ExitCode;

/// How a command ended, for scripts (`sysexits.h`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// It did what was asked.
    Ok,
    /// The command was tried and failed: a tool's error, a refused restart.
    Failed,
    /// The command line is wrong, or names a server or tool that does not exist.
    Usage,
    /// There is no supervisor, no gateway, or the server is not up.
    Unavailable,
    /// The other side does not speak the protocol that we speak.
    Protocol,
    /// The token is missing or wrong, or the socket belongs to another user.
    Permission,
    /// The configuration has mistakes.
    Config,
}

impl Exit {
    /// The number.
    pub fn code(self) -> u8 {
        match self {
            Self::Ok => 0,
            Self::Failed => 1,
            Self::Usage => 64,
            Self::Unavailable => 69,
            Self::Protocol => 76,
            Self::Permission => 77,
            Self::Config => 78,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        ExitCode::from(exit.code())
    }
}
