//! The report: a table beside the talk's figures, and for each case what was promised and what happened.

use std::{collections::BTreeSet, fmt::Write as _};

use crate::{
    machine::Machine,
    take::{Take, Traffic, seconds},
};

/// The whole document.
pub fn markdown(takes: &[Take], machine: &Machine) -> String {
    let mut text = format!(
        "# The verifications of 2013 today\n\n{}.\n\n![Throughput over time](overview.svg)\n\n{}",
        machine.words(),
        table(takes)
    );
    for verification in takes.chunk_by(|a, b| a.case.verification == b.case.verification) {
        let number = verification[0].case.verification;
        text += &format!("\n## Verification {number}\n\n![Verification {number}](verification-{number}.svg)\n");
        verification.iter().for_each(|take| text += &details(take));
    }
    text
}

/// One row for each case.
pub fn table(takes: &[Take]) -> String {
    let mut text = "| | No write for | No read for | Errors | Rows lost | pgpool-II 3.2 in 2013 |\n\
                    |---|--:|--:|--:|--:|---|\n"
        .to_owned();
    for take in takes {
        let errors = take.errors(Traffic::Writes).count() + take.errors(Traffic::Reads).count();
        text += &format!(
            "| {}. {} | {} | {} | {errors} | {} | {} |\n",
            take.case.verification,
            take.case.title,
            seconds(take.outage(Traffic::Writes)),
            seconds(take.outage(Traffic::Reads)),
            take.lost,
            take.case.theirs
        );
    }
    text
}

fn details(take: &Take) -> String {
    let mut text = format!("\n### {}\n\n", take.case.title);
    for promise in &take.promises {
        line(&mut text, &format!("- {}: {}", if promise.kept { "kept" } else { "**broken**" }, promise.words));
    }
    let quiet = [Traffic::Writes, Traffic::Reads].map(|traffic| take.quiet_gap(traffic).as_millis());
    line(
        &mut text,
        &format!(
            "- longest pause before the fault: {} ms without a write, {} ms without a read; {} requests in all",
            quiet[0],
            quiet[1],
            take.history.requests.len()
        ),
    );
    let errors = [Traffic::Writes, Traffic::Reads].into_iter().flat_map(|traffic| take.errors(traffic));
    let states: BTreeSet<&str> = errors.filter_map(|error| error.told.sqlstate()).collect();
    if !states.is_empty() {
        line(&mut text, &format!("- SQLSTATEs of what failed: {}", Vec::from_iter(states).join(", ")));
    }
    text += "\n| Second | Event | Node | |\n|--:|---|---|---|\n";
    for happening in &take.happenings {
        let second = take.seconds(happening.at);
        line(&mut text, &format!("| {second:.2} | {} | {} | {} |", happening.kind, happening.node, happening.words));
    }
    text
}

fn line(text: &mut String, words: &str) {
    // Writing to a text cannot fail.
    let _ = writeln!(text, "{words}");
}
