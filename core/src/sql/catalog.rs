//! What only the database knows of names in a statement.
//!
//! A statement says `f(x)` and `v`; whether `f` writes and whether `v` hides an unlogged table is
//! in the catalog of the database it runs in. The monitor runs [`FUNCTIONS_SQL`] and
//! [`RELATIONS_SQL`] there, makes a [`Catalog`] of the rows and hands it to
//! [`facts::of`](super::facts::of). Pure data: it never asks the database itself.
//!
//! What it cannot know, because a name alone does not say it: functions behind operators, casts,
//! column notation (`row.f`), defaults, row-level security policies, and what a function that calls
//! itself stable does in truth. A statement that writes by such a way is refused by a standby with
//! 25006 and goes to the primary from then on.

use std::collections::{BTreeMap, HashMap};

use super::{builtin, normal};

/// Lists functions by (schema, name, `provolatile`), and without a schema whether a trigger changes its
/// session; two thousand rows, tens of milliseconds.
///
/// Both run on PostgreSQL 13 to 18, in any database, for any role, and write nothing.
pub const FUNCTIONS_SQL: &str = include_str!("catalog/functions.sql");

/// Lists relations that need care by (schema, name, code of [`Concern`]). Reads the definition of
/// each view, up to a millisecond each, so it is run when the schema has changed and not all the time.
pub const RELATIONS_SQL: &str = include_str!("catalog/relations.sql");

/// What a function may do, as its owner declared it. The order is that of growing freedom.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Volatility {
    /// Depends on its arguments alone.
    Immutable,
    /// Reads the database and changes nothing.
    Stable,
    /// May do anything to the database.
    Volatile,
    /// The same, and to its session.
    Session,
    /// The same, and it may keep what nobody can look at in the process that runs it.
    Process,
}

impl Volatility {
    /// From `pg_proc.provolatile`; what is not known there may do anything.
    pub fn from_code(code: char) -> Self {
        match code {
            'i' => Self::Immutable,
            's' => Self::Stable,
            'w' => Self::Session,
            'x' => Self::Process,
            _ => Self::Volatile,
        }
    }
}

/// Why a relation is more than it seems.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Concern {
    /// Unlogged, or a view or a parent of something unlogged: a standby cannot read it.
    PrimaryOnly,
    /// A view that calls a function that may write, or locks rows.
    MayWrite,
}

impl Concern {
    /// From the third column of [`RELATIONS_SQL`]; the graver one when it is not known.
    pub fn from_code(code: char) -> Self {
        match code {
            'u' => Self::PrimaryOnly,
            _ => Self::MayWrite,
        }
    }
}

/// What is known of a function by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Knowledge {
    /// No overload of it can write.
    Reads,
    /// An overload of it may write.
    MayWrite,
    /// Nobody has heard of it.
    Unknown,
}

/// The names of one database that a router must know. [`Catalog::empty`] until they are read.
#[derive(Clone, Debug, Default)]
pub struct Catalog {
    version: u64,
    loaded: bool,
    /// What the worst of those triggers does that change their session, if one does.
    triggers: Option<Volatility>,
    /// A default, a check or a function asks what a sequence answered before.
    recalls_sequences: bool,
    /// By name, then by schema: the most volatile overload.
    functions: HashMap<Box<str>, BTreeMap<Box<str>, Volatility>>,
    /// By name, then by schema.
    relations: HashMap<Box<str>, BTreeMap<Box<str>, Concern>>,
}

impl Catalog {
    /// Knows PostgreSQL's own functions and nothing else.
    pub fn empty() -> Self {
        Self::default()
    }

    /// From the rows of [`FUNCTIONS_SQL`], (schema, name, `provolatile`), and [`RELATIONS_SQL`],
    /// (schema, name, code of [`Concern`]).
    pub fn from_rows<S: AsRef<str>>(
        functions: impl IntoIterator<Item = (S, S, char)>,
        relations: impl IntoIterator<Item = (S, S, char)>,
    ) -> Self {
        let mut catalog = Self { loaded: true, ..Self::default() };
        for (schema, name, code) in functions {
            if schema.as_ref().is_empty() {
                match name.as_ref() {
                    "sequence" => catalog.recalls_sequences = true,
                    _ => catalog.triggers = Some(Volatility::from_code(code)).max(catalog.triggers),
                }
                continue;
            }
            raise(&mut catalog.functions, schema.as_ref(), name.as_ref(), Volatility::from_code(code));
        }
        for (schema, name, code) in relations {
            raise(&mut catalog.relations, schema.as_ref(), name.as_ref(), Concern::from_code(code));
        }
        catalog.version = catalog.content_hash();
        catalog
    }

    /// Equal for equal content: reading the same catalog again, or that of a database with the same
    /// schema, keeps what is known of shapes. Zero for the empty one.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// What is known of a function, named with or without a schema.
    pub fn function(&self, schema: Option<&str>, name: &str) -> Knowledge {
        let overloads = self.functions.get(name).into_iter().flatten();
        let worst = overloads
            .filter(|(home, _)| schema.is_none_or(|schema| ***home == *schema))
            .map(|(home, volatility)| if builtin::is_harmless(home, name) { Volatility::Stable } else { *volatility })
            .max();
        match worst {
            _ if builtin::needs_primary(name) => Knowledge::MayWrite,
            Some(Volatility::Volatile | Volatility::Session | Volatility::Process) => Knowledge::MayWrite,
            Some(_) => Knowledge::Reads,
            None if !self.loaded && builtin::reads(schema, name) => Knowledge::Reads,
            None => Knowledge::Unknown,
        }
    }

    /// Whether a function, named with or without a schema, may change its session.
    pub fn may_change_session(&self, schema: Option<&str>, name: &str) -> bool {
        let mut overloads = self.functions.get(name).into_iter().flatten();
        match self.functions.contains_key(name) {
            true => overloads.any(|(home, volatility)| {
                *volatility >= Volatility::Session && schema.is_none_or(|schema| **home == *schema)
            }),
            // It is new, or this is the empty catalog.
            false => !builtin::is_ours(schema, name),
        }
    }

    /// Whether a trigger may change its session, of whichever table; nobody knows before the catalog is read.
    pub fn triggers_change_session(&self) -> bool {
        self.triggers.is_some() || !self.loaded
    }

    /// Whether a trigger may keep something in the process that runs it.
    pub fn triggers_keep_state(&self) -> bool {
        self.triggers == Some(Volatility::Process)
    }

    /// Whether a function, named with or without a schema, may keep something in the process that runs it.
    pub fn may_keep_state(&self, schema: Option<&str>, name: &str) -> bool {
        let mut overloads = self.functions.get(name).into_iter().flatten();
        overloads.any(|(home, volatility)| {
            *volatility == Volatility::Process && schema.is_none_or(|schema| **home == *schema)
        })
    }

    /// Whether something that no statement names asks what a sequence answered before.
    pub fn recalls_sequences(&self) -> bool {
        self.recalls_sequences
    }

    /// Why a relation, named with or without a schema, needs care; none when it does not.
    pub fn concern(&self, schema: Option<&str>, name: &str) -> Option<Concern> {
        let homes = self.relations.get(name)?.iter();
        homes.filter(|(home, _)| schema.is_none_or(|schema| ***home == *schema)).map(|(_, concern)| *concern).max()
    }

    fn content_hash(&self) -> u64 {
        let mut lines: Vec<_> = lines_of(&self.functions, 'f').chain(lines_of(&self.relations, 'r')).collect();
        lines.sort_unstable();
        lines.push(format!("{:?} {}\n", self.triggers, self.recalls_sequences));
        // Zero is the empty catalog's.
        normal::fnv1a(lines.concat().as_bytes()).max(1)
    }
}

fn raise<T: Ord + Copy>(names: &mut HashMap<Box<str>, BTreeMap<Box<str>, T>>, schema: &str, name: &str, value: T) {
    let homes = names.entry(name.into()).or_default();
    homes.entry(schema.into()).and_modify(|known| *known = value.max(*known)).or_insert(value);
}

fn lines_of<T: std::fmt::Debug>(
    names: &HashMap<Box<str>, BTreeMap<Box<str>, T>>,
    prefix: char,
) -> impl Iterator<Item = String> {
    names.iter().flat_map(move |(name, homes)| {
        homes.iter().map(move |(schema, value)| format!("{prefix}\u{1}{name}\u{1}{schema}\u{1}{value:?}\n"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn catalog() -> Catalog {
        let functions = [
            ("pg_catalog", "lower", 'i'),
            ("pg_catalog", "random", 'v'),
            ("pg_catalog", "nextval", 'v'),
            ("pg_catalog", "txid_current", 's'),
            ("public", "pure", 's'),
            ("public", "mixed", 's'),
            ("public", "mixed", 'v'),
            ("other", "pure", 'v'),
            ("public", "random", 'v'),
        ];
        let relations = [("public", "fast", 'u'), ("public", "v", 'w'), ("other", "v", 'u')];
        Catalog::from_rows(functions, relations)
    }

    #[test]
    fn a_function_may_write_when_any_overload_of_its_name_may() {
        let catalog = catalog();
        for (schema, name, expected) in [
            (None, "lower", Knowledge::Reads),
            (Some("pg_catalog"), "lower", Knowledge::Reads),
            (Some("pg_catalog"), "random", Knowledge::Reads),
            (None, "random", Knowledge::MayWrite),
            (None, "nextval", Knowledge::MayWrite),
            (None, "txid_current", Knowledge::MayWrite),
            (None, "pure", Knowledge::MayWrite),
            (Some("public"), "pure", Knowledge::Reads),
            (None, "mixed", Knowledge::MayWrite),
            (None, "missing", Knowledge::Unknown),
            (Some("public"), "lower", Knowledge::Unknown),
            // A loaded catalog knows better than our list.
            (None, "upper", Knowledge::Unknown),
        ] {
            assert_eq!(catalog.function(schema, name), expected, "{schema:?}.{name}");
        }
    }

    #[test]
    fn an_empty_catalog_knows_the_functions_of_postgresql() {
        let catalog = Catalog::empty();
        assert_eq!(catalog.function(None, "upper"), Knowledge::Reads);
        assert_eq!(catalog.function(Some("pg_catalog"), "random"), Knowledge::Reads);
        assert_eq!(catalog.function(None, "mine"), Knowledge::Unknown);
        assert_eq!(catalog.function(None, "nextval"), Knowledge::Unknown);
        assert_eq!(catalog.version(), 0);
    }

    #[test]
    fn an_unqualified_relation_may_be_in_any_schema() {
        let catalog = catalog();
        assert_eq!(catalog.concern(None, "fast"), Some(Concern::PrimaryOnly));
        assert_eq!(catalog.concern(Some("other"), "fast"), None);
        assert_eq!(catalog.concern(None, "v"), Some(Concern::MayWrite));
        assert_eq!(catalog.concern(Some("other"), "v"), Some(Concern::PrimaryOnly));
        assert_eq!(catalog.concern(None, "t"), None);
    }

    #[test]
    fn the_version_follows_the_content_and_not_the_order() {
        let rows = [("a", "f", 'v'), ("b", "g", 's')];
        let version = |rows: &[(&'static str, &'static str, char)],
                       relations: &[(&'static str, &'static str, char)]| {
            Catalog::from_rows(rows.iter().copied(), relations.iter().copied()).version()
        };
        let reversed: Vec<_> = rows.iter().rev().copied().collect();
        assert_eq!(version(&rows, &[]), version(&reversed, &[]));
        assert_ne!(version(&rows, &[]), version(&rows[..1], &[]));
        assert_ne!(version(&rows, &[]), version(&rows, &[("a", "t", 'u')]));
        assert_ne!(version(&[], &[]), Catalog::empty().version());
    }

    #[test]
    fn the_statement_for_views_allows_what_the_list_of_harmless_functions_allows() {
        for name in builtin::HARMLESS {
            assert!(RELATIONS_SQL.contains(&format!("'{name}'")), "{name}");
        }
    }
}
