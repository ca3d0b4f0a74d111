//! `synchronous_standby_names` as text: what a server says, and what it is told.
//!
//! <https://www.postgresql.org/docs/current/runtime-config-replication.html#GUC-SYNCHRONOUS-STANDBY-NAMES>

use std::fmt;

use super::verdict::{StandbySet, SyncMethod};

impl StandbySet {
    /// Reads the setting's value; `None` for the empty one, and for what PostgreSQL would refuse.
    pub fn parse(text: &str) -> Option<Self> {
        let words = words(text)?;
        match words.as_slice() {
            [Word::Name { text, quoted: false }, Word::Number(count), rest @ ..]
                if text.eq_ignore_ascii_case("first") =>
            {
                Self::of(SyncMethod::First, *count, within(rest)?)
            }
            [Word::Name { text, quoted: false }, Word::Number(count), rest @ ..]
                if text.eq_ignore_ascii_case("any") =>
            {
                Self::of(SyncMethod::Any, *count, within(rest)?)
            }
            [Word::Number(count), rest @ ..] if rest.first() == Some(&Word::Sign('(')) => {
                Self::of(SyncMethod::First, *count, within(rest)?)
            }
            list => Self::of(SyncMethod::First, 1, list),
        }
    }

    fn of(method: SyncMethod, count: u16, list: &[Word]) -> Option<Self> {
        let mut members = Vec::new();
        for (place, word) in list.iter().enumerate() {
            match (place % 2, word) {
                (0, Word::Name { text, .. }) => members.push(text.clone()),
                (0, Word::Number(number)) => members.push(number.to_string()),
                (1, Word::Sign(',')) => {}
                _ => return None,
            }
        }
        (list.len() % 2 == 1 && count > 0).then_some(Self { method, count, members })
    }
}

impl fmt::Display for StandbySet {
    /// As PostgreSQL reads it, every name in quotes: `ANY 1 ("n1", "n2")`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let method = match self.method {
            SyncMethod::First => "FIRST",
            SyncMethod::Any => "ANY",
        };
        write!(f, "{method} {} (", self.count)?;
        for (place, member) in self.members.iter().enumerate() {
            let comma = if place > 0 { ", " } else { "" };
            write!(f, "{comma}\"{}\"", member.replace('"', "\"\""))?;
        }
        f.write_str(")")
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Word {
    Name { text: String, quoted: bool },
    Number(u16),
    Sign(char),
}

/// What stands between the parentheses, which are all of it.
fn within(words: &[Word]) -> Option<&[Word]> {
    match words {
        [Word::Sign('('), list @ .., Word::Sign(')')] => Some(list),
        _ => None,
    }
}

fn words(text: &str) -> Option<Vec<Word>> {
    let mut words = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let used = match first {
            '(' | ')' | ',' => {
                words.push(Word::Sign(first));
                1
            }
            '*' => {
                words.push(Word::Name { text: "*".to_owned(), quoted: false });
                1
            }
            '"' => {
                let (name, used) = quoted(rest)?;
                words.push(Word::Name { text: name, quoted: true });
                used
            }
            _ => {
                let used = rest.find(|c: char| !(c.is_alphanumeric() || matches!(c, '_' | '$'))).unwrap_or(rest.len());
                let word = rest.get(..used).filter(|word| !word.is_empty())?;
                words.push(match word.parse() {
                    Ok(number) => Word::Number(number),
                    Err(_) => Word::Name { text: word.to_owned(), quoted: false },
                });
                used
            }
        };
        rest = rest[used..].trim_start();
    }
    Some(words)
}

/// A name in quotes at the start of the text, and how much of it that is.
fn quoted(text: &str) -> Option<(String, usize)> {
    let mut name = String::new();
    let mut characters = text.char_indices().skip(1).peekable();
    while let Some((at, character)) = characters.next() {
        if character != '"' {
            name.push(character);
        } else if characters.next_if(|(_, next)| *next == '"').is_some() {
            name.push('"');
        } else {
            return Some((name, at + 1));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(method: SyncMethod, count: u16, members: &[&str]) -> Option<StandbySet> {
        Some(StandbySet { method, count, members: members.iter().map(|name| (*name).to_owned()).collect() })
    }

    #[test]
    fn the_setting_is_read_as_postgresql_reads_it() {
        for (text, expected) in [
            ("ANY 1 (\"n1\", \"n2\")", set(SyncMethod::Any, 1, &["n1", "n2"])),
            ("any 2(n1,n2 , n3)", set(SyncMethod::Any, 2, &["n1", "n2", "n3"])),
            ("FIRST 1 (a)", set(SyncMethod::First, 1, &["a"])),
            ("2 (a, b)", set(SyncMethod::First, 2, &["a", "b"])),
            ("a, b", set(SyncMethod::First, 1, &["a", "b"])),
            ("*", set(SyncMethod::First, 1, &["*"])),
            ("\"any\"", set(SyncMethod::First, 1, &["any"])),
            ("\"a \"\"b\"\"\"", set(SyncMethod::First, 1, &["a \"b\""])),
            ("", None),
            ("ANY 1 (", None),
            ("ANY 1 (a b)", None),
            ("a,", None),
            ("ANY 0 (a)", None),
            ("\"a", None),
            ("a;b", None),
        ] {
            assert_eq!(StandbySet::parse(text), expected, "{text}");
        }
    }

    #[test]
    fn what_is_written_reads_back() {
        for one in [set(SyncMethod::Any, 1, &["n1", "n-2"]), set(SyncMethod::First, 2, &["a \"b\"", "é"])] {
            assert_eq!(StandbySet::parse(&one.as_ref().unwrap().to_string()), one);
        }
    }
}
