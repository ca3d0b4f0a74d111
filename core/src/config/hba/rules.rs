//! From the lines of an `auth_hba_file` to rules.

use std::{
    collections::BTreeMap,
    net::IpAddr,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{
    super::{
        problem::{Place, Problem},
        section::ReadFile,
    },
    Addresses, DatabaseName, Hba, HbaRule, IdentMap, Method, UserName, Way,
    tokens::{self, Field, Line, Token},
};

/// How deep lists of names may refer to others, as in PostgreSQL (`CONF_FILE_MAX_DEPTH`): a list that
/// refers to itself ends somewhere.
const LISTS_MAX_DEPTH: usize = 10;

/// The rules, and what is wrong with the file. Lists that it refers to start at its folder.
pub(in super::super) fn rules(
    file: &Path,
    contents: &[u8],
    maps: &BTreeMap<String, Arc<IdentMap>>,
    read: ReadFile<'_>,
) -> (Hba, Vec<Problem>) {
    let mut reader = Reader { maps, read, lists: Vec::new() };
    let (mut rules, mut problems) = (Vec::new(), Vec::new());
    let mut refuse = |line, column, message| {
        let place = Place::Line { file: file.display().to_string(), line, column };
        problems.push(Problem { place, key: "auth_hba_file".to_owned(), message });
    };
    for line in tokens::lines(contents) {
        match line {
            Err(unreadable) => refuse(unreadable.number, unreadable.column, unreadable.what.to_owned()),
            Ok(line) => match reader.rule(file, &line) {
                Ok(rule) => rules.push(rule),
                Err(Wrong { column, message }) => refuse(line.number, column, message),
            },
        }
    }
    reader.lists.sort();
    reader.lists.dedup();
    (Hba { rules, lists: reader.lists }, problems)
}

struct Reader<'a> {
    maps: &'a BTreeMap<String, Arc<IdentMap>>,
    read: ReadFile<'a>,
    lists: Vec<PathBuf>,
}

struct Wrong {
    /// Counted from 1.
    column: usize,
    message: String,
}

fn wrong<T>(token: &Token, message: impl Into<String>) -> Result<T, Wrong> {
    Err(Wrong { column: token.column, message: message.into() })
}

/// The fields of a line that have not been read.
struct Fields<'a> {
    rest: std::slice::Iter<'a, Field>,
    last: &'a Token,
}

impl<'a> Fields<'a> {
    fn list(&mut self, what: &str) -> Result<&'a Field, Wrong> {
        let Some(field) = self.rest.next() else {
            return wrong(self.last, format!("expected {what} after {:?}", self.last.text));
        };
        self.last = field.last().unwrap_or(self.last);
        Ok(field)
    }

    fn word(&mut self, what: &str) -> Result<&'a Token, Wrong> {
        match self.list(what)?.as_slice() {
            [word] => Ok(word),
            _ => wrong(self.last, format!("expected {what}, not a list")),
        }
    }
}

impl Reader<'_> {
    fn rule(&mut self, file: &Path, line: &Line) -> Result<HbaRule, Wrong> {
        let first = &line.fields[0][0];
        let mut fields = Fields { rest: line.fields.iter(), last: first };
        let way = way(fields.word("a kind of connection")?)?;
        let databases = self.names(file, fields.list("databases")?, &database)?;
        let users = self.names(file, fields.list("users")?, &user)?;
        let addresses = if way == Way::Local { Addresses::All } else { addresses(&mut fields)? };
        let word = fields.word("a method")?;
        let method = method(word, way)?;
        let mut rule = HbaRule { line: line.number, way, databases, users, addresses, method, map: None };
        while fields.rest.len() > 0 {
            self.option(fields.word("an option such as map=name")?, &mut rule)?;
        }
        Ok(rule)
    }

    /// The names of a field, those of the lists that it refers to included.
    fn names<N>(
        &mut self,
        file: &Path,
        field: &Field,
        name: &dyn Fn(&Token) -> Result<N, Wrong>,
    ) -> Result<Vec<N>, Wrong> {
        let mut names = Vec::new();
        for token in field {
            for word in self.words(file, token, 0)? {
                // Whatever is wrong in a list is reported where the rule refers to it.
                names.push(name(&Token { column: token.column, ..word })?);
            }
        }
        Ok(names)
    }

    fn words(&mut self, file: &Path, token: &Token, depth: usize) -> Result<Vec<Token>, Wrong> {
        let Some(name) = token.text.strip_prefix('@').filter(|name| !token.quoted && !name.is_empty()) else {
            return Ok(vec![token.clone()]);
        };
        if depth == LISTS_MAX_DEPTH {
            return wrong(token, format!("lists refer to lists more than {LISTS_MAX_DEPTH} deep"));
        }
        let list = file.parent().unwrap_or(Path::new("")).join(name);
        let contents = match (self.read)(&list) {
            Ok(contents) => contents,
            Err(error) => return wrong(token, format!("cannot read {}: {error}", list.display())),
        };
        self.lists.push(list.clone());
        let mut words = Vec::new();
        for line in tokens::lines(&contents) {
            let line = line.or_else(|unreadable| {
                wrong(token, format!("{}:{}: {}", list.display(), unreadable.number, unreadable.what))
            })?;
            for word in line.fields.iter().flatten() {
                words.extend(self.words(&list, &Token { column: token.column, ..word.clone() }, depth + 1)?);
            }
        }
        Ok(words)
    }

    fn option(&self, word: &Token, rule: &mut HbaRule) -> Result<(), Wrong> {
        let Some((name, value)) = word.text.split_once('=') else {
            return wrong(word, format!("expected an option such as map=name, not {:?}", word.text));
        };
        match name {
            "map" if !matches!(rule.method, Method::Cert | Method::Peer) => {
                wrong(word, "`map` goes with the methods cert and peer only")
            }
            "map" => match self.maps.get(value) {
                Some(map) => {
                    rule.map = Some(Arc::clone(map));
                    Ok(())
                }
                None => wrong(word, format!("the map {value:?} is not in `auth_ident_file`")),
            },
            _ => wrong(word, format!("the option {name:?} is not supported, only `map` is")),
        }
    }
}

fn way(word: &Token) -> Result<Way, Wrong> {
    match word.text.as_str() {
        "local" => Ok(Way::Local),
        "host" => Ok(Way::Host),
        "hostssl" => Ok(Way::HostSsl),
        "hostnossl" => Ok(Way::HostNoSsl),
        "hostgssenc" | "hostnogssenc" => wrong(word, "GSSAPI is not supported"),
        "include" | "include_if_exists" | "include_dir" => wrong(word, "files cannot include others"),
        other => {
            wrong(word, format!("unknown kind of connection {other:?}, expected local, host, hostssl or hostnossl"))
        }
    }
}

fn database(word: &Token) -> Result<DatabaseName, Wrong> {
    if word.is("all") {
        Ok(DatabaseName::All)
    } else if word.is("sameuser") {
        Ok(DatabaseName::SameUser)
    } else if word.is("replication") {
        Ok(DatabaseName::Replication)
    } else if word.is("samerole") || word.is("samegroup") {
        wrong(word, format!("{:?} is not supported, only PostgreSQL knows groups", word.text))
    } else {
        name(word).map(DatabaseName::Named)
    }
}

fn user(word: &Token) -> Result<UserName, Wrong> {
    if word.is("all") {
        Ok(UserName::All)
    } else if !word.quoted && word.text.starts_with('+') {
        wrong(word, format!("{:?} is not supported, only PostgreSQL knows groups", word.text))
    } else {
        name(word).map(UserName::Named)
    }
}

fn name(word: &Token) -> Result<String, Wrong> {
    match word.text.as_str() {
        "" => wrong(word, "the name is empty"),
        // PostgreSQL would take it for one, quoted or not.
        text if text.starts_with('/') => wrong(word, "regular expressions are not supported here"),
        text => Ok(text.to_owned()),
    }
}

const ADDRESS: &str = "an address such as 10.0.0.0/8, or all";

fn addresses(fields: &mut Fields<'_>) -> Result<Addresses, Wrong> {
    let word = fields.word(ADDRESS)?;
    if word.is("all") {
        return Ok(Addresses::All);
    }
    let (address, prefix) = match word.text.split_once('/') {
        Some((address, prefix)) => (address, Some(prefix)),
        None => (word.text.as_str(), None),
    };
    let Ok(address) = address.parse::<IpAddr>() else {
        return wrong(word, format!("expected {ADDRESS}, not {:?}; host names are not supported", word.text));
    };
    let mask = match prefix {
        Some(prefix) => mask_of(prefix, address).ok_or_else(|| Wrong {
            column: word.column,
            message: format!("{:?} has no length of a prefix after the `/`, 0 to {}", word.text, bits(address)),
        })?,
        None => {
            let word = fields.word("`/` and the length of a prefix, or a mask,")?;
            match word.text.parse() {
                Ok(mask) => mask,
                Err(_) => return wrong(word, format!("expected a mask such as 255.0.0.0, not {:?}", word.text)),
            }
        }
    };
    match (address, mask) {
        (IpAddr::V4(network), IpAddr::V4(mask)) => Ok(Addresses::V4 { network: network.into(), mask: mask.into() }),
        (IpAddr::V6(network), IpAddr::V6(mask)) => Ok(Addresses::V6 { network: network.into(), mask: mask.into() }),
        _ => wrong(fields.last, "the address and its mask are not of one family"),
    }
}

fn bits(address: IpAddr) -> u32 {
    if address.is_ipv4() { 32 } else { 128 }
}

fn mask_of(prefix: &str, address: IpAddr) -> Option<IpAddr> {
    // `parse` would take a sign.
    let length: u32 = prefix.parse().ok().filter(|_| prefix.bytes().all(|byte| byte.is_ascii_digit()))?;
    let without = bits(address).checked_sub(length)?;
    Some(match address {
        IpAddr::V4(_) => IpAddr::V4(u32::MAX.checked_shl(without).unwrap_or(0).into()),
        IpAddr::V6(_) => IpAddr::V6(u128::MAX.checked_shl(without).unwrap_or(0).into()),
    })
}

fn method(word: &Token, way: Way) -> Result<Method, Wrong> {
    match word.text.as_str() {
        "trust" => Ok(Method::Trust),
        "reject" => Ok(Method::Reject),
        "password" => Ok(Method::Password),
        "md5" => Ok(Method::Md5),
        "scram-sha-256" => Ok(Method::ScramSha256),
        "cert" if way == Way::HostSsl => Ok(Method::Cert),
        "cert" => wrong(word, "cert needs TLS: it goes with hostssl"),
        "peer" if way == Way::Local => Ok(Method::Peer),
        "peer" => wrong(word, "peer needs a unix socket: it goes with local"),
        other => wrong(
            word,
            format!(
                "the method {other:?} is not supported, only trust, reject, md5, scram-sha-256, password, cert and peer are"
            ),
        ),
    }
}
