//! Reads the keys of one table and collects what is wrong with them.

use std::{
    cell::RefCell,
    io,
    path::{Path, PathBuf},
};

use figment::value::{Dict, Tag, Value};

use super::{
    keys::{Key, Kind, Table, elsewhere, proxy},
    layer::{Layers, Part},
    path::KeyPath,
    problem::Problem,
    value::{FromValue, shown},
};

/// How files are read; not all of them need be on a disk.
pub type ReadFile<'a> = &'a dyn Fn(&Path) -> io::Result<Vec<u8>>;

/// What all tables of one configuration share while it is being checked.
pub(super) struct Context<'a> {
    pub layers: &'a Layers,
    pub read: ReadFile<'a>,
    /// Relative paths start here.
    pub base: &'a Path,
    pub problems: RefCell<Vec<Problem>>,
}

impl<'a> Context<'a> {
    pub(super) fn new(layers: &'a Layers, base: &'a Path, read: ReadFile<'a>) -> Self {
        Self { layers, read, base, problems: RefCell::default() }
    }

    /// Notes a problem with the entry at `path`. The message begins with what the entry is called.
    pub(super) fn refuse(&self, path: &KeyPath, tag: Option<Tag>, part: Part, message: String) {
        let place = self.layers.place(path, tag, part);
        self.problems.borrow_mut().push(Problem { place, key: path.to_string(), message });
    }

    /// The table called `name` in the one at `path`; that it is no table is reported.
    pub(super) fn table(&self, path: &KeyPath, name: &str, value: &Value) -> Option<Dict> {
        if let Value::Dict(_, table) = value {
            return Some(table.clone());
        }
        let path = path.key(name);
        let hint = misplaced(name).unwrap_or_default();
        self.refuse(
            &path,
            Some(value.tag()),
            Part::Value,
            format!("`{path}` is {}, expected a table{hint}", shape(value)),
        );
        None
    }
}

/// One table, its keys known.
pub(super) struct Section<'a> {
    context: &'a Context<'a>,
    table: Dict,
    pub path: KeyPath,
    kind: &'static Table,
}

impl<'a> Section<'a> {
    /// Opens the table and refuses the keys that a table of this kind does not have.
    pub(super) fn new(context: &'a Context<'a>, table: Dict, path: KeyPath, kind: &'static Table) -> Self {
        let known: Vec<&str> = kind.keys().map(|key| key.name).chain(kind.tables.iter().copied()).collect();
        for (name, value) in table.iter().filter(|(name, _)| !known.contains(&name.as_str())) {
            let path = path.key(name);
            let hint = elsewhere::advice(kind.name, name)
                .map(|advice| format!("; {advice}"))
                .or_else(|| misplaced(name))
                .or_else(|| nearest(name, &known).map(|near| format!("; did you mean `{near}`?")))
                .unwrap_or_default();
            context.refuse(&path, Some(value.tag()), Part::Key, format!("unknown key `{path}`{hint}"));
        }
        Self { context, table, path, kind }
    }

    /// The key's value, or its default.
    pub(super) fn value<T: FromValue>(&self, name: &str) -> T {
        self.maybe(name).unwrap_or_else(|| {
            let key = self.key(name);
            let default = Value::from(key.default.expect("a key that is read by `value` has a default"));
            T::from_value(&default, &key.kind).expect("a default is what its own key accepts")
        })
    }

    /// The key's value when it is set; one that is not accepted is reported.
    pub(super) fn maybe<T: FromValue>(&self, name: &str) -> Option<T> {
        let key = self.key(name);
        let value = self.table.get(name)?;
        let read = T::from_value(value, &key.kind);
        if read.is_none() {
            self.refuse(name, mismatch(&self.path.key(name), value, &key.kind));
        }
        read
    }

    /// The key's value; that it is missing is reported.
    pub(super) fn needed<T: FromValue>(&self, name: &str) -> Option<T> {
        if self.key(name).needed && self.raw(name).is_none() {
            let path = self.path.key(name);
            self.refuse(name, format!("`{path}` is missing, expected {}", self.key(name).kind.expected()));
        }
        self.maybe(name)
    }

    /// Whether the key is not set, or to something that it accepts.
    pub(super) fn is_accepted<T: FromValue>(&self, name: &str) -> bool {
        self.raw(name).is_none_or(|value| T::from_value(value, &self.key(name).kind).is_some())
    }

    /// The path, from the base directory on; `None` when it is not set or empty.
    pub(super) fn file(&self, name: &str) -> Option<PathBuf> {
        let path = match self.key(name).default {
            Some(_) => Some(self.value::<String>(name)),
            None => self.maybe(name),
        };
        path.filter(|path| !path.is_empty()).map(|path| self.context.base.join(path))
    }

    /// The value as it stands in the sources.
    pub(super) fn raw(&self, name: &str) -> Option<&Value> {
        self.table.get(name)
    }

    /// Notes a problem with the value of `name`.
    pub(super) fn refuse(&self, name: &str, message: String) {
        let tag = self.raw(name).map(Value::tag);
        self.context.refuse(&self.path.key(name), tag, Part::Value, message);
    }

    /// The contents of the file that `name` names; that it cannot be read is reported.
    pub(super) fn read(&self, name: &str, file: &Path) -> Option<Vec<u8>> {
        let contents = (self.context.read)(file);
        contents
            .map_err(|error| {
                self.refuse(name, format!("`{}`: cannot read {}: {error}", self.path.key(name), file.display()))
            })
            .ok()
    }

    fn key(&self, name: &str) -> &'static Key {
        self.kind.find(name).expect("only keys of the list are read")
    }
}

/// The known name that was probably meant.
pub(super) fn nearest<'k>(name: &str, known: &[&'k str]) -> Option<&'k str> {
    let likeness = |known: &str| strsim::jaro_winkler(&name.to_ascii_lowercase(), known);
    let best = known.iter().copied().max_by(|a, b| likeness(a).total_cmp(&likeness(b)))?;
    let one_slip = name.len() >= 3 && strsim::osa_distance(name, best) == 1;
    (one_slip || likeness(best) >= LIKELY).then_some(best)
}

/// Below this likeness (Jaro-Winkler, 0 to 1) a suggestion confuses more than it helps.
const LIKELY: f64 = 0.85;

/// A key of the top of the file in a table: TOML counts whatever follows a table's header to that table.
fn misplaced(name: &str) -> Option<String> {
    let key = proxy::TOP.find(name)?;
    Some(format!("; `{}` stands at the top of the file, before the first table", key.name))
}

fn mismatch(path: &KeyPath, value: &Value, kind: &Kind) -> String {
    let expected = kind.expected();
    match (kind, value) {
        (Kind::Secret, _) => format!("`{path}`: expected {expected}"),
        (kind, value) if kind.is_compound() => {
            format!("`{path}` is {}, expected {expected}", shape(value))
        }
        (Kind::Choice(words), Value::String(_, text)) => match nearest(text, &words()) {
            Some(near) => format!("`{path}` is {}, expected {expected}; did you mean {near:?}?", shown(value)),
            None => format!("`{path}` is {}, expected {expected}", shown(value)),
        },
        _ => format!("`{path}` is {}, expected {expected}", shown(value)),
    }
}

/// What form of value it is. Where a table is expected, a text may be a connection string with a password.
fn shape(value: &Value) -> String {
    match value {
        Value::String(..) => "text".to_owned(),
        other => shown(other),
    }
}
