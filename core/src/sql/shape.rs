//! Finds the shape of a text: what stays when its literals are taken out.
//!
//! Each worker has [`Shapes`], a cache of its own that takes no lock: blank the literals, look the
//! bytes up. What it does not hold it asks of [`SharedShapes`], which all workers share; only
//! there a text is parsed, once for all of them.

use std::{
    rc::Rc,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

pub use super::blank::blank_literals;
pub use super::generations::Bounds;
use super::{
    blank,
    catalog::Catalog,
    facts::{self, StatementFacts},
    generations::Generations,
    normal::Scanned,
    plain::plain_literals,
};

/// Longer texts are not looked into: their facts are those of an unparsed text. They are bulk
/// loads, which are writes.
pub const TEXT_MAX_BYTES: usize = 64 * 1024;

/// What a cache holds at most. An application has hundreds of shapes; one that makes them up on
/// the fly must not fill the memory. The bytes are shared between the workers' caches.
pub const CACHE_BOUNDS: Bounds = Bounds { entries: 10_000, bytes: 64 * 1024 * 1024 };

/// What an entry takes besides its key and the texts in its facts, roughly.
const ENTRY_OVERHEAD_BYTES: usize = 512;

/// Names a shape for as long as the process lives. Never used again for another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ShapeId(pub u64);

impl ShapeId {
    /// Texts that were not looked into.
    pub const OPAQUE: Self = Self(0);
    /// Texts that were not looked into and may change their session.
    pub const OPAQUE_SESSION: Self = Self(1);

    fn next() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(2);
        Self(NEXT.fetch_add(1, Ordering::Relaxed))
    }
}

/// A shape and what is known of it.
#[derive(Clone, Debug)]
pub struct Shape {
    /// Equal ids have equal facts; a change of the catalog makes a new one.
    pub id: ShapeId,
    /// What is known of it.
    pub facts: Arc<StatementFacts>,
    /// It [only reads](StatementFacts::only_reads), which most statements do.
    pub only_reads: bool,
}

impl Shape {
    fn new(id: ShapeId, facts: StatementFacts) -> Self {
        Self { id, only_reads: facts.only_reads(), facts: Arc::new(facts) }
    }
}

/// How a cache fares, since it was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Look-ups answered by the worker's own cache.
    pub hits: u64,
    /// Look-ups that went on to the shared one.
    pub misses: u64,
    /// Texts that were not looked into.
    pub opaque: u64,
    /// Shapes forgotten for want of room.
    pub evictions: u64,
    /// Shapes held now.
    pub entries: u64,
    /// Bytes they take, roughly.
    pub bytes: u64,
}

/// One worker's shapes.
pub struct Shapes {
    shared: Arc<SharedShapes>,
    kept: Generations<Rc<Shape>>,
    opaque: Rc<Shape>,
    opaque_session: Rc<Shape>,
    /// The key of the look-up at hand; its memory is used again.
    key: Vec<u8>,
    counters: Counters,
}

impl Shapes {
    /// An empty cache in front of `shared`.
    pub fn new(shared: Arc<SharedShapes>) -> Self {
        let opaque = |id, text: &str| Rc::new(Shape::new(id, facts::unparsed(text.as_bytes(), Scanned::default())));
        Self {
            kept: Generations::new(shared.bounds),
            shared,
            opaque: opaque(ShapeId::OPAQUE, ""),
            opaque_session: opaque(ShapeId::OPAQUE_SESSION, "SET"),
            key: Vec::new(),
            counters: Counters::default(),
        }
    }

    /// The shape of a text as it came from the client, without the zero byte at its end.
    ///
    /// A shape seen before costs a scan and a look-up, a new one a parse, tens of microseconds.
    /// Never fails: a text that PostgreSQL's parser refuses has a shape like any other.
    pub fn look_up(&mut self, text: &[u8], catalog: &Catalog) -> Rc<Shape> {
        if text.len() > TEXT_MAX_BYTES {
            self.counters.opaque += 1;
            return self.opaque(text);
        }
        let kind = self.write_key(text);
        self.key.push(kind as u8);
        self.key.extend_from_slice(&catalog.version().to_le_bytes());
        if let Some(shape) = self.kept.find(&self.key) {
            self.counters.hits += 1;
            return shape;
        }
        self.look_further(kind, catalog)
    }

    /// Another worker may know the shape of the key at hand; or else it is found out.
    #[inline(never)]
    fn look_further(&mut self, kind: KeyKind, catalog: &Catalog) -> Rc<Shape> {
        self.counters.misses += 1;
        let (key, shape) = self.shared.look_up(&self.key, kind, catalog);
        let bytes = size_bytes(&key, &shape.facts);
        let shape = Rc::new(shape);
        self.kept.insert(key, Rc::clone(&shape), bytes);
        shape
    }

    /// Each shape that it holds.
    pub fn known(&self) -> impl Iterator<Item = &Shape> {
        self.kept.values().map(|shape| &**shape)
    }

    /// Our scanner, else PostgreSQL's lexer in front of it, else the text as it is.
    fn write_key(&mut self, text: &[u8]) -> KeyKind {
        if blank_literals(text, &mut self.key) { KeyKind::Blanked } else { self.write_strange_key(text) }
    }

    #[inline(never)]
    fn write_strange_key(&mut self, text: &[u8]) -> KeyKind {
        let plain = std::str::from_utf8(text).ok().and_then(plain_literals);
        if plain.is_some_and(|plain| blank_literals(plain.as_bytes(), &mut self.key)) {
            return KeyKind::Blanked;
        }
        self.key.clear();
        self.key.extend_from_slice(text);
        KeyKind::Exact
    }

    /// How this cache fares.
    pub fn counters(&self) -> Counters {
        Counters {
            evictions: self.kept.evictions(),
            entries: self.kept.len() as u64,
            bytes: self.kept.bytes() as u64,
            ..self.counters
        }
    }

    /// The shape of a text that is not to be looked into: too long, or in a session whose settings
    /// make our reading of it doubtful (`standard_conforming_strings` off).
    pub fn opaque(&self, text: &[u8]) -> Rc<Shape> {
        let session = super::lexical::may_change_session(text);
        Rc::clone(if session { &self.opaque_session } else { &self.opaque })
    }
}

/// How a key was made. It is the byte after the text, since a text may hold our markers itself.
#[derive(Clone, Copy)]
enum KeyKind {
    Blanked = 0,
    Exact = 1,
}

/// The kind of the key and the version of the catalog.
const KEY_SUFFIX_BYTES: usize = 1 + size_of::<u64>();

/// The shapes of all workers.
pub struct SharedShapes {
    kept: Mutex<Generations<(Arc<[u8]>, Shape)>>,
    bounds: Bounds,
}

impl Default for SharedShapes {
    fn default() -> Self {
        Self::new(CACHE_BOUNDS)
    }
}

impl SharedShapes {
    /// An empty cache; each worker's has the same bounds.
    pub fn new(bounds: Bounds) -> Self {
        Self { kept: Mutex::new(Generations::new(bounds)), bounds }
    }

    fn look_up(&self, key: &[u8], kind: KeyKind, catalog: &Catalog) -> (Arc<[u8]>, Shape) {
        if let Some(known) = self.find(key) {
            return known;
        }
        // Not under the lock: other workers look up what is known meanwhile.
        let text = &key[..key.len() - KEY_SUFFIX_BYTES];
        let facts = match kind {
            KeyKind::Blanked => facts_of(&blank::representative(text), catalog),
            KeyKind::Exact => facts_of(text, catalog),
        };
        self.keep(key, facts)
    }

    fn find(&self, key: &[u8]) -> Option<(Arc<[u8]>, Shape)> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).find(key)
    }

    /// Another worker may have been faster; then its shape is the one.
    fn keep(&self, key: &[u8], facts: StatementFacts) -> (Arc<[u8]>, Shape) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = kept.find(key) {
            return known;
        }
        let key = Arc::<[u8]>::from(key);
        let bytes = size_bytes(&key, &facts);
        let known = (Arc::clone(&key), Shape::new(ShapeId::next(), facts));
        kept.insert(key, known.clone(), bytes);
        known
    }
}

impl std::fmt::Debug for SharedShapes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SharedShapes").finish_non_exhaustive()
    }
}

/// PostgreSQL's parser reads UTF-8 here; another encoding with other bytes is left unparsed.
fn facts_of(text: &[u8], catalog: &Catalog) -> StatementFacts {
    match std::str::from_utf8(text) {
        Ok(text) => facts::of(text, catalog),
        Err(_) => facts::unparsed(text, Scanned::default()),
    }
}

fn size_bytes(key: &[u8], facts: &StatementFacts) -> usize {
    let tables: usize = facts.tables.iter().map(|table| table.name.len()).sum();
    let functions: usize = facts.functions.iter().map(String::len).sum();
    ENTRY_OVERHEAD_BYTES + key.len() + facts.normalized.len() + tables + functions
}

#[cfg(test)]
mod tests;
