//! What a routing policy implements.

use crate::{Admission, Plan, Policy, Requirements, Session, Statement, Topology};

/// A routing policy. Calls come in the order of the methods, after
/// [`configure`](Policy::configure); see `wit/v0.1/router.wit`.
///
/// The host keeps a few instances of a policy and shares the calls among them.
pub trait Router: Policy {
    /// What the policy needs to see; by default kind, traits and transaction of a statement only.
    /// The less it asks for, the more requests share one plan. One that asks for
    /// [`RAW_TEXT`](crate::StatementAttributes) or `PARAMETERS` is asked for every execution, which takes
    /// microseconds each time; see [`Plan::kept_by`].
    fn setup(&self) -> Requirements {
        Requirements::default()
    }

    /// Called before the first [`route`](Self::route) and when roles, health, membership or labels
    /// of nodes changed.
    fn update_topology(&mut self, _topology: &Topology) -> Result<(), String> {
        Ok(())
    }

    /// A session starts.
    fn admit(&self, _session: &Session) -> Result<Admission, String> {
        Ok(Admission::Accept(Vec::new()))
    }

    /// Where statements of this shape go; for a policy that sees raw texts or parameters, where this
    /// execution goes.
    fn route(&self, session: &Session, statement: &Statement) -> Result<Plan, String>;
}

impl Default for Requirements {
    fn default() -> Self {
        Self {
            session: crate::SessionAttributes::empty(),
            session_parameters: Vec::new(),
            statement: crate::StatementAttributes::empty(),
            probes: Vec::new(),
        }
    }
}
