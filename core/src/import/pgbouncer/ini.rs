//! Lines of PgBouncer's file: sections, keys, comments, and other files that it includes.

use std::path::Path;

use super::super::{ImportError, Spot, files::Files};

/// How deep files may include each other; PgBouncer's own bound.
const INCLUDE_DEPTH_MAX: usize = 10;

/// How many files may be read in all, since each may include any number of others.
const FILES_MAX: usize = 1000;

/// One `key = value`, which may be a password.
pub(super) struct Entry {
    /// What stands in the brackets above it.
    pub section: String,
    pub key: String,
    pub value: String,
    pub spot: Spot,
}

/// Every entry, in order, those of included files where they are included.
pub(super) fn read(files: &Files<'_>) -> Result<Vec<Entry>, ImportError> {
    let mut reader = Reader { files, section: None, entries: Vec::new(), files_read: 0 };
    reader.file(files.file, 0)?;
    Ok(reader.entries)
}

struct Reader<'a> {
    files: &'a Files<'a>,
    /// It carries over into an included file and out of it.
    section: Option<String>,
    entries: Vec<Entry>,
    files_read: usize,
}

impl Reader<'_> {
    fn file(&mut self, path: &Path, depth: usize) -> Result<(), ImportError> {
        self.files_read += 1;
        let contents = self.files.read(path)?;
        for (index, line) in contents.split(|byte| *byte == b'\n').enumerate() {
            let spot = Spot { file: path.to_owned(), line: index + 1 };
            // Comments may be in any encoding.
            if matches!(line.trim_ascii_start(), [] | [b';' | b'#', ..]) {
                continue;
            }
            let Ok(line) = std::str::from_utf8(line) else { return Err(syntax(&spot, "not UTF-8")) };
            self.line(line.trim(), spot, depth)?;
        }
        Ok(())
    }

    fn line(&mut self, line: &str, spot: Spot, depth: usize) -> Result<(), ImportError> {
        if let Some(name) = line.strip_prefix("%include") {
            return self.include(name, &spot, depth);
        }
        if let Some(rest) = line.strip_prefix('[') {
            let (section, rest) = rest.split_once(']').ok_or_else(|| syntax(&spot, "a section without `]`"))?;
            self.section = Some(section.to_owned());
            // PgBouncer lets an entry follow in the same line.
            let rest = rest.trim_start();
            return if rest.is_empty() || rest.starts_with([';', '#']) { Ok(()) } else { self.line(rest, spot, depth) };
        }
        let (key, rest) = key(line).ok_or_else(|| syntax(&spot, "a quote is not closed"))?;
        let value = rest.trim_start().strip_prefix('=').filter(|_| !key.is_empty());
        let value = value.ok_or_else(|| syntax(&spot, "neither a section nor `key = value`"))?;
        let section = self.section.clone().ok_or_else(|| syntax(&spot, "it stands before any [section]"))?;
        self.entries.push(Entry { section, key, value: value.trim().to_owned(), spot });
        Ok(())
    }

    fn include(&mut self, name: &str, spot: &Spot, depth: usize) -> Result<(), ImportError> {
        let name = name.trim();
        if name.is_empty() {
            return Err(syntax(spot, "%include without a file"));
        }
        if depth == INCLUDE_DEPTH_MAX {
            return Err(syntax(spot, "files include each other more than 10 deep"));
        }
        if self.files_read == FILES_MAX {
            return Err(syntax(spot, "more than 1000 files are included"));
        }
        let file = self.files.as_typed(name, &spot.file);
        self.file(&file, depth + 1)
    }
}

/// The key that a line begins with, out of its quotes, and the rest. `None`: a quote is not closed.
fn key(line: &str) -> Option<(String, &str)> {
    let Some(mut rest) = line.strip_prefix('"') else {
        let end = line.find(|c: char| c == '=' || c.is_whitespace()).unwrap_or(line.len());
        return Some((line[..end].to_owned(), &line[end..]));
    };
    let mut name = String::new();
    loop {
        let (piece, after) = rest.split_once('"')?;
        name.push_str(piece);
        match after.strip_prefix('"') {
            Some(more) => {
                name.push('"');
                rest = more;
            }
            None => return Some((name, after)),
        }
    }
}

pub(super) fn syntax(spot: &Spot, what: &str) -> ImportError {
    ImportError::Syntax { spot: spot.clone(), what: what.to_owned() }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, io, path::PathBuf};

    use super::*;

    fn entries(all: &[(&str, &[u8])]) -> Result<Vec<String>, String> {
        let all: BTreeMap<PathBuf, Vec<u8>> = all.iter().map(|(name, text)| (name.into(), text.to_vec())).collect();
        let read = |path: &Path| all.get(path).cloned().ok_or(io::ErrorKind::NotFound.into());
        let files = Files::new(&read, Path::new("/"), Path::new("/etc/a.ini"), Path::new(""));
        let entries = super::read(&files).map_err(|error| error.to_string())?;
        Ok(entries.into_iter().map(|e| format!("{}/{}={}@{}", e.section, e.key, e.value, e.spot.line)).collect())
    }

    fn lines(text: &str) -> Result<Vec<String>, String> {
        entries(&[("/etc/a.ini", text.as_bytes())])
    }

    #[test]
    fn lines_are_sections_entries_and_comments() {
        let table: [(&str, &[&str]); 9] = [
            ("", &[]),
            ("; a\n# b\n  ; c\n\r\n", &[]),
            ("[s]\nk=v", &["s/k=v@2"]),
            ("[s]\n  k \t=  v ; no comment # here \r\n", &["s/k=v ; no comment # here@2"]),
            ("[s]\nk =\nl==x", &["s/k=@2", "s/l==x@3"]),
            ("[s] k = 1\n[t] ; comment\nk = 2", &["s/k=1@1", "t/k=2@3"]),
            ("[databases]\n* = host=a", &["databases/*=host=a@2"]),
            ("[d]\n\"a b\"\"c\" = host=a", &["d/a b\"c=host=a@2"]),
            ("[s]\nk=a\nk=b", &["s/k=a@2", "s/k=b@3"]),
        ];
        for (text, expected) in table {
            assert_eq!(lines(text).unwrap(), expected, "{text:?}");
        }
    }

    #[test]
    fn a_bad_line_is_named_without_its_value() {
        let table = [
            ("[s\n", "/etc/a.ini:1: a section without `]`"),
            ("k = v", "/etc/a.ini:1: it stands before any [section]"),
            ("[s]\npassword secret", "/etc/a.ini:2: neither a section nor `key = value`"),
            ("[s]\n= secret", "/etc/a.ini:2: neither a section nor `key = value`"),
            ("[s]\n\"a = secret", "/etc/a.ini:2: a quote is not closed"),
            ("%include", "/etc/a.ini:1: %include without a file"),
        ];
        for (text, expected) in table {
            assert_eq!(lines(text).unwrap_err(), expected, "{text:?}");
        }
    }

    #[test]
    fn comments_may_be_in_any_encoding_and_entries_are_utf_8() {
        assert_eq!(entries(&[("/etc/a.ini", b"; caf\xe9\n[s]\nk=\xc3\xa9")]).unwrap(), ["s/k=\u{e9}@3"]);
        assert_eq!(entries(&[("/etc/a.ini", b"[s]\nk=\xe9")]).unwrap_err(), "/etc/a.ini:2: not UTF-8");
    }

    #[test]
    fn a_file_is_included_where_it_is_named_and_sections_carry_over() {
        let all: [(&str, &[u8]); 4] = [
            ("/etc/a.ini", b"[s]\na=1\n%include b.ini\nd=4\n%include /c.ini"),
            ("/etc/b.ini", b"b=2\n[t]\nc=3"),
            ("/c.ini", b"e=5\n%include d.ini"),
            ("d.ini", b"f=6"),
        ];

        assert_eq!(entries(&all).unwrap(), ["s/a=1@2", "s/b=2@1", "t/c=3@3", "t/d=4@4", "t/e=5@1", "t/f=6@1"]);
    }

    #[test]
    fn files_that_include_each_other_end() {
        let itself: [(&str, &[u8]); 1] = [("/etc/a.ini", b"%include /etc/a.ini")];
        let twice: [(&str, &[u8]); 1] = [("/etc/a.ini", b"[s]\n%include /etc/b.ini")];

        assert_eq!(entries(&itself).unwrap_err(), "/etc/a.ini:1: files include each other more than 10 deep");
        assert_eq!(entries(&twice).unwrap_err(), "could not read /etc/b.ini");

        let leaf = "%include /etc/leaf\n".repeat(2000);
        let wide: [(&str, &[u8]); 2] = [("/etc/a.ini", leaf.as_bytes()), ("/etc/leaf", b"")];
        assert_eq!(entries(&wide).unwrap_err(), "/etc/a.ini:1000: more than 1000 files are included");
    }
}
