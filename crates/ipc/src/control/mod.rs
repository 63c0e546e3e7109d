//! The control plane: what the supervisor and the others tell each other. One enum per direction; small messages,
//! never a payload of a call.

mod gateway;
mod login;
mod oauth;
mod operator;
mod token;
mod web_page;
mod worker;

pub use gateway::{
    Answer, ConnectionLimits, GatewaySettings, GatewayToSupervisor, Group, HeaderForwarding, PinPolicy, Question,
    SupervisorToGateway, ToolView,
};
pub use login::{LoginTask, LoginToSupervisor, MAX_CALLBACK, SupervisorToLogin};
pub use oauth::{IssuerSettings, OAuthSettings, ScopeGrant};
pub use operator::{OperatorToSupervisor, SupervisorToOperator};
pub use token::{TokenAccess, TokenHash, TokenStatus};
pub use web_page::{Act, ActOutcome, ActingCaller, OwnedLine, ReloadChange, ShownConfig, ShownProblem};
pub use worker::{SupervisorToWorker, WorkerToSupervisor};
