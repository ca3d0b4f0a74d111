//! EXPLAIN ROUTE: what a statement is, what the policy planned for it, which node that is now, and
//! why not each of the others.

use std::sync::Arc;

use super::{
    complaint::Complaint,
    table::{Column, Row, Table, Type},
};
use crate::{
    config::{Config, PoolMode},
    facts::{Facts, Health, NodeFacts},
    id::NodeId,
    plugin::{
        DecidedBy,
        input::{Phase, Request, SessionAttributes, Transaction},
        plan::{Destination, Plan, Target},
    },
    pool::{
        PoolSet,
        registry::{SetShared, database_entry},
    },
    session::{choose::Chooser, keys::KeyReader, mark::MustSee},
    sql::{Kind, Shapes, StatementFacts, effect::Isolation},
    telemetry::stats::Stats,
    worker::Shared,
};

pub(super) mod words;

/// The columns of the answer.
pub const COLUMNS: [Column; 2] = [("key", Type::Text), ("value", Type::Text)];

/// Explains where a statement of that user goes now, if it is the first of its session. Without a
/// database it is the only one that the configuration names, else the one that has the user's name.
pub fn explain_route(shared: &Shared, database: Option<&str>, user: &str, sql: &str) -> Result<Table, Complaint> {
    let generation = shared.generation.load_full();
    let database = database.unwrap_or_else(|| only_database(&generation.config).unwrap_or(user));
    let set = pools(shared, &generation.config, database, user)?;
    let cluster = generation.clusters.get(&set.cluster);
    let cluster = cluster.ok_or_else(|| Complaint::NoSuchCluster(set.cluster.to_string()))?;
    let catalog = cluster.catalogs.catalog(&set.dbname);
    let shape = Shapes::new(Arc::clone(&shared.shapes)).look_up(sql.as_bytes(), &catalog);
    let facts = cluster.facts.newest();

    let mut page = Page::default();
    page.line("database", database);
    page.line("user", user);
    page.line("cluster", &*set.cluster);
    page.statement(&shape.facts);
    let plan = if cluster.router.is_null() {
        page.line("policy", "none: everything goes to the primary");
        Arc::new(Plan::primary("no policy"))
    } else {
        let session =
            SessionAttributes { user: user.into(), database: database.into(), ..SessionAttributes::default() };
        let class = cluster.router.class(&session);
        let status = cluster.router.status();
        page.line("policy", format!("{} {}", status.policy, status.version));
        // As it would be asked about a Query.
        let request = Request { raw_text: Some(sql.into()), parameters: Vec::new() };
        let routed = cluster.router.route_request(&facts, &class, &shape.facts, transaction(&shape.facts), &request);
        if let DecidedBy::BuiltIn(why) = routed.decided_by {
            page.line("decided by", format!("the built-in policy: {why}"));
        }
        routed.plan
    };
    page.plan(&plan, &facts);
    if set.mode == PoolMode::Session && shape.facts.traits.session_state && shape.facts.kind != Kind::Begin {
        page.line("session", "stays on the primary from then on: it has state of its own");
    }
    let writes = shared.keys.of(&cluster.name);
    let keys = KeyReader { writes: &writes, router: None };
    let chooser = Chooser { facts: &facts, set: &set, own_writes: MustSee::Nothing, keys, affinity: 0, avoid: None };
    page.choice(&chooser, &plan);
    Ok(Table { columns: COLUMNS.to_vec(), rows: page.rows })
}

/// The database that the configuration names, if it names one.
fn only_database(config: &Config) -> Option<&str> {
    let mut named = config.databases.keys().filter(|name| *name != "*");
    named.next().filter(|_| named.next().is_none()).map(String::as_str)
}

/// The pools of that (database, user), or none when nobody has used them yet: looking makes none.
fn pools(shared: &Shared, config: &Config, database: &str, user: &str) -> Result<Arc<PoolSet>, Complaint> {
    if let Some(set) = shared.registry.find(database, user) {
        return Ok(set);
    }
    let entry = database_entry(config, database).ok_or_else(|| Complaint::NoSuchDatabase(database.to_owned()))?;
    let user_mode = config.users.get(user).and_then(|user| user.pool_mode);
    Ok(Arc::new(PoolSet {
        database: database.into(),
        user: user.into(),
        cluster: Arc::clone(&entry.cluster),
        dbname: entry.dbname.as_deref().unwrap_or(database).into(),
        mode: user_mode.or(entry.pool_mode).unwrap_or(config.pool_mode),
        pools: Box::default(),
        stats: Arc::new(Stats::new(1)),
        shared: Arc::new(SetShared::default()),
        database_clients: Arc::default(),
        user_clients: Arc::default(),
    }))
}

/// What the statement finds when it is the first of its session.
fn transaction(facts: &StatementFacts) -> Transaction {
    let begins = facts.kind == Kind::Begin;
    Transaction {
        phase: if begins { Phase::Opening } else { Phase::None },
        read_only: begins && facts.traits.begins_read_only,
        serializable: facts.isolation() == Some(Isolation::Serializable),
        ..Transaction::default()
    }
}

/// The rows so far.
#[derive(Default)]
struct Page {
    rows: Vec<Row>,
}

impl Page {
    fn line(&mut self, key: &str, value: impl Into<String>) {
        self.rows.push(vec![key.into(), value.into().into()]);
    }

    /// Only if there is something to say.
    fn some(&mut self, key: &str, value: String) {
        if !value.is_empty() {
            self.line(key, value);
        }
    }

    fn statement(&mut self, facts: &StatementFacts) {
        self.some("shape", facts.normalized.to_string());
        self.line("fingerprint", facts.fingerprint.as_str());
        self.line("kind", words::kind(facts.kind));
        self.some("traits", words::traits(facts.traits));
        self.some("tables", words::tables(&facts.tables));
        self.some("functions", facts.functions.join(", "));
        self.some("hints", words::hints(&facts.hints));
    }

    fn plan(&mut self, plan: &Plan, facts: &Facts) {
        let names = |id: NodeId| facts.node(id).map_or_else(|| id.to_string(), |node| node.name.to_string());
        self.line("rule", &*plan.rule);
        self.line("destination", words::destination(&plan.destination, &names));
        if let Destination::To(Target::Replicas(set)) = &plan.destination {
            self.some("freshness", words::freshness(&set.freshness));
            self.line("balance", words::balance(set.balance));
        }
        let fallbacks: Vec<_> = plan.fallbacks.iter().map(|target| words::target(target, &names)).collect();
        self.some("fallbacks", fallbacks.join(", then "));
        self.line("hold", words::hold(plan.hold));
        self.some("stamp", plan.stamp.join(", "));
        self.line("kept", words::kept(plan));
    }

    /// The node of this moment, and why not the others.
    fn choice(&mut self, chooser: &Chooser<'_>, plan: &Plan) {
        if let Destination::Refuse(refusal) = &plan.destination {
            self.line("node", "none: the policy refuses the statement");
            self.some("detail", refusal.detail.clone().unwrap_or_default());
            return;
        }
        let wanted: Vec<_> = chooser.first(plan).into_iter().chain(&plan.fallbacks).chain([&Target::Primary]).collect();
        let found = wanted.iter().enumerate().find_map(|(at, target)| Some((at, chooser.resolve(target)?)));
        let tried = found.map_or(wanted.as_slice(), |(at, _)| &wanted[..=at]);
        match found {
            Some((at, id)) => {
                let name = chooser.facts.node(id).map_or_else(|| id.to_string(), |node| node.name.to_string());
                self.line("node", name);
                self.line("because", because(chooser, tried, at));
            }
            None => self.line("node", "none: no primary is known"),
        }
        let chosen = found.map(|(_, id)| id);
        for node in chooser.facts.nodes.iter().filter(|node| Some(node.id) != chosen) {
            let mut reasons: Vec<String> = Vec::new();
            for target in tried {
                let reason = why_not(chooser, target, node);
                if !reasons.contains(&reason) {
                    reasons.push(reason);
                }
            }
            self.line(&format!("not {}", node.name), reasons.join("; "));
        }
    }
}

fn because(chooser: &Chooser<'_>, tried: &[&Target], at: usize) -> String {
    let how = match tried[at] {
        Target::Primary => "it is the primary".to_owned(),
        Target::Node(_) => "the plan names it".to_owned(),
        Target::Replicas(set) => {
            let fits = |node: &&NodeFacts| is_usable(node) && chooser.why_not(set, node).is_none();
            match chooser.facts.nodes.iter().filter(fits).count() {
                0 | 1 => "it is the only one that qualifies".to_owned(),
                several => format!("{} of the {several} that qualify", words::balance(set.balance)),
            }
        }
    };
    match at {
        0 => how,
        _ => format!("{how}; nothing that the plan prefers qualifies"),
    }
}

fn is_usable(node: &NodeFacts) -> bool {
    matches!(node.health, Health::Up | Health::Degraded)
}

fn why_not(chooser: &Chooser<'_>, target: &Target, node: &NodeFacts) -> String {
    let why = || node.why.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
    match (node.health, target) {
        (Health::Down, _) => format!("is down{}", why()),
        (Health::Draining, _) => "is detached".to_owned(),
        (_, Target::Primary) => "is not the primary".to_owned(),
        (_, Target::Node(_)) => "is not the node that the plan names".to_owned(),
        (Health::Degraded, Target::Replicas(_)) => format!("is coming back, and others are up{}", why()),
        (Health::Up, Target::Replicas(set)) => match chooser.why_not(set, node) {
            Some(reason) => reason.to_owned(),
            None => "qualifies as well; it gets its turn".to_owned(),
        },
    }
}

#[cfg(test)]
mod tests;
