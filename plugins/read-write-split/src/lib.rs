//! The default routing policy: writes go to the primary, reads to the standbys.
//!
//! [`decide`](decide::decide) is the whole policy, a pure function; [`settings`] is what operators
//! may say. `cases.toml` lists what must come out, for this crate natively and for the component.

use std::collections::BTreeMap;

use howdah_plugin::{
    NodeId, Plan, Policy, Requirements, Router, Session, SessionAttributes, Statement, StatementAttributes, Topology,
    export_router, log,
};

pub mod decide;
pub mod settings;

pub use settings::Settings;

/// The policy with its settings and the names of the nodes.
#[derive(Clone, Debug, Default)]
pub struct ReadWriteSplit {
    /// What the operator wants.
    pub settings: Settings,
    /// Numbers of the nodes, by name.
    pub nodes: BTreeMap<String, NodeId>,
}

impl Policy for ReadWriteSplit {
    type Settings = Settings;
    const NAME: &'static str = "read-write-split";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const SUMMARY: &'static str = "writes to the primary, reads to the standbys";

    fn configure(settings: Settings) -> Result<Self, String> {
        settings.check()?;
        Ok(Self { settings, nodes: BTreeMap::new() })
    }
}

impl Router for ReadWriteSplit {
    /// Asks only for what the settings make use of, so that as many requests as can be share a plan.
    fn setup(&self) -> Requirements {
        let Settings { application_preferences, user_preferences, database_preferences, .. } = &self.settings;
        let mut session = SessionAttributes::empty();
        session.set(SessionAttributes::APPLICATION, !application_preferences.is_empty());
        session.set(SessionAttributes::USER, !user_preferences.is_empty());
        session.set(SessionAttributes::DATABASE, !database_preferences.is_empty());

        let names_functions =
            !self.settings.read_only_functions.is_empty() || !self.settings.write_functions.is_empty();
        let mut statement = StatementAttributes::empty();
        statement.set(StatementAttributes::HINTS, self.settings.hints);
        statement.set(StatementAttributes::FUNCTIONS, names_functions);
        Requirements { session, statement, ..Requirements::default() }
    }

    fn update_topology(&mut self, topology: &Topology) -> Result<(), String> {
        self.nodes = topology.nodes.iter().map(|node| (node.name.clone(), node.id)).collect();
        for name in self.settings.preferred_nodes().filter(|name| !self.nodes.contains_key(*name)) {
            log::warn(&format!("a preference names `{name}`, which is no node of this cluster"));
        }
        Ok(())
    }

    fn route(&self, session: &Session, statement: &Statement) -> Result<Plan, String> {
        Ok(decide::decide(self, session, statement))
    }
}

export_router!(ReadWriteSplit);
