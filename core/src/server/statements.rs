//! Prepared statements under names of our own, so that any server can serve any client's.

use std::{
    collections::HashMap,
    sync::{
        Arc, LazyLock, Mutex, Weak,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
};

use super::description::Description;
use crate::{clock::Moment, wire::frontend::Parse};

/// A statement that some client has prepared: one value for equal text and parameter types.
#[derive(Debug)]
pub struct Statement {
    /// Unique in this process, never zero.
    pub id: u64,
    /// Its name on every server: `howdah_` and the number.
    pub name: Box<[u8]>,
    /// SQL text.
    pub text: Box<[u8]>,
    /// Parameter types, on the wire's form.
    pub types: Box<[u8]>,
    /// The settings that decide what the names in the text mean, as they were when it was prepared.
    scope: Arc<str>,
    /// It is SQL's EXECUTE of that one, by its name on servers, which have to have it as well.
    pub executes: Option<Arc<Statement>>,
    /// Its result has changed since; whoever uses it next prepares it anew.
    retired: AtomicBool,
}

/// Text, parameter types and scope.
type Identity = (Box<[u8]>, Box<[u8]>, Arc<str>);
type Known = HashMap<Identity, Weak<Statement>, foldhash::fast::RandomState>;

static KNOWN: LazyLock<Mutex<Known>> = LazyLock::new(Mutex::default);
static NEXT_ID: AtomicU64 = AtomicU64::new(1);

/// Dead entries are swept when the table has doubled from here.
const SWEEP_AT: usize = 4096;

impl Statement {
    /// The statement of that text and those types, for sessions of that scope.
    pub fn interned(parse: &Parse<'_>, scope: &Arc<str>) -> Arc<Self> {
        Self::executing(parse, scope, None)
    }

    /// The same of an EXECUTE. Its text has the name of what it executes.
    pub fn executing(parse: &Parse<'_>, scope: &Arc<str>, executes: Option<&Arc<Self>>) -> Arc<Self> {
        let key = (Box::from(parse.text), Box::from(parse.types), Arc::clone(scope));
        let mut known = KNOWN.lock().expect("nothing panics while it holds the table");
        if let Some(statement) = known.get(&key).and_then(Weak::upgrade) {
            return statement;
        }
        if known.len() >= SWEEP_AT && known.len() == known.capacity() {
            known.retain(|_, statement| statement.strong_count() > 0);
        }
        let id = NEXT_ID.fetch_add(1, Relaxed);
        let statement = Arc::new(Self {
            id,
            name: format!("howdah_{id}").into_bytes().into(),
            text: key.0.clone(),
            types: key.1.clone(),
            scope: Arc::clone(scope),
            executes: executes.cloned(),
            retired: AtomicBool::new(false),
        });
        known.insert(key, Arc::downgrade(&statement));
        statement
    }

    /// Its result has changed since it was prepared, and PostgreSQL refuses it for good.
    #[inline]
    pub fn is_retired(&self) -> bool {
        self.retired.load(Relaxed)
    }

    /// The same text under a name that no server has yet.
    pub fn renewed(&self) -> Arc<Self> {
        let parse = Parse { name: &[], text: &self.text, types: &self.types };
        Self::executing(&parse, &self.scope, self.executes.as_ref())
    }

    /// Gives the next use of this text another name.
    pub fn retire(&self) {
        self.retired.store(true, Relaxed);
        let key = (self.text.clone(), self.types.clone(), Arc::clone(&self.scope));
        let mut known = KNOWN.lock().expect("nothing panics while it holds the table");
        if known.get(&key).and_then(Weak::upgrade).is_some_and(|statement| statement.id == self.id) {
            known.remove(&key);
        }
    }

    /// Appends the Parse that prepares it on a server.
    pub fn put_parse(&self, out: &mut Vec<u8>) {
        Parse { name: &[], text: &self.text, types: &self.types }.put_renamed(out, &self.name);
    }
}

/// Which statements one server has, the least recently used first to go.
#[derive(Debug, Default)]
pub struct Statements {
    known: HashMap<u64, Entry, foldhash::fast::RandomState>,
    clock: u64,
}

#[derive(Debug)]
struct Entry {
    used: u64,
    statement: Arc<Statement>,
    given: Given,
}

/// What a server makes of a statement for as long as it has it.
#[derive(Clone, Copy, Debug)]
pub struct Given {
    /// As far as it has been asked.
    pub description: Description,
    /// When it was told to prepare it.
    pub since: Moment,
}

impl Statements {
    /// Whether the server has the statement; says that it is used now.
    #[inline]
    pub fn touch(&mut self, id: u64) -> bool {
        self.take_up(id).is_some()
    }

    /// The same, with what the server makes of it.
    #[inline]
    pub fn take_up(&mut self, id: u64) -> Option<Given> {
        self.clock += 1;
        let entry = self.known.get_mut(&id)?;
        entry.used = self.clock;
        Some(entry.given)
    }

    /// Notes that the server was told to prepare it; answers the one that has to go for it.
    pub fn insert(&mut self, statement: &Arc<Statement>, max: usize) -> Option<Arc<Statement>> {
        self.clock += 1;
        let oldest = (self.known.len() >= max.max(1))
            .then(|| self.known.iter().min_by_key(|(_, entry)| entry.used).map(|(id, _)| *id))
            .flatten();
        let gone = oldest.and_then(|id| self.known.remove(&id)).map(|entry| entry.statement);
        let given = Given { description: Description::default(), since: Moment::now() };
        self.known.insert(statement.id, Entry { used: self.clock, statement: Arc::clone(statement), given });
        gone
    }

    /// Notes what the server has said of it.
    pub fn describe(&mut self, id: u64, description: Description) {
        if let Some(Entry { given, .. }) = self.known.get_mut(&id) {
            given.description = description.or(given.description);
        }
    }

    /// Notes that the server does not have it after all.
    pub fn remove(&mut self, id: u64) {
        self.known.remove(&id);
    }

    /// Notes that what the server prepared for one of its latest so many uses has another result by now.
    ///
    /// PostgreSQL refuses such a statement for good. A server that has it under its old name must not
    /// pass for prepared then.
    pub fn retire_latest(&self, uses: usize) {
        let mut latest: Vec<_> = self.known.values().collect();
        latest.sort_unstable_by_key(|entry| std::cmp::Reverse(entry.used));
        latest.iter().take(uses).for_each(|entry| entry.statement.retire());
    }

    /// Notes that the server has none any more.
    pub fn clear(&mut self) {
        self.known.clear();
    }

    /// How many the server has.
    pub fn len(&self) -> usize {
        self.known.len()
    }

    /// The server has none.
    pub fn is_empty(&self) -> bool {
        self.known.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn statement(text: &str) -> Arc<Statement> {
        Statement::interned(&Parse { name: b"", text: text.as_bytes(), types: b"\0\0" }, &Arc::from(""))
    }

    #[test]
    fn equal_statements_share_a_name() {
        let one = statement("select 1");
        assert!(Arc::ptr_eq(&one, &statement("select 1")));
        assert_ne!(one.id, statement("select 2").id);
        let elsewhere = Parse { name: b"", text: b"select 1", types: b"\0\0" };
        assert_ne!(one.id, Statement::interned(&elsewhere, &Arc::from("search_path")).id);
    }

    #[test]
    fn a_retired_statement_is_prepared_anew_under_another_name() {
        let (kept, changed) = (statement("select kept"), statement("select changed"));
        let mut on_server = Statements::default();
        on_server.insert(&kept, 2);
        on_server.insert(&changed, 2);

        on_server.retire_latest(1);

        assert!(changed.is_retired() && !kept.is_retired());
        assert_ne!(changed.renewed().name, changed.name);
        assert!(Arc::ptr_eq(&changed.renewed(), &statement("select changed")));
        assert!(Arc::ptr_eq(&statement("select kept"), &kept));
    }

    #[test]
    fn the_least_recently_used_goes_first() {
        let (a, b, c) = (statement("a"), statement("b"), statement("c"));
        let mut on_server = Statements::default();
        assert!(on_server.insert(&a, 2).is_none());
        assert!(on_server.insert(&b, 2).is_none());
        assert!(on_server.touch(a.id));
        assert_eq!(on_server.insert(&c, 2).expect("one has to go").id, b.id);
        assert!(on_server.touch(a.id) && on_server.touch(c.id) && !on_server.touch(b.id));
    }
}
