//! What is drawn of takes, and in which words.

use crate::{
    chart::{self, Curve, Heading, Line, Panel, Tone},
    machine::Machine,
    take::{Take, Traffic},
    watch::Happening,
};

/// A shorter time without an answer is nothing to show; a disk may take as long.
const OUTAGE_SHOWN_SECONDS: f64 = 0.1;

/// Marks alike that are closer are one: a cluster may become steady in two steps.
const AGAIN_SECONDS: f64 = 1.0;

/// What the pictures leave to be explained.
const NOTES: [&str; 9] = [
    "Answers in each tenth of a second; writes above, reads below.",
    "",
    "Red band: the longest time without one.",
    "Red line: what was done to the cluster.",
    "Grey lines: what Howdah did about it.",
    "Green lines: all is well again.",
    "",
    "Commits wait for a standby while there is one.",
    "Rows lost: acknowledged, and not stored at the end.",
];

/// The SVG of these takes.
pub fn of(takes: &[Take], machine: &Machine, columns: usize) -> String {
    let heading = Heading {
        title: "The verifications of 2013 today".into(),
        subtitle: machine.words(),
        notes: NOTES.map(str::to_owned).into(),
    };
    let panels: Vec<Panel> = takes.iter().map(panel).collect();
    chart::draw(&heading, &panels, columns)
}

fn panel(take: &Take) -> Panel {
    let curve = |traffic| {
        let (from, to) = take.outage(traffic);
        let outage = (take.seconds(from), take.seconds(to));
        let is_shown = outage.1 - outage.0 >= OUTAGE_SHOWN_SECONDS;
        Curve { points: take.rates(traffic), outage: is_shown.then_some(outage) }
    };
    Panel {
        title: format!("{}. {}", take.case.verification, take.case.title),
        figures: take.figures(),
        range: (take.seconds(take.opened), take.seconds(take.closed)),
        writes: curve(Traffic::Writes),
        reads: curve(Traffic::Reads),
        lines: lines(take),
    }
}

/// The marks; of one that comes again soon, the last counts.
fn lines(take: &Take) -> Vec<Line> {
    let mut lines: Vec<Line> = Vec::new();
    for happening in take.happenings.iter().filter(|happening| happening.at >= take.origin()) {
        let Some((tone, text)) = label(take, happening) else { continue };
        let at = take.seconds(happening.at);
        lines.retain(|line| line.text != text || at - line.at > AGAIN_SECONDS);
        lines.push(Line { at, text, tone });
    }
    lines
}

/// The words for a happening that is worth a mark in the picture of that case.
fn label(take: &Take, happening: &Happening) -> Option<(Tone, String)> {
    let Happening { kind, node, words, .. } = happening;
    if kind == "fault" {
        return Some((Tone::Fault, words.clone()));
    }
    if !take.case.marks.contains(&kind.as_str()) {
        return None;
    }
    match kind.as_str() {
        "hold" => Some((Tone::Step, "writes wait".into())),
        "publish" if !node.is_empty() => Some((Tone::Step, format!("{node} is primary"))),
        "follow" => Some((Tone::Step, format!("{node} {words}"))),
        "down" => Some((Tone::Step, format!("{node} counts as down"))),
        "electorate" if words.starts_with("nobody") => Some((Tone::Step, "commits wait for nobody".into())),
        "release" => Some((Tone::Step, format!("{node} gets work again"))),
        "up" => Some((Tone::Healed, format!("{node} is up"))),
        "steady" => Some((Tone::Healed, "healed".into())),
        _ => None,
    }
}
