//! Reads TOML into figment's values and notes at which line and column each of them stands.

use std::collections::BTreeMap;

use figment::value::{Dict, Value};
use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::{
    super::{
        path::KeyPath,
        problem::{Problem, Text},
    },
    Spot,
};

/// The values of a file and their places. Of errors of syntax the first is reported: the parser would
/// go on, but what it finds then mostly follows from the first.
pub(super) fn read(name: &str, text: &str) -> Result<(Dict, BTreeMap<KeyPath, Spot>), Problem> {
    let (table, errors) = DeTable::parse_recoverable(text);
    let lines = Text::new(name, text);
    let start = |error: &toml::de::Error| error.span().map_or(text.len(), |span| span.start);
    if let Some(first) = errors.into_iter().min_by_key(start) {
        return Err(syntax_problem(&lines, text, &first));
    }
    let mut reader = Reader { lines: &lines, places: BTreeMap::new() };
    let values = reader.table(&KeyPath::root(), table.get_ref());
    Ok((values, reader.places))
}

/// A single value, `None` when the text is none.
pub(super) fn value(text: &str) -> Option<Value> {
    let value = DeValue::parse(text).ok()?;
    let mut reader = Reader { lines: &Text::new("", text), places: BTreeMap::new() };
    Some(reader.value(&KeyPath::root(), &value))
}

/// The steps of a key as TOML writes them: `databases."*".pool_size`.
pub(super) fn steps(key: &str) -> Vec<String> {
    let document = format!("{key} = 0");
    let Ok(table) = DeTable::parse(&document) else {
        return key.split('.').map(str::to_owned).collect();
    };
    let mut steps = Vec::new();
    let mut level = Some(table.get_ref());
    while let Some((key, value)) = level.and_then(|table| table.iter().next()) {
        steps.push(key.get_ref().to_string());
        level = value.get_ref().as_table();
    }
    steps
}

fn syntax_problem(lines: &Text<'_>, text: &str, error: &toml::de::Error) -> Problem {
    let span = error.span().unwrap_or(text.len()..text.len());
    let place = lines.place(span.start);
    let key = match error.message() {
        DUPLICATE => text.get(span).unwrap_or_default().to_owned(),
        _ => String::new(),
    };
    // One problem is one line.
    let message = match key.as_str() {
        "" => format!("not TOML: {}", error.message().replace('\n', ", ")),
        twice => format!("`{twice}` stands here a second time"),
    };
    Problem { place, key, message }
}

/// The parser's words for a key that stands in a table twice; the place is the second one.
const DUPLICATE: &str = "duplicate key";

/// Turns parsed TOML into figment's values and notes the places on the way.
struct Reader<'a> {
    lines: &'a Text<'a>,
    places: BTreeMap<KeyPath, Spot>,
}

impl Reader<'_> {
    fn table(&mut self, path: &KeyPath, table: &DeTable<'_>) -> Dict {
        let entries = table.iter().map(|(key, value)| {
            let path = path.key(key.get_ref());
            self.note(&path, key.span().start, value.span().start);
            (key.get_ref().to_string(), self.value(&path, value))
        });
        entries.collect()
    }

    fn value(&mut self, path: &KeyPath, value: &Spanned<DeValue<'_>>) -> Value {
        match value.get_ref() {
            DeValue::Table(table) => self.table(path, table).into(),
            DeValue::Array(items) => {
                let items = items.iter().enumerate().map(|(index, item)| {
                    let path = path.index(index);
                    self.note(&path, item.span().start, item.span().start);
                    self.value(&path, item)
                });
                items.collect::<Vec<_>>().into()
            }
            scalar => scalar_value(scalar),
        }
    }

    fn note(&mut self, path: &KeyPath, key: usize, value: usize) {
        let spot = Spot { key: self.lines.place(key), value: self.lines.place(value) };
        self.places.insert(path.clone(), spot);
    }
}

/// A number too large for us stays text, which no number's key accepts.
fn scalar_value(value: &DeValue<'_>) -> Value {
    match value {
        DeValue::String(text) => text.to_string().into(),
        DeValue::Boolean(flag) => (*flag).into(),
        DeValue::Integer(number) => match i64::from_str_radix(number.as_str(), number.radix()) {
            Ok(whole) => whole.into(),
            Err(_) => number.to_string().into(),
        },
        DeValue::Float(number) => match number.as_str().parse::<f64>() {
            Ok(fraction) => fraction.into(),
            Err(_) => number.to_string().into(),
        },
        DeValue::Datetime(time) => time.to_string().into(),
        DeValue::Array(_) | DeValue::Table(_) => unreachable!("lists and tables are not scalars"),
    }
}
