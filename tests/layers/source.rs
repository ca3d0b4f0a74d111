//! Which module imports which, read from Rust sources without a compiler.
//!
//! Comments and literals are blanked, code that only tests see is left out, and what remains is
//! searched for paths that begin with `crate` or climb to it by `super`.

use std::{
    fmt, fs, iter,
    path::{Path, PathBuf},
};

/// One module's mention of another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Import {
    /// Where.
    pub place: Place,
    /// The module at the top that mentions.
    pub from: String,
    /// The module at the top that is mentioned.
    pub to: String,
}

/// A line of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The file, from the root of the sources.
    pub file: String,
    /// Counted from 1.
    pub line: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "core/src/{}:{}", self.file, self.line)
    }
}

/// Every Rust file below a folder, what is built there aside.
pub fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut files = Vec::new();
    for path in entries.map(|entry| entry.expect("our folders can be listed").path()) {
        if path.is_dir() && !path.ends_with("target") {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files.sort();
    files
}

/// The modules at the top of a crate.
pub fn modules(sources: &Path) -> Vec<String> {
    let mut modules: Vec<_> =
        rust_files(sources).iter().filter_map(|file| top_module(&relative(file, sources))).collect();
    modules.dedup();
    modules.sort();
    modules.dedup();
    modules
}

/// All imports between the modules at the top of a crate, those of tests aside.
pub fn imports(sources: &Path) -> Vec<Import> {
    let known = modules(sources);
    let mut found = Vec::new();
    for path in rust_files(sources) {
        let file = relative(&path, sources);
        let Some(from) = top_module(&file) else { continue };
        if is_test_file(&file) {
            continue;
        }
        let text = fs::read_to_string(&path).expect("our sources can be read");
        let mentions = mentions(&text, depth(&file)).into_iter();
        let others = mentions.filter(|(_, to)| *to != from && known.contains(to));
        found.extend(others.map(|(line, to)| Import {
            place: Place { file: file.clone(), line },
            from: from.clone(),
            to,
        }));
    }
    found.dedup();
    found
}

fn relative(path: &Path, sources: &Path) -> String {
    let path = path.strip_prefix(sources).expect("it was found there");
    path.to_string_lossy().replace('\\', "/")
}

/// `None` for the crate's own files.
fn top_module(file: &str) -> Option<String> {
    let first = file.split('/').next().unwrap_or_default();
    let module = first.strip_suffix(".rs").unwrap_or(first);
    (!matches!(module, "lib" | "main")).then(|| module.to_owned())
}

fn is_test_file(file: &str) -> bool {
    file.split('/').any(|part| matches!(part, "tests" | "tests.rs"))
}

/// How many `super` lead from the file's module to the crate.
fn depth(file: &str) -> usize {
    let parts = file.split('/').count();
    if file.ends_with("/mod.rs") { parts - 1 } else { parts }
}

/// The first names of paths that begin at the crate, with their lines.
fn mentions(text: &str, depth: usize) -> Vec<(usize, String)> {
    let code = without_tests(blank(text));
    let tokens = tokens(&code);
    let mut found = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        let starts = matches!(tokens[at].0, "crate" | "super") && (at == 0 || tokens[at - 1].0 != "::");
        if !starts {
            at += 1;
            continue;
        }
        let mut paths = Vec::new();
        at = read_path(&tokens, at, &[], &mut paths);
        found.extend(paths.into_iter().filter_map(|(line, path)| Some((line, from_crate(&path, depth)?.to_owned()))));
    }
    found
}

/// The name after the crate, if the path gets there.
fn from_crate<'p>(path: &[&'p str], depth: usize) -> Option<&'p str> {
    let climbed = path.iter().take_while(|name| **name == "super").count();
    match path {
        ["crate", name, ..] => Some(name),
        _ if climbed >= depth => path.get(climbed).copied(),
        _ => None,
    }
}

type Token<'t> = (&'t str, usize);

/// Reads the path or the tree of paths at a token; the place behind it.
fn read_path<'t>(
    tokens: &[Token<'t>],
    mut at: usize,
    before: &[&'t str],
    paths: &mut Vec<(usize, Vec<&'t str>)>,
) -> usize {
    let mut path = before.to_vec();
    let mut line = tokens.get(at).map_or(0, |token| token.1);
    while let Some((name, named_in)) = tokens.get(at).filter(|token| is_name(token.0)) {
        path.push(*name);
        // A path over several lines is at its second name, which is what matters here.
        if path.len() <= 2 {
            line = *named_in;
        }
        at += 1;
        if tokens.get(at).is_none_or(|token| token.0 != "::") {
            break;
        }
        at += 1;
        if tokens.get(at).is_some_and(|token| token.0 == "{") {
            return read_group(tokens, at + 1, &path, paths);
        }
    }
    paths.push((line, path));
    at
}

fn read_group<'t>(
    tokens: &[Token<'t>],
    mut at: usize,
    path: &[&'t str],
    paths: &mut Vec<(usize, Vec<&'t str>)>,
) -> usize {
    while let Some((token, _)) = tokens.get(at) {
        match *token {
            "}" => return at + 1,
            "as" => at += 2,
            name if is_name(name) => at = read_path(tokens, at, path, paths),
            _ => at += 1,
        }
    }
    at
}

fn is_name(token: &str) -> bool {
    token.starts_with(|c: char| c.is_alphabetic() || c == '_')
}

/// Names, `::` and single characters, with their lines.
fn tokens(code: &str) -> Vec<Token<'_>> {
    let mut found = Vec::new();
    let mut line = 1;
    let mut rest = code;
    while let Some(first) = rest.chars().next() {
        let in_name = |c: char| c.is_alphanumeric() || c == '_';
        let length = match first {
            _ if in_name(first) => rest.find(|c| !in_name(c)).unwrap_or(rest.len()),
            ':' if rest.starts_with("::") => 2,
            _ => first.len_utf8(),
        };
        let (token, after) = rest.split_at(length);
        if !first.is_whitespace() {
            found.push((token, line));
        }
        line += usize::from(first == '\n');
        rest = after;
    }
    found
}

/// The text with comments and literals replaced by spaces; lines stay lines.
fn blank(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while !rest.is_empty() {
        let skipped = comment(rest).or_else(|| literal(rest, out.chars().last()));
        let (piece, after) = rest.split_at(skipped.unwrap_or_else(|| rest.chars().next().map_or(0, char::len_utf8)));
        if skipped.is_some() {
            out.extend(piece.chars().map(|c| if c == '\n' { '\n' } else { ' ' }));
        } else {
            out.push_str(piece);
        }
        rest = after;
    }
    out
}

/// The length of the comment that the text begins with.
fn comment(text: &str) -> Option<usize> {
    if text.starts_with("//") {
        return Some(text.find('\n').unwrap_or(text.len()));
    }
    if !text.starts_with("/*") {
        return None;
    }
    let (mut at, mut open) = (2, 1_usize);
    while open > 0 && at < text.len() {
        let step = match &text.as_bytes()[at..] {
            [b'/', b'*', ..] => {
                open += 1;
                2
            }
            [b'*', b'/', ..] => {
                open -= 1;
                2
            }
            _ => 1,
        };
        at += step;
    }
    Some(text.ceil_char_boundary(at))
}

/// The length of the string or character that the text begins with. `before` tells the `r` of a raw
/// string from the end of a name.
fn literal(text: &str, before: Option<char>) -> Option<usize> {
    let in_name = before.is_some_and(|c| c.is_alphanumeric() || c == '_');
    let prefix = text.trim_start_matches(['b', 'c', 'r']);
    let prefix_length = text.len() - prefix.len();
    if prefix_length > 2 || (prefix_length > 0 && in_name) {
        return None;
    }
    if text[..prefix_length].contains('r') {
        let hashes = prefix.len() - prefix.trim_start_matches('#').len();
        let body = prefix[hashes..].strip_prefix('"')?;
        let end = iter::once('"').chain(iter::repeat_n('#', hashes)).collect::<String>();
        let inside = body.find(&end).map_or(body.len(), |found| found + end.len());
        return Some(prefix_length + hashes + 1 + inside);
    }
    match prefix.chars().next()? {
        '"' => Some(prefix_length + quoted(prefix, '"')),
        // A lifetime is a quote and a name; a character has a quote after it.
        '\'' if prefix[1..].starts_with('\\') || prefix.chars().nth(2) == Some('\'') => {
            Some(prefix_length + quoted(prefix, '\''))
        }
        _ => None,
    }
}

/// The length of what stands in quotes, quotes included.
fn quoted(text: &str, quote: char) -> usize {
    let mut characters = text.char_indices().skip(1);
    while let Some((at, c)) = characters.next() {
        if c == '\\' {
            characters.next();
        } else if c == quote {
            return at + 1;
        }
    }
    text.len()
}

/// Blanks what is compiled for tests only: from its attribute to the end of the item.
fn without_tests(mut code: String) -> String {
    const ATTRIBUTE: &str = "#[cfg(test)]";
    while let Some(start) = code.find(ATTRIBUTE) {
        let after = start + ATTRIBUTE.len();
        let end = after + item_length(&code[after..]);
        let blanked: String = code[start..end].chars().map(|c| if c == '\n' { '\n' } else { ' ' }).collect();
        code.replace_range(start..end, &blanked);
    }
    code
}

/// To the semicolon or the closing brace that ends the item.
fn item_length(code: &str) -> usize {
    let mut open = 0_usize;
    for (at, c) in code.char_indices() {
        match c {
            '{' => open += 1,
            '}' => open = open.saturating_sub(1),
            _ => {}
        }
        if open == 0 && matches!(c, ';' | '}') {
            return at + 1;
        }
    }
    code.len()
}

#[test]
fn imports_are_found_however_they_are_written() {
    let code = r##"
        use crate::{net::stream::{Stream, Plain}, wire as w,
            pool::{self, Lease}};
        fn f(x: super::facts::Facts) -> crate::id::Lsn { crate::sql::of("crate::no", 'c', r#"crate::no"#) }
        // crate::no
        /* crate::no /* nested */ crate::no */
        pub(crate) fn g<'a>(x: &'a str) { let _ = b'"'; crate::plugin::x() }
        #[cfg(test)]
        mod tests { use crate::no; fn f() { {} } }
        pub(in super::super) struct X;
        use super::super::too_high;
    "##;
    let names: Vec<_> = mentions(code, 1).into_iter().map(|(_, name)| name).collect();
    assert_eq!(names, ["net", "net", "wire", "pool", "pool", "facts", "id", "sql", "plugin", "too_high"]);
    assert_eq!(mentions("use super::{a, super::b};", 2), [(1, "b".to_owned())]);
    assert_eq!(mentions("\nuse crate::{\n  a,\n  b::{c, d},\n};", 1)[1], (4, "b".to_owned()));
}

#[test]
fn a_file_knows_how_deep_it_is() {
    assert_eq!(["a.rs", "a/mod.rs", "a/b.rs", "a/b/mod.rs", "a/b/c.rs"].map(depth), [1, 1, 2, 2, 3]);
    assert_eq!(top_module("a/b.rs").as_deref(), Some("a"));
    assert_eq!(top_module("lib.rs"), None);
}
