//! The live picture: nodes, roles, health, lag, and where statements went.

use std::{
    fmt::Write as _,
    io::{self, IsTerminal as _, Write as _},
    time::Duration,
};

use super::{
    interrupt::Interrupt,
    psql::{Psql, Table},
};

/// Between two pictures on a terminal.
const TERMINAL_PERIOD: Duration = Duration::from_secs(1);

/// Between two pictures in a file or a pipe, where nothing can be drawn over.
const FILE_PERIOD: Duration = Duration::from_secs(10);

/// Moves the cursor to the upper left corner; what is drawn over need not be cleared first and does not flicker.
const HOME: &str = "\x1b[H";
const CLEAR_LINE_END: &str = "\x1b[K";
const CLEAR_BELOW: &str = "\x1b[J";
const CLEAR_ALL: &str = "\x1b[2J";

/// What the console answers with, and what of it the picture shows.
const SHOWN: [(&str, &str); 2] = [("SHOW NODES", "Nodes"), ("SHOW POOLS", "Pools")];

/// Shows the picture until somebody wants to end or the time is up.
pub fn show(console: &Psql, heading: &str, interrupt: &Interrupt, limit: Option<Duration>) {
    let terminal = io::stdout().is_terminal();
    let period = if terminal { TERMINAL_PERIOD } else { FILE_PERIOD };
    if terminal {
        print!("{CLEAR_ALL}");
    }
    let mut shown = Duration::ZERO;
    loop {
        let picture = draw(console, heading);
        let printed = match terminal {
            true => print(&format!("{HOME}{}{CLEAR_BELOW}", picture.replace('\n', &format!("{CLEAR_LINE_END}\n")))),
            false => print(&picture),
        };
        let pause = limit.map_or(period, |limit| period.min(limit.saturating_sub(shown)));
        if printed.is_err() || interrupt.wait_for(pause) {
            return;
        }
        shown += pause;
        if limit.is_some_and(|limit| shown >= limit) {
            return;
        }
    }
}

fn print(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}

fn draw(console: &Psql, heading: &str) -> String {
    let mut picture = format!("{heading}\n");
    for (command, title) in SHOWN {
        let shown = console.table(command).map_or_else(|error| format!("  {error}\n"), |table| aligned(&table));
        let _ = write!(picture, "\n{title}\n{shown}");
    }
    picture
}

/// Columns as wide as their widest value, numbers to the right; columns without any value are left out.
fn aligned(table: &Table) -> String {
    let shown: Vec<usize> = (0..table.columns.len())
        .filter(|&column| table.rows.iter().any(|row| row.get(column).is_some_and(|value| !value.is_empty())))
        .collect();
    let cell = |row: &[String], column: usize| row.get(column).cloned().unwrap_or_default();
    let width = |column: usize| {
        let values = table.rows.iter().map(|row| cell(row, column).chars().count());
        values.chain([table.columns[column].chars().count()]).max().unwrap_or(0)
    };
    let mut text = String::new();
    for row in [&table.columns].into_iter().chain(&table.rows) {
        for &column in &shown {
            let (value, width) = (cell(row, column), width(column));
            let number = table.rows.iter().all(|row| is_number(&cell(row, column)));
            let _ = if number { write!(text, "  {value:>width$}") } else { write!(text, "  {value:<width$}") };
        }
        text.truncate(text.trim_end_matches(' ').len());
        text.push('\n');
    }
    text
}

fn is_number(text: &str) -> bool {
    text.is_empty() || text.parse::<f64>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stand_left_and_numbers_right() {
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        let table = Table {
            columns: words(&["node", "lag", "why"]),
            rows: vec![words(&["n0", "0", ""]), words(&["standby", "1024", ""])],
        };

        assert_eq!(aligned(&table), "  node      lag\n  n0          0\n  standby  1024\n");
    }
}
