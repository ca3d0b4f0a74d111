//! Documents in Markdown, as far as the tests must understand it.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// One document.
#[derive(Clone, Debug)]
pub struct Document {
    /// Where it is.
    pub path: PathBuf,
    /// The same, from the root of the workspace.
    pub name: String,
    /// What it says.
    pub text: String,
}

/// A fenced block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// The first line of what it shows, counted from 1.
    pub line: usize,
    /// The words behind the fence.
    pub language: String,
    /// What it shows.
    pub text: String,
}

/// A link to elsewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// Counted from 1.
    pub line: usize,
    /// What stands in the parentheses.
    pub target: String,
}

/// A line of a document: its number, what it says, and the language of the block that it is in.
struct Line<'a> {
    number: usize,
    text: &'a str,
    block: Option<&'a str>,
    is_fence: bool,
}

impl Document {
    /// Every document below a folder, what is built there and what is hidden aside.
    pub fn all(root: &Path) -> Vec<Self> {
        let mut found = Vec::new();
        collect(root, &mut found);
        found.sort();
        found.iter().map(|path| Self::read(root, path)).collect()
    }

    /// One document.
    pub fn read(root: &Path, path: &Path) -> Self {
        let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let name = path.strip_prefix(root).unwrap_or(path).display().to_string();
        Self { path: path.to_owned(), name, text }
    }

    /// Where its links start.
    pub fn folder(&self) -> PathBuf {
        self.path.parent().expect("a document is in a folder").to_owned()
    }

    fn lines(&self) -> Vec<Line<'_>> {
        let mut block = None;
        let mut lines = Vec::new();
        for (at, text) in self.text.lines().enumerate() {
            let fence = text.trim_start().strip_prefix("```");
            block = match (fence, block) {
                (Some(language), None) => Some(language.trim()),
                (Some(_), Some(_)) => None,
                (None, block) => block,
            };
            lines.push(Line { number: at + 1, text, block, is_fence: fence.is_some() });
        }
        lines
    }

    /// Its fenced blocks.
    pub fn blocks(&self) -> Vec<Block> {
        let mut blocks: Vec<Block> = Vec::new();
        for line in self.lines() {
            match (line.is_fence, line.block) {
                (true, Some(language)) => {
                    blocks.push(Block { line: line.number + 1, language: language.to_owned(), text: String::new() });
                }
                (false, Some(_)) => {
                    let shown = &mut blocks.last_mut().expect("a block has begun").text;
                    shown.push_str(line.text);
                    shown.push('\n');
                }
                _ => {}
            }
        }
        blocks
    }

    /// What its prose links to.
    pub fn links(&self) -> Vec<Link> {
        let mut links = Vec::new();
        for line in self.prose() {
            // Every other piece between backticks is code.
            for piece in line.text.split('`').step_by(2) {
                let targets = piece.split("](").skip(1).filter_map(|after| Some(after.split_once(')')?.0));
                links.extend(targets.map(|target| Link { line: line.number, target: target.to_owned() }));
            }
        }
        links
    }

    /// What stands in backticks in its prose, and the lines of its blocks, with their numbers.
    pub fn code(&self) -> Vec<(usize, &str)> {
        let mut code = Vec::new();
        for line in self.lines() {
            match (line.is_fence, line.block) {
                (false, Some(_)) => code.push((line.number, line.text.trim())),
                (false, None) => {
                    code.extend(line.text.split('`').skip(1).step_by(2).map(|code| (line.number, code)));
                }
                _ => {}
            }
        }
        code
    }

    /// What links may name behind a `#`: its headings, as GitHub writes them.
    pub fn anchors(&self) -> Vec<String> {
        let headings = self.prose().filter(|line| line.text.starts_with('#'));
        headings.map(|line| slug(line.text.trim_start_matches('#').trim())).collect()
    }

    fn prose(&self) -> impl Iterator<Item = Line<'_>> {
        self.lines().into_iter().filter(|line| line.block.is_none() && !line.is_fence)
    }
}

fn collect(folder: &Path, found: &mut Vec<PathBuf>) {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    for path in entries.map(|entry| entry.expect("it can be listed").path()) {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if name.starts_with('.') || name == "target" || name == "node_modules" {
            continue;
        }
        if path.is_dir() {
            collect(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "md") {
            found.push(path);
        }
    }
}

fn slug(heading: &str) -> String {
    let kept = heading.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.collect::<String>().to_lowercase().replace(' ', "-")
}

#[test]
fn a_document_is_taken_apart() {
    let text = "# The `map`, a start\n\n[one](a.md#x) and `[no](b)` and [`two`](c.toml).\n\n```toml\na = 1\n# [no](d)\n```\n\
        Use `cargo x`.\n";
    let document = Document { path: "f/x.md".into(), name: "x.md".into(), text: text.into() };
    let targets: Vec<_> = document.links().into_iter().map(|link| (link.line, link.target)).collect();
    assert_eq!(targets, [(3, "a.md#x".to_owned()), (3, "c.toml".to_owned())]);
    let block = Block { line: 6, language: "toml".into(), text: "a = 1\n# [no](d)\n".into() };
    assert_eq!(document.blocks(), [block]);
    assert_eq!(document.anchors(), ["the-map-a-start"]);
    assert!(document.code().contains(&(9, "cargo x")) && document.code().contains(&(6, "a = 1")));
}
