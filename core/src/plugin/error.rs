//! What can be wrong with a plugin: before it runs, a reason to refuse the new generation; while
//! it runs, a reason to do without it this time.

use std::time::Duration;

use thiserror::Error;

use super::{role::Role, validate::Invalid};

/// Why a plugin cannot be used. Refuses the whole new generation; shown to the operator as is.
#[derive(Debug, Error)]
pub enum PluginError {
    /// The host itself cannot run components here.
    #[error("WebAssembly does not work here: {cause}")]
    Engine {
        /// What wasmtime says.
        cause: String,
    },
    /// Larger than any policy needs to be.
    #[error("the component has {bytes} bytes; at most {max} are read")]
    TooLarge {
        /// Its size.
        bytes: usize,
        /// The limit.
        max: usize,
    },
    /// Some other file.
    #[error("not a WebAssembly component: {what}")]
    NotAComponent {
        /// What it is instead, and what to do.
        what: &'static str,
    },
    /// Starts like a component, but is broken.
    #[error("the component is malformed: {cause}")]
    Malformed {
        /// What the validator says.
        cause: String,
    },
    /// Not the file that the operator pinned.
    #[error("the component's SHA-256 is {actual}, but `sha256` says {expected}")]
    Sha256 {
        /// From the configuration.
        expected: String,
        /// Of the file.
        actual: String,
    },
    /// Wants the operating system.
    #[error(
        "imports {import}, and policies get no WASI: rebuild with --stub-wasi (JavaScript), -s \
         (Python) or target wasm32-unknown-unknown (Rust, C)"
    )]
    Wasi {
        /// The first such import.
        import: String,
    },
    /// Made for another version of the contract.
    #[error(
        "built for plugin API {wants}; this host speaks {}: rebuild it with an SDK for {}",
        super::check::API,
        super::check::API
    )]
    OtherApi {
        /// The version in the component.
        wants: String,
    },
    /// Wants what the host does not have, or does not give to policies of this kind.
    #[error("imports {import}, which a {role} does not get: it may import howdah:plugin/{}", may_import(.role))]
    UnknownImport {
        /// What it was to be.
        role: Role,
        /// The first such import.
        import: String,
    },
    /// Is some other kind of plugin.
    #[error("not a {role}: it does not export howdah:plugin/{missing}; it exports {exports}")]
    WrongWorld {
        /// What it was to be.
        role: Role,
        /// What it must export for that.
        missing: &'static str,
        /// What it does export, in words.
        exports: String,
    },
    /// Names fit, types do not.
    #[error(
        "built against another revision of plugin API {}: rebuild it with this version's SDK ({cause})",
        super::check::API
    )]
    Revision {
        /// What wasmtime says.
        cause: String,
    },
    /// Valid, but Cranelift does not take it.
    #[error("the component does not compile: {cause}")]
    Compile {
        /// What wasmtime says.
        cause: String,
    },
    /// Valid, but takes too long.
    #[error("the component did not compile within {waited:?}")]
    CompileTimeout {
        /// How long we waited.
        waited: Duration,
    },
    /// The settings are too long to hand over.
    #[error("the settings have {bytes} bytes as JSON; at most {max} are passed")]
    SettingsTooLarge {
        /// Their size.
        bytes: usize,
        /// The limit.
        max: usize,
    },
    /// The operator granted something that does not exist.
    #[error("unknown grant `{grant}`: a policy may be granted `state`")]
    UnknownGrant {
        /// As written.
        grant: String,
    },
    /// The plugin needs queries run.
    #[error("asks for the probe `{probe}`, but this version runs no probes")]
    Probes {
        /// Name of its first probe.
        probe: String,
    },
    /// A call of the start-up sequence failed.
    #[error("{call} failed: {cause}")]
    Call {
        /// The exported function.
        call: &'static str,
        /// What happened.
        #[source]
        cause: Failure,
    },
}

/// Interfaces that it may import, without that of the types.
fn may_import(role: &Role) -> String {
    let (last, first) = role.importable()[1..].split_last().expect("every role may import the log");
    format!("{} and {last}", first.join(", "))
}

/// Why one call gave no answer that can be used.
#[derive(Debug, Error)]
pub enum Failure {
    /// The guest trapped; its instance is gone.
    #[error("it trapped: {cause}")]
    Trap {
        /// What wasmtime says, with what the guest logged last and its innermost frames.
        cause: String,
    },
    /// The guest did not finish in time; its instance is gone.
    #[error("it did not finish within {limit:?} of CPU time")]
    Timeout {
        /// The limit.
        limit: Duration,
    },
    /// The guest said that it could not.
    #[error("{message}")]
    Refused {
        /// In its own words.
        message: String,
    },
    /// The guest answered nonsense.
    #[error("its answer is invalid: {cause}")]
    Invalid {
        /// What is wrong with it.
        #[source]
        cause: Invalid,
    },
    /// All instances stayed busy.
    #[error("no instance became free within {waited:?}")]
    Busy {
        /// How long we waited.
        waited: Duration,
    },
}

impl Failure {
    /// One word for metrics and `EXPLAIN ROUTE`.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Trap { .. } => "trap",
            Self::Timeout { .. } => "timeout",
            Self::Refused { .. } => "error",
            Self::Invalid { .. } => "invalid plan",
            Self::Busy { .. } => "busy",
        }
    }

    /// The instance can be used again.
    pub(crate) fn leaves_instance_usable(&self) -> bool {
        matches!(self, Self::Refused { .. } | Self::Invalid { .. })
    }
}

/// An error of wasmtime with its causes, in one line.
pub(crate) fn chain(error: &wasmtime::Error) -> String {
    format!("{error:#}").replace('\n', " ")
}
