//! What is drawn of takes, and in which words.

use crate::{
    chart::{self, Curve, Heading, Line, Panel, Tone},
    machine::Machine,
    take::{Take, Traffic},
    watch::Happening,
};

/// A shorter time without an answer is nothing to show; a disk may take as long.
const OUTAGE_SHOWN_SECONDS: f64 = 0.1;

/// What the pictures leave to be explained.
const NOTES: [&str; 9] = [
    "Answers in each tenth of a second; writes above, reads below.",
    "",
    "Red band: the longest time without one.",
    "Red line: what was done to the cluster.",
    "Grey lines: what Howdah did about it.",
    "Green lines: all is well again.",
    "",
    "Every commit is flushed here and on a standby.",
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
    let mut lines: Vec<Line> = Vec::new();
    for happening in &take.happenings {
        let Some((tone, text)) = label(take, happening) else { continue };
        let is_repeated = lines.last().is_some_and(|last| last.text == text);
        if !is_repeated {
            lines.push(Line { at: take.seconds(happening.at), text, tone });
        }
    }
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
        lines,
    }
}

/// The words for a happening that is worth a mark.
fn label(take: &Take, happening: &Happening) -> Option<(Tone, String)> {
    let Happening { kind, node, words, .. } = happening;
    if happening.at < take.origin() {
        return None;
    }
    if kind == "fault" {
        return Some((Tone::Fault, words.clone()));
    }
    if take.case.is_crowded {
        return None;
    }
    let step = |words: String| Some((Tone::Step, words));
    match kind.as_str() {
        "down" => step(format!("{node} counts as down")),
        "hold" => step("writes wait".into()),
        "publish" if !node.is_empty() => step(format!("{node} is primary")),
        "follow" => step(format!("{node} {words}")),
        "quarantine" => step(format!("{node} is in quarantine")),
        "degraded_sync" => step("commits wait for nobody".into()),
        "steady" => Some((Tone::Healed, "healed".into())),
        "up" => Some((Tone::Healed, format!("{node} is up"))),
        "rejoin" if words.starts_with("done") => Some((Tone::Healed, "rejoined".into())),
        _ => None,
    }
}
