//! The table of layers, and the lists below it, as `ARCHITECTURE.md` has them.

/// Stands in front of the table.
const MARK: &str = "<!-- layers -->";

/// What the document says.
#[derive(Debug, Default)]
pub struct Table {
    /// From the bottom of the house to its top.
    pub rows: Vec<Row>,
    /// Pairs that must never import each other.
    pub strangers: Vec<(String, String)>,
    /// Pairs that import each other and should not.
    pub known_cycles: Vec<(String, String)>,
}

/// What one module may import.
#[derive(Debug)]
pub struct Row {
    /// Its name.
    pub module: String,
    /// The names of those it may import.
    pub allowed: Vec<String>,
}

impl Row {
    /// Whether the module may import the other.
    pub fn allows(&self, other: &str) -> bool {
        self.allowed.iter().any(|allowed| allowed == other)
    }
}

impl Table {
    /// Reads the document; an error says what it lacks.
    pub fn read(document: &str) -> Result<Self, String> {
        let (_, after) = document.split_once(MARK).ok_or_else(|| format!("there is no {MARK}"))?;
        let lines = after.lines().skip_while(|line| !line.starts_with('|'));
        let mut table = Self::default();
        // The heading and the rule below it are no modules.
        for line in lines.take_while(|line| line.starts_with('|')).skip(2) {
            let row = table.row(line)?;
            table.rows.push(row);
        }
        table.strangers = pairs(after, "### Never")?;
        table.known_cycles = pairs(after, "### Known cycles")?;
        if table.rows.is_empty() { Err("the table of layers is empty".into()) } else { Ok(table) }
    }

    fn row(&self, line: &str) -> Result<Row, String> {
        let cells: Vec<_> = line.trim_matches('|').split('|').map(str::trim).collect();
        let [module, _, allowed] = cells[..] else { return Err(format!("not three cells: {line}")) };
        let module = names(module).pop().ok_or_else(|| format!("no module: {line}"))?;
        let allowed = match allowed {
            "nothing" => Vec::new(),
            "everything above" => self.rows.iter().map(|row| row.module.clone()).collect(),
            some => names(some),
        };
        Ok(Row { module, allowed })
    }

    /// Whether the document owns up to that cycle.
    pub fn is_known_cycle(&self, one: &str, other: &str) -> bool {
        self.known_cycles.iter().any(|(a, b)| (a == one && b == other) || (a == other && b == one))
    }
}

/// What stands in backticks.
fn names(text: &str) -> Vec<String> {
    text.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

/// The pairs listed under a heading: "- `a` and `b`: why". The reason has to be there.
fn pairs(document: &str, heading: &str) -> Result<Vec<(String, String)>, String> {
    let Some((_, after)) = document.split_once(heading) else { return Ok(Vec::new()) };
    let items = after.lines().take_while(|line| !line.starts_with('#')).filter(|line| line.starts_with("- "));
    items
        .map(|item| {
            let (pair, why) = item.split_once(": ").ok_or_else(|| format!("no reason: {item}"))?;
            match (names(pair).as_slice(), why.is_empty()) {
                ([one, other], false) => Ok((one.clone(), other.clone())),
                _ => Err(format!("not a pair with a reason: {item}")),
            }
        })
        .collect()
}

#[test]
fn a_table_is_read_as_it_is_meant() {
    let document = "\n<!-- layers -->\n\n| Module | What | May import |\n|---|---|---|\n\
        | `a` | x | nothing |\n| `b` | y | `a`, `c` |\n| `c` | z | everything above |\n\n\
        ### Never\n\n- `a` and `c`: because\n  it is so.\n\n### Known cycles\n\n- `b` and `c`: a debt\n\n## Next\n- `x`\n";
    let table = Table::read(document).unwrap();
    let rows: Vec<_> = table.rows.iter().map(|row| (row.module.as_str(), row.allowed.join(" "))).collect();
    assert_eq!(rows, [("a", String::new()), ("b", "a c".into()), ("c", "a b".into())]);
    assert_eq!(table.strangers, [("a".to_owned(), "c".to_owned())]);
    assert!(table.is_known_cycle("c", "b") && !table.is_known_cycle("a", "b"));
    assert!(Table::read("no table").is_err());
}
