//! How the processes of MCProxy talk to each other.
//!
//! Two planes, one frame format:
//!
//! - **control** (supervisor ↔ worker, gateway, operator): small [`control`] messages, never a payload. Workers and the gateway
//!   inherit their connection ([`Inherited`]); only people's `mcproxy` calls at a path ([`Listener`]).
//! - **data** (gateway ↔ worker): a small [`data`] header plus raw JSON bytes that this crate never looks into, on two pipes
//!   that the supervisor makes and hands to both over their control connections ([`DataEnd`]).
//!
//! Every frame says its magic and wire version and is bounded before anything is allocated ([`frame`]).
//! There is one message enum per direction, so a worker cannot even encode what only a gateway may say.
//! `bincode` is named in one private file, `codec.rs`: replacing it is a change of that file alone.

mod activity;
mod approval;
mod audit;
mod authority;
mod catalogue;
mod catalogue_room;
mod codec;
pub mod control;
pub mod data;
mod descriptors;
pub mod disk;
mod embeddings;
pub mod environment;
pub mod frame;
mod generation;
mod half;
mod hello;
mod inherited;
pub mod kept_file;
mod large;
pub mod log;
mod login;
mod memory;
mod moment;
mod name;
mod our_program;
pub mod package_runner;
mod pipes;
pub mod processes;
mod program;
mod rate;
mod reach;
pub mod regular_file;
mod runtime_dir;
mod sealed;
mod secret;
pub mod secret_words;
mod server_transport;
mod session;
mod socket;
mod spec;
mod state;
mod state_dir;
mod status;
mod sweep;
mod token_bucket;
mod unprintable;

pub use activity::Activity;
pub use approval::{
    ApprovalDecision, ApprovalMode, ApprovalNote, ApprovalRule, ApprovalTerms, HeldCall, HoldEnd, MAX_APPROVAL_RULES,
    MAX_APPROVAL_TEXT, MAX_HELD_CALLS, MAX_HELD_CALLS_EACH, MAX_SHOWN_ARGUMENTS, Remember, ServerApprovals,
};
pub use audit::{AUDIT_UNWRITTEN, AuditRecord, AuditTerms};
pub use authority::{
    INTROSPECT_METHOD, IntrospectParams, IntrospectResult, KEYS_METHOD, KeysResult, MAX_AUTHORITIES, MAX_INTROSPECTED,
    OAUTH_PRINCIPAL, authority_name, is_authority,
};
pub use catalogue::CatalogueKey;
pub use catalogue_room::CatalogueRoom;
pub use codec::CodecError;
pub use descriptors::{DescriptorHalf, Parcel};
pub use embeddings::{EMBED_METHOD, EMBEDDINGS_FILE, EmbedParams, EmbedResult, MAX_EMBED_TEXT, MAX_EMBED_TEXTS};
pub use frame::{FrameError, Part, Receiver, Sender};
pub use generation::Generation;
pub use half::{ReadHalf, WriteHalf};
pub use hello::{Hello, HelloError, Verdict, introduce, receive_hello};
pub use inherited::{ChildConnection, Inherited, take_stdin};
pub use log::{LogLevel, LogRecord, LogSource};
pub use login::{LoginKey, LoginPlace, OAuthGrant, OAuthSpec};
pub use memory::{DUMPABLE_VARIABLE, keep_memory_private};
pub use moment::{moment, unix_millis, unix_seconds};
pub use name::{EMBEDDINGS_SERVER, NameError, ServerName};
pub use our_program::{REMOTE_WORKER, WORKER, our_program};
pub use pipes::DataEnd;
pub use program::find_program;
pub use rate::{RateLimit, ServerRates};
pub use reach::{
    AuthoritySpec, EmbeddingsSpec, HttpDialect, HttpProxy, HttpSpec, HttpTls, LaunchSpec, PemSource, Reach,
};
pub use runtime_dir::{RUNTIME_DIR_VARIABLE, SYSTEM_RUNTIME_DIR, default_runtime_dir, runtime_dirs, supervisor_socket};
pub use sealed::SealedOrder;
pub use secret::Secret;
pub use server_transport::ServerTransport;
pub use session::{MAX_SNAPSHOT, SealKey, SessionKey, StoredSession};
pub use socket::{Connection, Listener, Peer, connect};
pub use spec::{
    CallTimeouts, ClientDeclaration, ClientFeatures, EraEvidence, EraRule, INSTALL_LIMIT, InstanceRules, Instances,
    ServerLimits, SuspicionRule, ToolAnnotations, ToolRules, WorkerSpec,
};
pub use state::{EndReason, Ended, Need, Route, ServerState};
pub use state_dir::default_state_dir;
pub use status::{
    CatalogueCounts, ChangeStatus, ConfigSource, InstanceCount, LifecycleEvent, ListFailure, LogLine, ProcessStatus,
    RunningInstances, ServerDescription, ServerStatus, StartStatus, StatusReport,
};
pub use sweep::{Swept, sweep};
pub use token_bucket::TokenBucket;
pub use unprintable::is_unprintable;
