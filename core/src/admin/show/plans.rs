//! SHOW PLANS: what the policies have decided, as far as the workers keep it.
//!
//! Each worker keeps plans of its own. Equal ones are one row, with the uses of all workers and how
//! many of them keep it; where workers differ, because a standby has refused a statement of one of them
//! or a plan is older, each has its row.

use std::{cmp::Reverse, collections::HashMap, sync::Arc};

use super::{Column, Row, Table, Type};
use crate::{
    admin::{explain::words, table::Value},
    plugin::{
        input::{Phase, SessionAttributes, Transaction},
        plan::Plan,
    },
    sql::{ShapeId, StatementFacts},
    worker::inquiry::{Inquiries, KeptPlan},
};

pub(super) const COLUMNS: [Column; 9] = [
    ("fingerprint", Type::Text),
    ("shape", Type::Text),
    ("kind", Type::Text),
    ("class", Type::Text),
    ("transaction", Type::Text),
    ("rule", Type::Text),
    ("plan", Type::Text),
    ("hits", Type::Int8),
    ("workers", Type::Int4),
];

/// The plans of all workers, the most used first, and how many workers did not answer.
pub(in crate::admin) async fn table(inquiries: &Inquiries) -> (Table, usize) {
    let mut plans = Plans::default();
    let silent = inquiries.plans(|kept| plans.take_in(kept)).await;
    (Table { columns: COLUMNS.to_vec(), rows: plans.into_rows() }, silent)
}

/// What of a plan is the same on every worker that keeps it.
type Case = (ShapeId, Option<Arc<SessionAttributes>>, Transaction);

/// Plans of all workers, equal ones together.
#[derive(Default)]
struct Plans {
    workers: usize,
    by_case: HashMap<Case, Vec<Entry>>,
}

struct Entry {
    plan: Arc<Plan>,
    statement: Option<Arc<StatementFacts>>,
    hits: u64,
    workers: usize,
    /// The worker that was counted last.
    worker: usize,
}

impl Plans {
    /// Takes in what one more worker keeps.
    fn take_in(&mut self, kept: Vec<KeptPlan>) {
        self.workers += 1;
        let worker = self.workers;
        for KeptPlan { shape, statement, class, transaction, plan, hits } in kept {
            let entries = self.by_case.entry((shape, class, transaction)).or_default();
            match entries.iter_mut().find(|entry| entry.plan == plan) {
                Some(entry) => {
                    entry.hits += hits;
                    entry.workers += usize::from(entry.worker != worker);
                    entry.worker = worker;
                    entry.statement = entry.statement.take().or(statement);
                }
                None => entries.push(Entry { plan, statement, hits, workers: 1, worker }),
            }
        }
    }

    fn into_rows(self) -> Vec<Row> {
        let mut entries: Vec<_> =
            self.by_case.iter().flat_map(|(case, entries)| entries.iter().map(move |entry| (case, entry))).collect();
        entries.sort_by_key(|(_, entry)| Reverse(entry.hits));
        entries.into_iter().map(|((_, class, transaction), entry)| row(class.as_deref(), *transaction, entry)).collect()
    }
}

fn row(class: Option<&SessionAttributes>, transaction: Transaction, entry: &Entry) -> Row {
    let statement = entry.statement.as_deref();
    vec![
        statement.map(|facts| facts.fingerprint.clone()).into(),
        statement.map(|facts| facts.normalized.to_string()).into(),
        statement.map(|facts| words::kind(facts.kind)).into(),
        class.map(class_in_words).into(),
        transaction_in_words(transaction).into(),
        (&entry.plan.rule).into(),
        entry.plan.to_string().into(),
        Value::big(entry.hits),
        Value::int(entry.workers),
    ]
}

/// What the policy sees of the sessions: whatever it does not look at is empty.
fn class_in_words(attributes: &SessionAttributes) -> String {
    let named = [
        ("user", &attributes.user),
        ("database", &attributes.database),
        ("application", &attributes.application),
        ("from", &attributes.client_address),
    ];
    let named = named.into_iter().filter(|(_, value)| !value.is_empty()).map(|(name, value)| format!("{name}={value}"));
    let certificate = attributes.tls_subject.iter().map(|subject| format!("certificate={subject}"));
    let pairs = attributes.parameters.iter().chain(&attributes.labels).map(|(key, value)| format!("{key}={value}"));
    named.chain(certificate).chain(pairs).collect::<Vec<_>>().join(" ")
}

fn transaction_in_words(transaction: Transaction) -> String {
    let phase = match transaction.phase {
        Phase::None => "none",
        Phase::Opening => "opening",
        Phase::Active => "active",
        Phase::Failed => "failed",
    };
    let traits = [
        ("read only", transaction.read_only),
        ("serializable", transaction.serializable),
        ("wrote", transaction.wrote),
    ];
    let traits = traits.into_iter().filter(|(_, has)| *has).map(|(name, _)| name);
    [phase].into_iter().chain(traits).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;

    use super::*;
    use crate::{
        admin::fixture,
        session::plans::PlanKey,
        sql::Catalog,
        worker::{Shared, Worker, inquiry},
    };

    /// A worker that keeps a plan for each statement, and can be asked.
    fn worker(shared: &Arc<Shared>, id: usize, user: &str, plans: &[(&str, &str)]) -> Rc<Worker> {
        let worker = Rc::new(Worker::new(id, Arc::clone(shared)));
        let attributes = SessionAttributes { user: user.into(), ..SessionAttributes::default() };
        let class = worker.plans.borrow_mut().class(1, &attributes);
        for (sql, rule) in plans {
            let shape = worker.shapes.borrow_mut().look_up(sql.as_bytes(), &Catalog::empty()).id;
            let key = PlanKey { class, shape, transaction: Transaction::default() };
            worker.plans.borrow_mut().keep(key, &Arc::new(Plan::primary(rule)));
        }
        tokio::task::spawn_local(inquiry::answer(Rc::clone(&worker)));
        worker
    }

    async fn shown(shared: &Shared) -> Vec<String> {
        let (table, silent) = table(&shared.inquiries).await;
        assert_eq!(silent, 0);
        for row in &table.rows {
            assert!(row.iter().zip(&table.columns).all(|(value, (_, kind))| value.fits(*kind)), "{row:?}");
        }
        let text = |row: &Row, at: usize| row[at].text().unwrap_or_default();
        let mut rows: Vec<_> =
            table.rows.iter().map(|row| [1, 3, 5, 7, 8].map(|at| text(row, at)).join(" | ")).collect();
        rows.sort();
        rows
    }

    #[tokio::test]
    async fn equal_plans_of_all_workers_are_one_row_and_others_have_their_own() {
        let local = tokio::task::LocalSet::new();
        let _entered = local.enter();
        let (shared, _commands) = fixture::shared();
        let _first = worker(&shared, 0, "ann", &[("select 1", "read"), ("select a from t", "read")]);
        let _second = worker(&shared, 1, "ann", &[("select 2", "read"), ("select a from t", "standby-refused")]);
        let _third = worker(&shared, 2, "bob", &[("select 3", "read")]);

        let rows = local.run_until(shown(&shared)).await;

        assert_eq!(
            rows,
            [
                "select $1 | user=ann | read | 2 | 2",
                "select $1 | user=bob | read | 1 | 1",
                "select a from t | user=ann | read | 1 | 1",
                "select a from t | user=ann | standby-refused | 1 | 1",
            ]
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_worker_that_does_not_answer_is_counted_and_not_waited_for() {
        let local = tokio::task::LocalSet::new();
        let _entered = local.enter();
        let (shared, _commands) = fixture::shared();
        let busy = inquiry::answer(Rc::new(Worker::new(0, Arc::clone(&shared))));
        let _other = worker(&shared, 1, "ann", &[("select 1", "read")]);

        let (table, silent) = local.run_until(table(&shared.inquiries)).await;

        assert_eq!((table.rows.len(), silent), (1, 1));
        drop(busy);
    }
}
