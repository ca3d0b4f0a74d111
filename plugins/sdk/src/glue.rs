//! Joins a [`Router`] to the exports of the world. Policies only see [`export_router!`].

use std::{cell::RefCell, marker::PhantomData};

use crate::{
    Admission, Plan, Requirements, Router, Session, Statement, Topology,
    bindings::exports::howdah::plugin::{
        lifecycle::{Description, Guest as Lifecycle, Settings},
        router::Guest,
    },
    log, settings,
};

/// Exports a type that implements [`Router`](crate::Router) as the component's policy.
///
/// Natively it does nothing, so that a policy's crate can be tested and linked like any other.
#[macro_export]
macro_rules! export_router {
    ($router:ty) => {
        #[cfg(target_arch = "wasm32")]
        mod exported {
            use super::*;

            thread_local! {
                static ROUTER: ::std::cell::RefCell<::std::option::Option<$router>> =
                    const { ::std::cell::RefCell::new(None) };
            }

            pub struct Slot;

            impl $crate::Host for Slot {
                type Router = $router;

                fn with<R>(
                    act: impl FnOnce(&::std::cell::RefCell<::std::option::Option<$router>>) -> R,
                ) -> R {
                    ROUTER.with(act)
                }
            }

            type Exported = $crate::Glue<Slot>;
            $crate::bindings::export_world!(Exported with_types_in $crate::bindings);
        }
    };
}

/// Where the one router of an instance lives.
pub trait Host: 'static {
    /// The policy.
    type Router: Router;

    /// Gives access to it.
    fn with<R>(act: impl FnOnce(&RefCell<Option<Self::Router>>) -> R) -> R;
}

/// Implements the world's exports for the router in `H`.
pub struct Glue<H>(PhantomData<H>);

const NOT_CONFIGURED: &str = "called before configure";

impl<H: Host> Lifecycle for Glue<H> {
    fn describe() -> Result<Description, String> {
        log::catch_panics();
        Ok(Description {
            name: H::Router::NAME.to_owned(),
            version: H::Router::VERSION.to_owned(),
            summary: H::Router::SUMMARY.to_owned(),
            settings_schema: H::Router::SETTINGS_SCHEMA.map(str::to_owned),
        })
    }

    fn configure(given: Settings) -> Result<(), String> {
        log::catch_panics();
        let router = H::Router::configure(settings::parse(&given.json)?)?;
        H::with(|slot| slot.replace(Some(router)));
        Ok(())
    }
}

impl<H: Host> Guest for Glue<H> {
    fn setup() -> Result<Requirements, String> {
        H::with(|slot| Ok(slot.borrow().as_ref().ok_or(NOT_CONFIGURED)?.setup()))
    }

    fn update_topology(topology: Topology) -> Result<(), String> {
        H::with(|slot| slot.borrow_mut().as_mut().ok_or(NOT_CONFIGURED)?.update_topology(&topology))
    }

    fn admit(session: Session) -> Result<Admission, String> {
        H::with(|slot| slot.borrow().as_ref().ok_or(NOT_CONFIGURED)?.admit(&session))
    }

    fn route(session: Session, statement: Statement) -> Result<Plan, String> {
        H::with(|slot| slot.borrow().as_ref().ok_or(NOT_CONFIGURED)?.route(&session, &statement))
    }
}
