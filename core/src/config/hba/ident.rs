//! `auth_ident_file`: which names outside of PostgreSQL stand for which users.
//!
//! <https://www.postgresql.org/docs/current/auth-username-maps.html>: `map system-username database-username`.
//! A system name that begins with `/` is a regular expression, whose first group replaces a `\1` in the user's name.

use std::{collections::BTreeMap, sync::Arc};

use regex_lite::Regex;

use super::{
    super::problem::{Place, Problem},
    tokens::{self, Line, Token},
};

/// What stands for the first group of a system name.
const GROUP: &str = r"\1";

/// One map: the lines of one name.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct IdentMap(Vec<Entry>);

#[derive(Clone, Debug, PartialEq)]
struct Entry {
    system: SystemName,
    user: MappedUser,
}

#[derive(Clone, Debug)]
enum SystemName {
    Is(String),
    Matches(Regex),
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum MappedUser {
    All,
    Is(String),
    /// With the first group of the system name between the two.
    Around(String, String),
}

impl PartialEq for SystemName {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Is(a), Self::Is(b)) => a == b,
            (Self::Matches(a), Self::Matches(b)) => a.as_str() == b.as_str(),
            _ => false,
        }
    }
}

impl IdentMap {
    /// Whether somebody who is `system` elsewhere may be `user` here.
    pub fn allows(&self, system: &str, user: &str) -> bool {
        self.0.iter().any(|entry| entry.allows(system, user))
    }
}

impl Entry {
    fn allows(&self, system: &str, user: &str) -> bool {
        let group = match &self.system {
            SystemName::Is(name) if name == system => None,
            SystemName::Is(_) => return false,
            SystemName::Matches(pattern) => match pattern.captures(system) {
                Some(captures) => captures.get(1).map(|group| group.as_str()),
                None => return false,
            },
        };
        match (&self.user, group) {
            (MappedUser::All, _) => true,
            (MappedUser::Is(name), _) => name == user,
            (MappedUser::Around(before, after), Some(group)) => {
                let inner = user.strip_prefix(before.as_str()).and_then(|rest| rest.strip_suffix(after.as_str()));
                inner == Some(group)
            }
            // The group is one of several ways to match, and it was another.
            (MappedUser::Around(..), None) => false,
        }
    }
}

/// The maps of a file by their names, and what is wrong with it.
pub(in super::super) fn maps(file: &str, contents: &[u8]) -> (BTreeMap<String, Arc<IdentMap>>, Vec<Problem>) {
    let mut maps: BTreeMap<String, IdentMap> = BTreeMap::new();
    let mut problems = Vec::new();
    let mut refuse = |line, column, message| {
        let place = Place::Line { file: file.to_owned(), line, column };
        problems.push(Problem { place, key: "auth_ident_file".to_owned(), message });
    };
    for line in tokens::lines(contents) {
        match line {
            Err(unreadable) => refuse(unreadable.number, unreadable.column, unreadable.what.to_owned()),
            Ok(line) => match entry(&line) {
                Ok((name, entry)) => maps.entry(name).or_default().0.push(entry),
                Err((column, message)) => refuse(line.number, column, message),
            },
        }
    }
    (maps.into_iter().map(|(name, map)| (name, Arc::new(map))).collect(), problems)
}

/// The map's name and what the line adds to it, or the column and what is wrong.
fn entry(line: &Line) -> Result<(String, Entry), (usize, String)> {
    let mut words = Vec::new();
    for field in &line.fields {
        match field.as_slice() {
            [word] => words.push(word),
            [word, ..] => return Err((word.column, "a list is not accepted here".to_owned())),
            [] => {}
        }
    }
    let [name, system, user] = words.as_slice() else {
        let column = words.get(3).or(words.last()).map_or(1, |word| word.column);
        return Err((column, "expected a map's name, a system user and a database user".to_owned()));
    };
    if !name.quoted && name.text.starts_with("include") {
        return Err((name.column, "files cannot include others".to_owned()));
    }
    let system = system_name(system)?;
    let user = mapped_user(user, &system)?;
    Ok((name.text.clone(), Entry { system, user }))
}

fn system_name(word: &Token) -> Result<SystemName, (usize, String)> {
    let Some(pattern) = word.text.strip_prefix('/') else { return Ok(SystemName::Is(word.text.clone())) };
    let pattern =
        Regex::new(pattern).map_err(|error| (word.column, format!("{pattern:?} is no regular expression: {error}")))?;
    Ok(SystemName::Matches(pattern))
}

fn mapped_user(word: &Token, system: &SystemName) -> Result<MappedUser, (usize, String)> {
    let wrong = |message: &str| Err((word.column, message.to_owned()));
    if word.is("all") {
        return Ok(MappedUser::All);
    }
    if !word.quoted && word.text.starts_with('+') {
        return wrong("groups are not supported, name each user");
    }
    if word.text.starts_with('/') {
        return wrong("a regular expression is supported for the system user only");
    }
    let SystemName::Matches(pattern) = system else { return Ok(MappedUser::Is(word.text.clone())) };
    match word.text.split_once(GROUP) {
        Some(_) if word.quoted => Ok(MappedUser::Is(word.text.clone())),
        // The whole match is a group too, of number 0.
        Some(_) if pattern.captures_len() < 2 => {
            wrong("there is no group in the regular expression that `\\1` could stand for")
        }
        Some((before, after)) => Ok(MappedUser::Around(before.to_owned(), after.to_owned())),
        None => Ok(MappedUser::Is(word.text.clone())),
    }
}
