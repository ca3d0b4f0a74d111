//! Draws panels of throughput over time as one SVG: writes above, reads below, events and outages across both.
//!
//! It knows nothing of verifications; [`picture`](super::picture) says what is drawn. The background is white, so
//! that the picture is the same on light and on dark pages.

use std::fmt::Write as _;

/// The first that is installed counts; the program that makes the PNG brings the first along.
const FONTS: &str = "DejaVu Sans, Verdana, Helvetica, Arial, sans-serif";

const PANEL_WIDTH: f64 = 640.0;
const PANEL_HEIGHT: f64 = 352.0;
const MARGIN: f64 = 18.0;
const HEADING_HEIGHT: f64 = 66.0;

/// Within a panel: where its plots begin and end.
const LEFT: f64 = 58.0;
const RIGHT: f64 = PANEL_WIDTH - 20.0;
const WRITES: Strip = Strip { top: 150.0, bottom: 232.0 };
const READS: Strip = Strip { top: 248.0, bottom: 316.0 };

/// Labels of events stand in rows above the plots, so that those of one moment do not cover each other.
const LABEL_ROWS: usize = 6;
const FIRST_LABEL: f64 = 68.0;
const LABEL_HEIGHT: f64 = 15.0;
const LABEL_SIZE: f64 = 12.5;

/// Wide enough for every letter of the fonts on average; there is nothing to measure text with.
const LETTER_WIDTH: f64 = 0.6;

/// Least pixels between two ticks of the time axis.
const TICK_PIXELS: f64 = 55.0;

const INK: &str = "#1f2328";
const PALE_INK: &str = "#59636e";
const GRID: &str = "#d8dee4";
const OUTAGE: &str = "#cf222e";
const WRITES_COLOR: &str = "#0969da";
const READS_COLOR: &str = "#bc6c00";

/// Letters on lines and curves have an edge of the background.
const HALO: &str = r##"paint-order="stroke" stroke="#ffffff" stroke-width="4" stroke-linejoin="round""##;

/// One of a panel's two plots.
#[derive(Clone, Copy)]
struct Strip {
    top: f64,
    bottom: f64,
}

/// What an event is to the reader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    /// Something is broken, or ordered.
    Fault,
    /// Something is done about it.
    Step,
    /// All is well again.
    Healed,
}

impl Tone {
    fn color(self) -> &'static str {
        match self {
            Self::Fault => OUTAGE,
            Self::Step => "#57606a",
            Self::Healed => "#1a7f37",
        }
    }
}

/// An event, marked across both plots.
#[derive(Clone, Debug)]
pub struct Line {
    /// Seconds.
    pub at: f64,
    /// Its label.
    pub text: String,
    /// Its color.
    pub tone: Tone,
}

/// Something per second, over time.
#[derive(Clone, Debug, Default)]
pub struct Curve {
    /// Seconds, and what there was per second around then.
    pub points: Vec<(f64, f64)>,
    /// From when to when there was none, if that is worth showing.
    pub outage: Option<(f64, f64)>,
}

/// One plot of writes and one of reads.
#[derive(Clone, Debug)]
pub struct Panel {
    /// What happened.
    pub title: String,
    /// What came of it, in figures.
    pub figures: String,
    /// First and last second.
    pub range: (f64, f64),
    /// Writes per second.
    pub writes: Curve,
    /// Reads per second.
    pub reads: Curve,
    /// Events, in their order.
    pub lines: Vec<Line>,
}

/// Text about all panels.
#[derive(Clone, Debug, Default)]
pub struct Heading {
    /// At the top.
    pub title: String,
    /// Below it.
    pub subtitle: String,
    /// Where a last panel would be, if the grid has room.
    pub notes: Vec<String>,
}

/// The whole picture, as an SVG that says its size in pixels.
pub fn draw(heading: &Heading, panels: &[Panel], columns: usize) -> String {
    let rows = panels.len().div_ceil(columns);
    let width = columns as f64 * (PANEL_WIDTH + MARGIN) + MARGIN;
    let height = HEADING_HEIGHT + rows as f64 * (PANEL_HEIGHT + MARGIN);
    let mut svg = String::new();
    add(
        &mut svg,
        &format!(
            r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" font-family="{FONTS}">"#
        ),
    );
    add(&mut svg, &format!(r##"<rect width="{width}" height="{height}" rx="8" fill="#ffffff"/>"##));
    text(&mut svg, MARGIN, 32.0, 21.0, INK, "start", &heading.title);
    text(&mut svg, MARGIN, 54.0, 13.0, PALE_INK, "start", &heading.subtitle);
    let place = |number: usize| {
        let (row, column) = (number / columns, number % columns);
        (MARGIN + column as f64 * (PANEL_WIDTH + MARGIN), HEADING_HEIGHT + row as f64 * (PANEL_HEIGHT + MARGIN))
    };
    for (number, panel) in panels.iter().enumerate() {
        in_panel(&mut svg, place(number), |svg| panel.draw(svg));
    }
    if !panels.len().is_multiple_of(columns) {
        in_panel(&mut svg, place(panels.len()), |svg| draw_notes(svg, &heading.notes));
    }
    add(&mut svg, "</svg>");
    svg
}

fn in_panel(svg: &mut String, (x, y): (f64, f64), draw: impl FnOnce(&mut String)) {
    add(svg, &format!(r#"<g transform="translate({x} {y})">"#));
    add(svg, &format!(r##"<rect width="{PANEL_WIDTH}" height="{PANEL_HEIGHT}" rx="6" fill="none" stroke="{GRID}"/>"##));
    draw(svg);
    add(svg, "</g>");
}

fn draw_notes(svg: &mut String, notes: &[String]) {
    for (number, note) in notes.iter().enumerate() {
        text(svg, 22.0, 38.0 + number as f64 * 23.0, 14.0, PALE_INK, "start", note);
    }
}

impl Panel {
    fn draw(&self, svg: &mut String) {
        text(svg, 14.0, 25.0, 17.0, INK, "start", &self.title);
        text(svg, 14.0, 45.0, 13.5, PALE_INK, "start", &self.figures);
        self.draw_times(svg);
        self.draw_curve(svg, WRITES, &self.writes, WRITES_COLOR);
        self.draw_curve(svg, READS, &self.reads, READS_COLOR);
        self.draw_lines(svg);
        unit(svg, WRITES, WRITES_COLOR, "writes/s");
        unit(svg, READS, READS_COLOR, "reads/s");
    }

    fn x(&self, second: f64) -> f64 {
        let (first, last) = self.range;
        LEFT + (second - first) / (last - first) * (RIGHT - LEFT)
    }

    fn draw_times(&self, svg: &mut String) {
        let (first, last) = self.range;
        let ticks_max = (RIGHT - LEFT) / TICK_PIXELS;
        let step =
            [1.0, 2.0, 5.0, 10.0, 20.0, 30.0, 60.0, 300.0].into_iter().find(|step| (last - first) / step < ticks_max);
        let step = step.unwrap_or(last - first);
        // Adding nothing turns a negative zero into a zero.
        let mut second = (first / step).ceil() * step + 0.0;
        while second <= last {
            let x = self.x(second);
            for Strip { top, bottom } in [WRITES, READS] {
                line(svg, (x, top), (x, bottom), GRID, "");
            }
            text(svg, x, READS.bottom + 18.0, 12.5, PALE_INK, "middle", &format!("{second} s"));
            second += step;
        }
    }

    fn draw_curve(&self, svg: &mut String, strip: Strip, curve: &Curve, color: &str) {
        let Strip { top, bottom } = strip;
        let most = nice(curve.points.iter().map(|point| point.1).fold(1.0, f64::max));
        for share in [0.0, 0.5, 1.0] {
            let y = bottom - share * (bottom - top);
            line(svg, (LEFT, y), (RIGHT, y), GRID, "");
            text(svg, LEFT - 6.0, y + 4.5, 12.5, PALE_INK, "end", &short(most * share));
        }
        if let Some((from, to)) = curve.outage {
            let (x, width) = (self.x(from), (self.x(to) - self.x(from)).max(1.5));
            let height = bottom - top;
            add(
                svg,
                &format!(
                    r#"<rect x="{x:.1}" y="{top}" width="{width:.1}" height="{height}" fill="{OUTAGE}" fill-opacity="0.16"/>"#
                ),
            );
        }
        let place = |&(second, value): &(f64, f64)| (self.x(second), bottom - value / most * (bottom - top));
        let path: String = curve.points.iter().map(place).map(|(x, y)| format!(" {x:.1} {y:.1}")).collect();
        if let (Some(first), Some(last)) = (curve.points.first().map(place), curve.points.last().map(place)) {
            let area = format!("M{:.1} {bottom} L{path} {:.1} {bottom}Z", first.0, last.0);
            add(svg, &format!(r#"<path d="{area}" fill="{color}" fill-opacity="0.14"/>"#));
            add(
                svg,
                &format!(
                    r#"<polyline points="{}" fill="none" stroke="{color}" stroke-width="1.5" stroke-linejoin="round"/>"#,
                    path.trim_start()
                ),
            );
        }
    }

    /// Each label is in the first row in which it has room, right of its line or else left of it. Where there is none,
    /// the line stands alone.
    fn draw_lines(&self, svg: &mut String) {
        let mut ends = [f64::MIN; LABEL_ROWS];
        let mut labels = String::new();
        for event in &self.lines {
            let (x, color) = (self.x(event.at), event.tone.color());
            let width = event.text.chars().count() as f64 * LABEL_SIZE * LETTER_WIDTH;
            let (from, anchor, offset) = match x + width + 6.0 > PANEL_WIDTH {
                true => (x - width - 4.0, "end", -4.0),
                false => (x, "start", 4.0),
            };
            let row = ends.iter().position(|end| *end < from);
            let y = FIRST_LABEL + row.unwrap_or(LABEL_ROWS) as f64 * LABEL_HEIGHT;
            let dash = if event.tone == Tone::Fault { "" } else { r#" stroke-dasharray="3 2""# };
            line(svg, (x, y - 10.0), (x, READS.bottom), color, dash);
            if let Some(row) = row {
                ends[row] = from + width + 10.0;
                text(&mut labels, x + offset, y, LABEL_SIZE, color, anchor, &event.text);
            }
        }
        // What is read is above what is only seen.
        add(svg, &format!(r#"<g {HALO}>{labels}</g>"#));
    }
}

/// The next of 1, 2, 4, 6, 8 or 10 times a power of ten.
fn nice(value: f64) -> f64 {
    let power = 10_f64.powf(value.log10().floor());
    let factor = [1.0, 2.0, 4.0, 6.0, 8.0].into_iter().find(|factor| value <= factor * power);
    factor.unwrap_or(10.0) * power
}

fn short(value: f64) -> String {
    if value >= 1000.0 { format!("{}k", value / 1000.0) } else { format!("{value}") }
}

fn add(svg: &mut String, element: &str) {
    svg.push_str(element);
    svg.push('\n');
}

fn line(svg: &mut String, from: (f64, f64), to: (f64, f64), color: &str, more: &str) {
    let ((x1, y1), (x2, y2)) = (from, to);
    add(svg, &format!(r#"<path d="M{x1:.1} {y1:.1} L{x2:.1} {y2:.1}" stroke="{color}"{more}/>"#));
}

fn text(svg: &mut String, x: f64, y: f64, size: f64, color: &str, anchor: &str, words: &str) {
    let words = escaped(words);
    add(
        svg,
        &format!(
            r#"<text x="{x:.1}" y="{y:.1}" font-size="{size}" fill="{color}" text-anchor="{anchor}">{words}</text>"#
        ),
    );
}

/// What a plot shows, to be read on its curve.
fn unit(svg: &mut String, strip: Strip, color: &str, words: &str) {
    add(svg, &format!("<g {HALO}>"));
    text(svg, RIGHT - 5.0, strip.top + 13.0, 13.0, color, "end", words);
    add(svg, "</g>");
}

fn escaped(words: &str) -> String {
    let mut safe = String::new();
    for letter in words.chars() {
        // Writing to a text cannot fail.
        let _ = match letter {
            '&' | '<' | '>' | '"' => write!(safe, "&#{};", u32::from(letter)),
            _ => write!(safe, "{letter}"),
        };
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_tick_is_round_and_above_every_value() {
        for (value, tick) in [(1.0, 1.0), (3.0, 4.0), (41.0, 60.0), (850.0, 1000.0), (1999.0, 2000.0)] {
            assert_eq!(nice(value), tick, "{value}");
        }
    }

    #[test]
    fn words_cannot_become_markup() {
        assert_eq!(escaped("a<b & \"c\""), "a&#60;b &#38; &#34;c&#34;");
    }
}
