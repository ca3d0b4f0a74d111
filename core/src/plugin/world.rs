//! One type for each role: which exports it calls, how often at once, and for how long.

use std::time::Duration;

use wasmtime::{
    Store,
    component::{Instance, InstancePre},
};

use super::{
    host::HostState,
    role::Role,
    v0_1::{failover, follow_primary, howdah::plugin::types::Probe, router, sync_set},
};

/// What bindgen's functions return: a trap, or the guest's own result.
pub(crate) type Answer<R> = wasmtime::Result<Result<R, String>>;

/// How much of the machine the policies of a role may use.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Instances of one policy in one generation.
    pub(crate) instances: usize,
    /// CPU time for one decision.
    pub(crate) decision: Duration,
    /// CPU time for each start-up call of a replacement, which somebody waits for.
    pub(crate) restart: Duration,
    /// Longest wait for one of the instances. Only loops of the guest make it so long.
    pub(crate) busy: Duration,
}

/// A decision that nobody's request waits for. A Python guest needs far less, and a failover should
/// not wait for a policy that loops for longer than it takes to notice that a primary is gone.
const CONTROL: Limits = Limits {
    instances: 1,
    decision: Duration::from_millis(200),
    restart: Duration::from_secs(1),
    busy: Duration::from_secs(2),
};

/// What a policy of one role exports beside `lifecycle`.
pub(crate) trait World: 'static {
    /// Which role.
    const ROLE: Role;
    /// What its policies may use.
    const LIMITS: Limits;
    /// Where the functions are in a component.
    type Places: Send + Sync;
    /// The functions of one instance.
    type Exports: Send;
    /// What `setup` asks for.
    type Requirements;

    /// Finds the functions in a component that exports their interface.
    fn find(component: &InstancePre<HostState>) -> wasmtime::Result<Self::Places>;

    /// Takes the functions from an instance of it.
    fn take(
        places: &Self::Places,
        store: &mut Store<HostState>,
        instance: &Instance,
    ) -> wasmtime::Result<Self::Exports>;

    /// Calls `setup`.
    fn setup(exports: &Self::Exports, store: &mut Store<HostState>) -> Answer<Self::Requirements>;

    /// The probes among what it asked for.
    fn probes(requirements: &Self::Requirements) -> &[Probe];
}

macro_rules! world {
    ($(#[$doc:meta])* $world:ident, $interface:ident, $role:expr, $limits:expr) => {
        $(#[$doc])*
        #[derive(Debug)]
        pub(crate) struct $world;

        impl World for $world {
            const ROLE: Role = $role;
            const LIMITS: Limits = $limits;
            type Places = $interface::GuestIndices;
            type Exports = $interface::Guest;
            type Requirements = $interface::Requirements;

            fn find(component: &InstancePre<HostState>) -> wasmtime::Result<Self::Places> {
                $interface::GuestIndices::new(component)
            }

            fn take(
                places: &Self::Places,
                store: &mut Store<HostState>,
                instance: &Instance,
            ) -> wasmtime::Result<Self::Exports> {
                places.load(store, instance)
            }

            fn setup(exports: &Self::Exports, store: &mut Store<HostState>) -> Answer<Self::Requirements> {
                exports.call_setup(store)
            }

            fn probes(requirements: &Self::Requirements) -> &[Probe] {
                &requirements.probes
            }
        }
    };
}

world!(
    /// Routers are called by all workers; a plan is asked for once per key, so a few instances serve any
    /// number of them.
    RouterWorld,
    router,
    Role::Router,
    Limits {
        instances: 4,
        decision: Duration::from_millis(5),
        restart: Duration::from_millis(50),
        busy: Duration::from_millis(20),
    }
);

world!(
    /// Failover policies.
    FailoverWorld,
    failover,
    Role::Failover,
    CONTROL
);

world!(
    /// Policies for what follows a promotion.
    FollowWorld,
    follow_primary,
    Role::FollowPrimary,
    CONTROL
);

world!(
    /// Policies for the synchronous set.
    SyncSetWorld,
    sync_set,
    Role::SyncSet,
    CONTROL
);
