//! A routing policy that misbehaves as its settings say, for the tests of the host.
//!
//! In `route` it only misbehaves towards the user that the settings name, so that it passes the
//! test that every policy has to pass when it is loaded.

use howdah_plugin::{
    Admission, Plan, Policy, Requirements, Router, Session, SessionAttributes, Statement, StatementAttributes,
    Topology, export_router, log, metrics, state,
};
use serde::Deserialize;

/// What to do wrong, and to whom.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// What to do.
    pub misbehave: Misbehaviour,
    /// To whom; everybody else gets a good plan.
    #[serde(default = "mallory")]
    pub towards: String,
}

fn mallory() -> String {
    "mallory".to_owned()
}

/// Ways to misbehave, in `route` unless the name says otherwise.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
#[allow(missing_docs, reason = "named after what they do")]
pub enum Misbehaviour {
    None,
    Trap,
    Loop,
    Recursion,
    MemoryBomb,
    Error,
    HugeError,
    UnknownNode,
    ZeroByte,
    HugeList,
    NoRule,
    BadSqlstate,
    LogFlood,
    NoOpinion,
    Refuse,
    UseState,
    SeesTooMuch,
    TrapInSetup,
    LoopInConfigure,
    ErrorInTopology,
    TrapInAdmit,
    AskForProbe,
}

use Misbehaviour as Do;

/// The policy.
#[derive(Debug)]
pub struct Chaos(Settings);

impl Policy for Chaos {
    type Settings = Settings;
    const NAME: &'static str = "chaos";
    const SUMMARY: &'static str = "misbehaves";

    fn configure(settings: Settings) -> Result<Self, String> {
        if settings.misbehave == Do::LoopInConfigure {
            spin();
        }
        Ok(Self(settings))
    }
}

impl Router for Chaos {
    fn setup(&self) -> Requirements {
        assert!(self.0.misbehave != Do::TrapInSetup, "told to trap in setup");
        let probe = howdah_plugin::Probe {
            name: "bloat".to_owned(),
            sql: "SELECT 1".to_owned(),
            scope: howdah_plugin::ProbeScope::EveryNode,
            every: 1_000,
            timeout: 1_000,
        };
        let asks = self.0.misbehave == Do::AskForProbe;
        Requirements {
            session: SessionAttributes::USER,
            statement: StatementAttributes::HINTS,
            probes: asks.then_some(probe).into_iter().collect(),
            ..Requirements::default()
        }
    }

    fn update_topology(&mut self, _: &Topology) -> Result<(), String> {
        match self.0.misbehave {
            Do::ErrorInTopology => Err("told not to like any topology".to_owned()),
            _ => Ok(()),
        }
    }

    fn admit(&self, session: &Session) -> Result<Admission, String> {
        let victim = session.user == self.0.towards;
        assert!(!victim || self.0.misbehave != Do::TrapInAdmit, "told to trap in admit");
        Ok(Admission::Accept(vec![("admitted-by".to_owned(), "chaos".to_owned())]))
    }

    fn route(&self, session: &Session, statement: &Statement) -> Result<Plan, String> {
        if session.user == self.0.towards {
            misbehave(self.0.misbehave, session, statement)
        } else {
            Ok(Plan::primary().rule("well-behaved"))
        }
    }
}

fn misbehave(how: Do, session: &Session, statement: &Statement) -> Result<Plan, String> {
    match how {
        Do::Trap => panic!("told to trap"),
        Do::Loop => spin(),
        Do::Recursion => _ = recurse(&[0; 64]),
        Do::MemoryBomb => explode(),
        Do::Error => return Err("told to fail".to_owned()),
        Do::HugeError => return Err("x".repeat(8 << 20)),
        Do::UnknownNode => return Ok(Plan::node(4_711).rule("unknown-node")),
        Do::ZeroByte => return Ok(Plan::refuse("42501", "zero\0byte").rule("zero-byte")),
        Do::HugeList => {
            let keys = (0..100_000).map(|key| format!("key-{key}"));
            return Ok(Plan { stamp: keys.collect(), ..Plan::primary().rule("huge-list") });
        }
        Do::NoRule => return Ok(Plan::primary()),
        Do::BadSqlstate => return Ok(Plan::refuse("oops!", "no").rule("bad-sqlstate")),
        Do::LogFlood => (0..10_000).for_each(|line| log::error(&format!("line {line}"))),
        Do::NoOpinion => return Ok(Plan::built_in().rule("no-opinion")),
        Do::Refuse => return Ok(Plan::refuse("42501", "not for you").rule("refuse")),
        Do::UseState => return use_state(),
        Do::SeesTooMuch => return Ok(Plan::primary().rule(&seen(session, statement))),
        _ => {}
    }
    Ok(Plan::primary().rule("survived"))
}

fn spin() {
    let mut turns = 0_u64;
    while std::hint::black_box(turns) < u64::MAX {
        turns += 1;
    }
}

#[allow(unconditional_recursion, reason = "that is the misbehaviour")]
fn recurse(above: &[u8; 64]) -> u8 {
    let here = std::hint::black_box([above[0].wrapping_add(1); 64]);
    recurse(&here).wrapping_add(here[1])
}

fn explode() {
    let mut hoard: Vec<Vec<u8>> = Vec::new();
    loop {
        hoard.push(std::hint::black_box(vec![1; 1 << 20]));
    }
}

/// Counts its calls in the host's store and names the rule after the count.
fn use_state() -> Result<Plan, String> {
    metrics::counter_add("calls", 1, &[("kind".to_owned(), "state".to_owned())]);
    let calls = state::get("calls").map_err(|error| format!("{error:?}"))?;
    let calls = calls.map_or(0, |bytes| bytes[0]) + 1;
    state::put("calls", &[calls], None).map_err(|error| format!("{error:?}"))?;
    Ok(Plan::primary().rule(&format!("call-{calls}")))
}

/// Names the rule after everything that was not asked for but came.
fn seen(session: &Session, statement: &Statement) -> String {
    let texts = [&session.database, &session.application, &session.client_address];
    let session_says = texts.into_iter().filter(|text| !text.is_empty()).cloned();
    let statement_says = statement.tables.iter().map(|table| table.name.clone());
    let all: Vec<_> = session_says
        .chain(statement_says)
        .chain(statement.functions.clone())
        .chain(statement.normalized_text.clone())
        .collect();
    format!("saw [{}]", all.join(","))
}

export_router!(Chaos);
