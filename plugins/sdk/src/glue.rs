//! Joins a policy to the exports of its world. Policies only see [`export_policy!`] and the shorter macros
//! for one role.

use std::{cell::RefCell, marker::PhantomData};

use crate::{
    Admission, NodeId, Plan, Policy, Requirements, Router, Session, Statement, Topology,
    bindings::{self, base::exports::howdah::plugin::lifecycle},
    failover::{self, Failover},
    follow_primary::{self, FollowPrimary},
    log,
    observation::Cluster,
    settings,
    sync_set::{self, SyncSet},
};

/// Exports a type as the component's policy, in one or several roles:
/// `export_policy!(MyPolicy: failover, sync_set);`.
///
/// The type implements [`Policy`](crate::Policy) and the trait of each role: `router`
/// ([`Router`](crate::Router)), `failover` ([`Failover`](crate::failover::Failover)), `follow_primary`
/// ([`FollowPrimary`](crate::follow_primary::FollowPrimary)), `sync_set`
/// ([`SyncSet`](crate::sync_set::SyncSet)). Natively the macro does nothing, so that a policy's crate can be
/// tested and linked like any other.
#[macro_export]
macro_rules! export_policy {
    ($policy:ty: $($role:ident),+ $(,)?) => {
        #[cfg(target_arch = "wasm32")]
        mod exported {
            use super::*;

            thread_local! {
                static POLICY: ::std::cell::RefCell<::std::option::Option<$policy>> =
                    const { ::std::cell::RefCell::new(None) };
            }

            pub struct Slot;

            impl $crate::Host for Slot {
                type Policy = $policy;

                fn with<R>(
                    act: impl FnOnce(&::std::cell::RefCell<::std::option::Option<$policy>>) -> R,
                ) -> R {
                    POLICY.with(act)
                }
            }

            type Exported = $crate::Glue<Slot>;
            $crate::bindings::base::export_base!(Exported with_types_in $crate::bindings::base);
            $($crate::export_role!($role);)+
        }
    };
}

/// Exports the functions of one role of `Exported`.
#[doc(hidden)]
#[macro_export]
macro_rules! export_role {
    (router) => {
        $crate::bindings::router::export_router_world!(Exported with_types_in $crate::bindings::router);
    };
    (failover) => {
        $crate::bindings::failover::export_failover_world!(Exported with_types_in $crate::bindings::failover);
    };
    (follow_primary) => {
        $crate::bindings::follow_primary::export_follow_primary_world!(
            Exported with_types_in $crate::bindings::follow_primary
        );
    };
    (sync_set) => {
        $crate::bindings::sync_set::export_sync_set_world!(Exported with_types_in $crate::bindings::sync_set);
    };
}

/// Exports a type that implements [`Router`](crate::Router) as the component's policy.
#[macro_export]
macro_rules! export_router {
    ($policy:ty) => {
        $crate::export_policy!($policy: router);
    };
}

/// Exports a type that implements [`Failover`](crate::failover::Failover) as the component's policy.
#[macro_export]
macro_rules! export_failover {
    ($policy:ty) => {
        $crate::export_policy!($policy: failover);
    };
}

/// Exports a type that implements [`FollowPrimary`](crate::follow_primary::FollowPrimary) as the component's
/// policy.
#[macro_export]
macro_rules! export_follow_primary {
    ($policy:ty) => {
        $crate::export_policy!($policy: follow_primary);
    };
}

/// Exports a type that implements [`SyncSet`](crate::sync_set::SyncSet) as the component's policy.
#[macro_export]
macro_rules! export_sync_set {
    ($policy:ty) => {
        $crate::export_policy!($policy: sync_set);
    };
}

/// Where the one policy of an instance lives.
pub trait Host: 'static {
    /// The policy.
    type Policy: Policy;

    /// Gives access to it.
    fn with<R>(act: impl FnOnce(&RefCell<Option<Self::Policy>>) -> R) -> R;
}

/// Implements the world's exports for the policy in `H`.
pub struct Glue<H>(PhantomData<H>);

const NOT_CONFIGURED: &str = "called before configure";

impl<H: Host> Glue<H> {
    fn ask<R>(act: impl FnOnce(&mut H::Policy) -> Result<R, String>) -> Result<R, String> {
        H::with(|slot| act(slot.borrow_mut().as_mut().ok_or(NOT_CONFIGURED)?))
    }
}

impl<H: Host> lifecycle::Guest for Glue<H> {
    fn describe() -> Result<lifecycle::Description, String> {
        log::catch_panics();
        Ok(lifecycle::Description {
            name: H::Policy::NAME.to_owned(),
            version: H::Policy::VERSION.to_owned(),
            summary: H::Policy::SUMMARY.to_owned(),
            settings_schema: H::Policy::SETTINGS_SCHEMA.map(str::to_owned),
        })
    }

    fn configure(given: lifecycle::Settings) -> Result<(), String> {
        log::catch_panics();
        let policy = H::Policy::configure(settings::parse(&given.json)?)?;
        H::with(|slot| slot.replace(Some(policy)));
        Ok(())
    }
}

impl<H: Host<Policy: Router>> bindings::router::exports::howdah::plugin::router::Guest for Glue<H> {
    fn setup() -> Result<Requirements, String> {
        Self::ask(|policy| Ok(policy.setup()))
    }

    fn update_topology(topology: Topology) -> Result<(), String> {
        Self::ask(|policy| policy.update_topology(&topology))
    }

    fn admit(session: Session) -> Result<Admission, String> {
        Self::ask(|policy| policy.admit(&session))
    }

    fn route(session: Session, statement: Statement) -> Result<Plan, String> {
        Self::ask(|policy| policy.route(&session, &statement))
    }
}

impl<H: Host<Policy: Failover>> bindings::failover::exports::howdah::plugin::failover::Guest for Glue<H> {
    fn setup() -> Result<failover::Requirements, String> {
        Self::ask(|policy| Ok(policy.setup()))
    }

    fn assess(cluster: Cluster) -> Result<failover::Verdict, String> {
        Self::ask(|policy| policy.assess(&cluster))
    }

    fn elect(
        cluster: Cluster,
        trigger: failover::Trigger,
        target: Option<NodeId>,
    ) -> Result<failover::Election, String> {
        Self::ask(|policy| policy.elect(&cluster, trigger, target))
    }
}

impl<H: Host<Policy: FollowPrimary>> bindings::follow_primary::exports::howdah::plugin::follow_primary::Guest
    for Glue<H>
{
    fn setup() -> Result<follow_primary::Requirements, String> {
        Self::ask(|policy| Ok(policy.setup()))
    }

    fn plan(event: follow_primary::PromotionEvent) -> Result<Vec<follow_primary::StandbyPlan>, String> {
        Self::ask(|policy| policy.plan(&event))
    }

    fn retry(
        event: follow_primary::PromotionEvent,
        failure: follow_primary::StepFailure,
    ) -> Result<follow_primary::StandbyPlan, String> {
        Self::ask(|policy| policy.retry(&event, &failure))
    }
}

impl<H: Host<Policy: SyncSet>> bindings::sync_set::exports::howdah::plugin::sync_set::Guest for Glue<H> {
    fn setup() -> Result<sync_set::Requirements, String> {
        Self::ask(|policy| Ok(policy.setup()))
    }

    fn decide(cluster: Cluster, current: Option<sync_set::StandbySet>) -> Result<sync_set::Decision, String> {
        Self::ask(|policy| policy.decide(&cluster, current.as_ref()))
    }
}
