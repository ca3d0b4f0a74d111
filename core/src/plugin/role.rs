//! The kinds of policies, and the contract's names for them.

use std::fmt;

/// What a policy is asked to decide.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// Where statements go.
    Router,
    /// Whether the primary is lost, and whom to promote.
    Failover,
    /// What standbys do after a promotion.
    FollowPrimary,
    /// For whom commits wait.
    SyncSet,
}

impl Role {
    /// The roles of the control plane.
    pub const CONTROL: [Self; 3] = [Self::Failover, Self::FollowPrimary, Self::SyncSet];

    /// Its key in `[plugins]`.
    pub fn key(self) -> &'static str {
        match self {
            Self::Router => "router",
            Self::Failover => "failover",
            Self::FollowPrimary => "follow-primary",
            Self::SyncSet => "sync-set",
        }
    }

    /// The interface that a policy of this kind exports beside `lifecycle`.
    pub(super) fn interface(self) -> &'static str {
        self.key()
    }

    /// Interfaces of the contract that it may import.
    pub(super) fn importable(self) -> &'static [&'static str] {
        match self {
            Self::Router => &["types", "log", "metrics", "state"],
            Self::Failover | Self::FollowPrimary | Self::SyncSet => {
                &["types", "observation", "log", "metrics", "state", "node-sql"]
            }
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Router => "router",
            Self::Failover => "failover policy",
            Self::FollowPrimary => "follow-primary policy",
            Self::SyncSet => "sync-set policy",
        })
    }
}
