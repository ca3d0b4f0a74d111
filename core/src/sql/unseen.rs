//! What a statement may leave behind by what runs unseen in it: functions that it calls, triggers that it fires,
//! defaults and checks.
//!
//! Only the catalog knows, so it can be judged again by a later one.

use super::{
    catalog::{Catalog, Knowledge},
    effect::Effect,
    facts::{Kind, StatementFacts, Traits},
};

/// By calling a function, named with or without a schema.
pub(super) fn of_function(catalog: &Catalog, schema: Option<&str>, name: &str) -> Option<Effect> {
    if catalog.function(schema, name) == Knowledge::Reads {
        None
    } else if catalog.may_keep_state(schema, name) {
        Some(Effect::Other)
    } else {
        catalog.may_change_session(schema, name).then_some(Effect::Unknown)
    }
}

/// By triggers, defaults and checks, which no statement names.
pub(super) fn of_changes(catalog: &Catalog, kind: Option<Kind>, traits: &Traits) -> Vec<Effect> {
    let changes =
        matches!(kind, Some(Kind::Insert | Kind::Update | Kind::Delete | Kind::Merge | Kind::CopyIn | Kind::Explain));
    // Event triggers are rare enough not to be supposed before the catalog is read.
    let is_definition = kind == Some(Kind::Ddl) && catalog.version() > 0;
    let mut effects = Vec::new();
    if traits.read_only || !(changes || is_definition) {
        return effects;
    }
    if catalog.triggers_change_session() {
        effects.push(Effect::Unknown);
        effects.extend(catalog.triggers_keep_state().then_some(Effect::Other));
    }
    effects.extend(catalog.recalls_sequences().then_some(Effect::RecallSequence));
    effects
}

impl StatementFacts {
    /// The same of a whole statement, by a catalog that was read after it had run.
    ///
    /// It may be more than there is: a function that the statement only names counts as called.
    pub fn unseen_effects(&self, catalog: &Catalog) -> Vec<Effect> {
        let mut effects = of_changes(catalog, Some(self.kind), &self.traits);
        effects.extend(self.functions.iter().filter_map(|function| {
            // A name may have a dot in it: then what is behind it is no function either.
            let (schema, name) =
                function.split_once('.').map_or((None, &**function), |(home, name)| (Some(home), name));
            of_function(catalog, schema, name)
        }));
        effects
    }
}

#[cfg(test)]
mod tests {
    use super::{super::facts, *};

    const NOTHING: [(&str, &str, char); 0] = [];

    /// What a statement, judged before anything of it was known, turns out to have left behind.
    fn later(sql: &str, functions: &[(&'static str, &'static str, char)]) -> Vec<Effect> {
        let before = Catalog::from_rows([("pg_catalog", "nextval", 'v'), ("pg_catalog", "lower", 'i')], NOTHING);
        let pg_catalog = [("pg_catalog", "nextval", 'v'), ("pg_catalog", "lower", 'i')];
        let after = Catalog::from_rows(pg_catalog.into_iter().chain(functions.iter().copied()), NOTHING);
        facts::of(sql, &before).unseen_effects(&after)
    }

    #[test]
    fn a_later_catalog_knows_what_defaults_and_triggers_have_done() {
        assert_eq!(later("INSERT INTO t VALUES (1)", &[]), []);
        assert_eq!(later("INSERT INTO t VALUES (1)", &[("", "sequence", 'w')]), [Effect::RecallSequence]);
        assert_eq!(later("UPDATE t SET a = 1", &[("", "trigger", 'w')]), [Effect::Unknown]);
        assert_eq!(later("DELETE FROM t", &[("", "trigger", 'x')]), [Effect::Unknown, Effect::Other]);
        assert_eq!(later("SELECT 1", &[("", "trigger", 'x'), ("", "sequence", 'w')]), []);
    }

    #[test]
    fn a_later_catalog_knows_what_functions_have_done() {
        assert_eq!(later("SELECT keeps(1)", &[("public", "keeps", 'x')]), [Effect::Other]);
        assert_eq!(later("SELECT public.keeps(1)", &[("public", "keeps", 'x')]), [Effect::Other]);
        assert_eq!(later("SELECT sets(1)", &[("public", "sets", 'w')]), [Effect::Unknown]);
        assert_eq!(later("SELECT writes(1)", &[("public", "writes", 'v')]), []);
        assert_eq!(later("SELECT lower('A')", &[("public", "keeps", 'x')]), []);
    }
}
