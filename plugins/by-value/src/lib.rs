//! A routing policy that looks at more than shapes, for the tests of the host.
//!
//! Its settings say where it finds one value for a request. A read goes to the node of that name; if there
//! is none, to a standby that has what was stamped with that value, and whatever may write is stamped with it.

use std::collections::HashMap;

use howdah_plugin::{
    NodeId, ParameterValue, Plan, Policy, Requirements, Router, Session, Statement, StatementAttributes,
    StatementTraits, Topology, export_router, settings::Millis,
};
use serde::Deserialize;

/// What to look at.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Where the value is.
    pub see: See,
    /// Which session parameter has it, with `see = "session-parameter"`.
    #[serde(default)]
    pub session_parameter: String,
    /// Plans are kept by the value of the first parameter.
    #[serde(default)]
    pub kept: bool,
    /// How long a read waits for a standby. Default not at all.
    #[serde(default)]
    pub wait: Millis,
}

/// Places where a value can be.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum See {
    /// The first text in single quotes.
    RawText,
    /// The first bound value.
    Parameters,
    /// What the client has set.
    SessionParameter,
    /// The hint `value`, which is part of the shape.
    Hints,
}

/// The policy.
#[derive(Debug)]
pub struct ByValue {
    settings: Settings,
    nodes: HashMap<String, NodeId>,
}

impl Policy for ByValue {
    type Settings = Settings;
    const NAME: &'static str = "by-value";
    const SUMMARY: &'static str = "routes by a value that is in no shape";

    fn configure(settings: Settings) -> Result<Self, String> {
        Ok(Self { settings, nodes: HashMap::new() })
    }
}

impl Router for ByValue {
    fn setup(&self) -> Requirements {
        let mut needs = Requirements::default();
        match self.settings.see {
            See::RawText => needs.statement = StatementAttributes::RAW_TEXT,
            See::Parameters => needs.statement = StatementAttributes::PARAMETERS,
            See::SessionParameter => needs.session_parameters.push(self.settings.session_parameter.clone()),
            See::Hints => needs.statement = StatementAttributes::HINTS,
        }
        needs
    }

    fn update_topology(&mut self, topology: &Topology) -> Result<(), String> {
        self.nodes = topology.nodes.iter().map(|node| (node.name.clone(), node.id)).collect();
        Ok(())
    }

    fn route(&self, session: &Session, statement: &Statement) -> Result<Plan, String> {
        let plan = match self.value(session, statement) {
            None => Plan::primary().rule("no-value"),
            Some(value) => self.plan(&value, statement)?,
        };
        Ok(if self.settings.kept { plan.kept_by(0) } else { plan })
    }
}

impl ByValue {
    fn value(&self, session: &Session, statement: &Statement) -> Option<String> {
        match self.settings.see {
            See::RawText => statement.raw_text.as_ref()?.split('\'').nth(1).map(str::to_owned),
            See::Parameters => Some(match statement.parameter(0)? {
                ParameterValue::Null => "null".to_owned(),
                ParameterValue::Text(text) => text.clone(),
                ParameterValue::Opaque(bytes) => format!("opaque {bytes:?}"),
            }),
            See::SessionParameter => session.parameter(&self.settings.session_parameter).map(str::to_owned),
            See::Hints => statement.hint("value").map(str::to_owned),
        }
    }

    fn plan(&self, value: &str, statement: &Statement) -> Result<Plan, String> {
        Ok(match value {
            "fail" => return Err("told to fail".to_owned()),
            "refuse" => Plan::refuse("42501", "not this value").rule("refuse"),
            "no-opinion" => Plan::built_in().stamp(value),
            _ if !statement.is_plain_read() => self.write(value, statement),
            _ => match self.nodes.get(value) {
                Some(id) => Plan::node(*id).rule("node"),
                None => Plan::replicas().writes_of(value, self.settings.wait.0).rule("key"),
            },
        })
    }

    fn write(&self, value: &str, statement: &Statement) -> Plan {
        let reads = statement.traits.contains(StatementTraits::READ_ONLY);
        let plan = Plan::primary().rule(if reads { "other" } else { "write" });
        if reads { plan } else { plan.stamp(value) }
    }
}

export_router!(ByValue);
