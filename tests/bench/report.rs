//! The figures as Markdown tables for people and as JSON for programs.

use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::{
    cases::Case,
    figures::{
        CLIENT_BYTES, CPU_PER_GB, CPU_US, CROWD_MB, EMPTY_MB, Figures, LATENCY_MS, LOGINS, Measured, P99_MS, Quantity,
        RATE, THOUSAND_MB, TPS,
    },
};

/// The target that others are compared with.
const ANCHOR: &str = "pgbouncer";

/// A table: its title, which cases are its columns, and the quantity that it shows.
struct Sheet {
    title: &'static str,
    quantity: Quantity,
    digits: usize,
    /// Whether a figure is followed by its ratio to the anchor's.
    compared: bool,
    holds: fn(&Case) -> bool,
}

const fn sheet(title: &'static str, quantity: Quantity, digits: usize, holds: fn(&Case) -> bool) -> Sheet {
    Sheet { title, quantity, digits, compared: false, holds }
}

impl Sheet {
    const fn compared(mut self) -> Self {
        self.compared = true;
        self
    }
}

const SHEETS: [Sheet; 14] = [
    sheet("The proxy's own CPU, µs per transaction (× PgBouncer's)", CPU_US, 1, is_reads).compared(),
    sheet("Transactions per second", TPS, 0, is_reads),
    sheet("Average latency, ms", LATENCY_MS, 3, is_reads),
    sheet("99th percentile of the latency, ms", P99_MS, 2, is_reads),
    sheet("A connection for each transaction: per second", TPS, 0, is_connect),
    sheet("A connection for each transaction: the proxy's own CPU, µs (× PgBouncer's)", CPU_US, 0, is_connect)
        .compared(),
    sheet("8 clients beside a connect storm: 99th percentile, ms (× PgBouncer's)", P99_MS, 2, is_storm).compared(),
    sheet("That storm: connections per second (× PgBouncer's)", LOGINS, 0, is_storm).compared(),
    sheet("COPY of 200 MB: MB/s (× PgBouncer's)", RATE, 0, Case::copies).compared(),
    sheet("COPY of 200 MB: the proxy's own CPU, s per GB", CPU_PER_GB, 2, Case::copies),
    sheet("Memory (PSS) without clients, MB", EMPTY_MB, 1, is_idle),
    sheet("Memory (PSS) with 1,000 idle clients, MB", THOUSAND_MB, 1, is_idle),
    sheet("Memory (PSS) with 5,000 idle clients, MB", CROWD_MB, 1, is_idle),
    sheet("Memory per further idle client, bytes", CLIENT_BYTES, 0, is_idle),
];

/// The tables of what was measured.
pub fn markdown(figures: &Figures, targets: &[&str], cases: &[Case]) -> String {
    let mut text = String::new();
    for sheet in &SHEETS {
        let columns: Vec<String> = cases.iter().filter(|case| (sheet.holds)(case)).map(Case::name).collect();
        if !columns.is_empty() {
            let _ = write!(text, "\n### {}\n\n{}", sheet.title, table(figures, targets, sheet, &columns));
        }
    }
    for (target, case, rounds) in figures.all() {
        if let Some(Err(reason)) = rounds.iter().find(|round| round.is_err()) {
            let _ = writeln!(text, "\n{target}, {case}: {}", reason.lines().next().unwrap_or_default());
        }
    }
    text
}

/// Everything, each round and the medians.
pub fn json(figures: &Figures) -> Value {
    let entries = figures.all().map(|(target, case, rounds)| {
        let measured: Vec<Value> = rounds
            .iter()
            .map(|round| match round {
                Ok(measured) => json!(measured),
                Err(reason) => json!({ "error": reason }),
            })
            .collect();
        let quantities = rounds.iter().flatten().flat_map(|round| round.keys().copied());
        let medians: Measured =
            quantities.filter_map(|quantity| Some((quantity, figures.median(target, case, quantity)?))).collect();
        json!({ "target": target, "case": case, "median": medians, "rounds": measured })
    });
    Value::Array(entries.collect())
}

/// One measurement in a few words, as it comes.
pub fn line(measured: &Measured) -> String {
    let words = [
        (TPS, "tps", 0),
        (P99_MS, "ms p99", 2),
        (CPU_US, "µs CPU", 1),
        (RATE, "MB/s", 0),
        (CLIENT_BYTES, "B/client", 0),
    ];
    let told = words.iter().filter_map(|(quantity, unit, digits)| {
        measured.get(quantity).map(|value| format!("{value:.digits$} {unit}", digits = *digits))
    });
    told.collect::<Vec<_>>().join(", ")
}

fn table(figures: &Figures, targets: &[&str], sheet: &Sheet, columns: &[String]) -> String {
    let mut text = format!(
        "| |{}\n|---|{}\n",
        columns.iter().map(|c| format!(" {c} |")).collect::<String>(),
        "--:|".repeat(columns.len())
    );
    for target in targets {
        let cells: Vec<String> = columns.iter().map(|case| cell(figures, target, case, sheet)).collect();
        if cells.iter().any(|cell| cell != "–") {
            let _ = writeln!(text, "| {target} | {} |", cells.join(" | "));
        }
    }
    text
}

fn cell(figures: &Figures, target: &str, case: &str, sheet: &Sheet) -> String {
    let Some(value) = figures.median(target, case, sheet.quantity) else {
        return if figures.fails(target, case) { "fails" } else { "–" }.into();
    };
    let shown = format!("{value:.digits$}", digits = sheet.digits);
    let anchor = figures.median(ANCHOR, case, sheet.quantity).filter(|anchor| *anchor > 0.0);
    match anchor {
        Some(anchor) if sheet.compared && target != ANCHOR => format!("{shown} ({:.2})", value / anchor),
        _ => shown,
    }
}

fn is_reads(case: &Case) -> bool {
    matches!(case, Case::Reads { .. })
}

fn is_connect(case: &Case) -> bool {
    matches!(case, Case::Connect { .. })
}

fn is_storm(case: &Case) -> bool {
    matches!(case, Case::Storm { .. })
}

fn is_idle(case: &Case) -> bool {
    matches!(case, Case::Idle)
}
