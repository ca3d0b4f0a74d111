//! A routing policy: reports read from the nodes that are there for them, other reads from any
//! standby, everything else goes to the primary.

use howdah_plugin::{
    Plan, Policy, Requirements, Router, Session, SessionAttributes, Statement, export_router,
    settings::{Millis, matches},
};
use serde::Deserialize;

/// What `[plugins.router.settings]` may say.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Names of applications that make reports, `application_name` at connect; `*` stands for any text.
    pub applications: Vec<String>,
    /// The label of the nodes for reports, `{ purpose = "…" }`. Default `reports`.
    #[serde(default = "reports")]
    pub purpose: String,
    /// How far behind a node for reports may be. Default 5 minutes.
    #[serde(default = "five_minutes")]
    pub max_lag: Millis,
}

fn reports() -> String {
    "reports".to_owned()
}

fn five_minutes() -> Millis {
    Millis(5 * 60 * 1000)
}

/// How long other reads wait for a standby to catch up with their session's writes, in milliseconds.
const OWN_WRITES_WAIT_MS: u32 = 10;

/// The policy.
pub struct ReportsApart {
    settings: Settings,
}

impl Policy for ReportsApart {
    type Settings = Settings;
    const NAME: &'static str = "reports-apart";
    const SUMMARY: &'static str = "reports read from nodes of their own";

    /// An error refuses the whole new configuration, and the operator reads it.
    fn configure(settings: Settings) -> Result<Self, String> {
        if settings.applications.is_empty() {
            return Err("`applications` is empty: name those that make reports".to_owned());
        }
        Ok(Self { settings })
    }
}

impl Router for ReportsApart {
    /// The less a policy sees, the more requests share a plan. This one looks at one thing only.
    fn setup(&self) -> Requirements {
        Requirements { session: SessionAttributes::APPLICATION, ..Requirements::default() }
    }

    /// Asked once for each shape of statement and each application name, not for each request.
    fn route(&self, session: &Session, statement: &Statement) -> Result<Plan, String> {
        if !statement.is_plain_read() {
            return Ok(Plan::primary().rule("not-a-read"));
        }
        let any_standby = || Plan::replicas().own_writes(OWN_WRITES_WAIT_MS);
        if !self.makes_reports(&session.application) {
            return Ok(any_standby().rule("read"));
        }
        let apart = Plan::replicas().label("purpose", &self.settings.purpose).max_lag(self.settings.max_lag.0);
        Ok(apart.rule("report").or(any_standby().target()))
    }
}

impl ReportsApart {
    fn makes_reports(&self, application: &str) -> bool {
        self.settings.applications.iter().any(|pattern| matches(pattern, application))
    }
}

export_router!(ReportsApart);

#[cfg(test)]
mod tests {
    use howdah_plugin::{StatementKind, StatementTraits, settings};

    use super::*;

    fn policy() -> ReportsApart {
        let settings = settings::parse(r#"{ "applications": ["report-*"], "max_lag": "1min" }"#);
        ReportsApart::configure(settings.unwrap()).unwrap()
    }

    fn plan(application: &str, kind: StatementKind, traits: StatementTraits) -> String {
        let session = Session {
            user: String::new(),
            database: String::new(),
            application: application.to_owned(),
            client_address: String::new(),
            tls_subject: None,
            parameters: Vec::new(),
            labels: Vec::new(),
        };
        policy().route(&session, &Statement::new(kind, traits)).unwrap().to_string()
    }

    #[test]
    fn reports_read_from_their_own_nodes_or_from_any_standby() {
        assert_eq!(
            plan("report-daily", StatementKind::Select, StatementTraits::READ_ONLY),
            "standby purpose=reports by least-busy, at most 60000 ms behind \
             or standby by least-busy, with own writes, waiting 10 ms [report]"
        );
    }

    #[test]
    fn other_reads_go_to_any_standby_and_writes_to_the_primary() {
        assert_eq!(
            plan("shop", StatementKind::Select, StatementTraits::READ_ONLY),
            "standby by least-busy, with own writes, waiting 10 ms [read]"
        );
        assert_eq!(plan("report-daily", StatementKind::Insert, StatementTraits::empty()), "primary [not-a-read]");
    }

    #[test]
    fn a_policy_without_applications_is_refused() {
        let settings = settings::parse(r#"{ "applications": [] }"#).unwrap();
        assert!(ReportsApart::configure(settings).is_err_and(|error| error.contains("`applications`")));
    }
}
