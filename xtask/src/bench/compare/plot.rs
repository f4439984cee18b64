//! The pictures: rates and ratios over the size, round trips as bars.

use super::contender::{Contender, Kind};
use super::contest::{Contest, Entry, Quantity};
use super::situation::{Mechanism, Scenario, Situation};
use super::stats::{Spread, ratios};
use super::tables::distinct;
use crate::bench::bars::{self, Bar};
use crate::bench::numbers::{octets, scaled, three_digits};
use anyhow::{Context as _, Result, anyhow};
use plotters::backend::SVGBackend;
use plotters::chart::{ChartBuilder, SeriesLabelPosition};
use plotters::coord::combinators::IntoLogRange as _;
use plotters::drawing::IntoDrawingArea as _;
use plotters::element::{Circle, PathElement};
use plotters::style::{BLACK, Color as _, RGBColor, WHITE};
use std::path::Path;

/// A file, and what it shows.
pub(crate) type Picture = (&'static str, &'static str);

const NULL: Picture = ("null.svg", "NULL throughput, each one's best mode, messages per second");
const SEALED: Picture = ("sealed.svg", "CURVE and BLAKE3 throughput, each one's best mode, messages per second");
const RATIOS: Picture = ("ratios.svg", "NULL throughput, ours in batches over each one's best mode");
const ROUND_TRIPS: Picture = ("round-trip.svg", "Round trip, p50, logarithmic (whisker: quartiles)");

const PIXELS: (u32, u32) = (960, 600);
const GRID: RGBColor = RGBColor(225, 225, 225);
/// Easily told apart on white.
const COLOURS: [RGBColor; 9] = [
    RGBColor(200, 30, 40),
    RGBColor(230, 120, 20),
    RGBColor(30, 90, 180),
    RGBColor(40, 140, 70),
    RGBColor(130, 60, 160),
    RGBColor(0, 150, 170),
    RGBColor(140, 90, 50),
    RGBColor(210, 80, 150),
    RGBColor(120, 120, 120),
];

/// Draws what there are figures for, and says which pictures that makes.
pub(crate) fn draw(contests: &[Contest], dir: &Path) -> Result<Vec<Picture>> {
    let rate: fn(f64) -> String = |rate| scaled(rate, "");
    let sealed =
        [Mechanism::Curve, Mechanism::Blake3, Mechanism::Blake3zmq].map(|mechanism| rates(contests, mechanism));
    let charts = [
        (NULL, rates(contests, Mechanism::Null), rate),
        (SEALED, sealed.into_iter().flatten().collect(), rate),
        (RATIOS, null_ratios(contests), three_digits),
    ];
    let mut drawn = Vec::new();
    for (picture, lines, label) in charts.into_iter().filter(|(_, lines, _)| !lines.is_empty()) {
        let path = dir.join(picture.0);
        chart(picture.1, &lines, label, &path).with_context(|| format!("cannot draw {}", path.display()))?;
        drawn.push(picture);
    }
    let bars = round_trips(contests);
    if !bars.is_empty() {
        let path = dir.join(ROUND_TRIPS.0);
        bars::draw(ROUND_TRIPS.1, &bars, &path).with_context(|| format!("cannot draw {}", path.display()))?;
        drawn.push(ROUND_TRIPS);
    }
    Ok(drawn)
}

/// Something over the size of a message.
#[derive(Debug)]
struct Line {
    name: String,
    /// Octets in a message, and the value there.
    points: Vec<(f64, f64)>,
}

/// The best rate of each name under a mechanism.
fn rates(contests: &[Contest], mechanism: Mechanism) -> Vec<Line> {
    let mut lines = lines(contests, mechanism, |contest, name| {
        let best = contest.best(Quantity::Rate, |contender| label(contender).as_deref() == Some(name))?;
        Some(best.spread(Quantity::Rate)?.median)
    });
    if mechanism != Mechanism::Null {
        lines.iter_mut().for_each(|line| line.name = format!("{mechanism}: {}", line.name));
    }
    lines
}

/// Ours in batches over the best mode of each of the others.
fn null_ratios(contests: &[Contest]) -> Vec<Line> {
    lines(contests, Mechanism::Null, |contest, name| {
        let ours = contest.best(Quantity::Rate, Contender::is_our_batch)?;
        let theirs = contest
            .best(Quantity::Rate, |contender| !contender.is_ours() && label(contender).as_deref() == Some(name))?;
        let rounds = ratios(&ours.values(Quantity::Rate), &theirs.values(Quantity::Rate));
        Some(Spread::of(&rounds)?.median)
    })
}

/// A line for each name in the throughput over one TCP connection, if it has a value anywhere.
fn lines(contests: &[Contest], mechanism: Mechanism, value: impl Fn(&Contest, &str) -> Option<f64>) -> Vec<Line> {
    let shown = |contest: &&Contest| {
        let size = contest.situation.size;
        contest.situation == Situation { mechanism, ..Situation::new(Scenario::Throughput, size) }
    };
    let contests: Vec<&Contest> = contests.iter().filter(shown).collect();
    let labels = contests.iter().flat_map(|contest| &contest.entries).filter_map(|entry| label(&entry.contender));
    #[expect(clippy::cast_precision_loss, reason = "a place on an axis")]
    let point = |contest: &Contest, name: &str| Some((contest.situation.size as f64, value(contest, name)?));
    let line =
        |name: String| Line { points: contests.iter().filter_map(|contest| point(contest, &name)).collect(), name };
    distinct(labels).into_iter().map(line).filter(|line| !line.points.is_empty()).collect()
}

/// By which name somebody has a line. Ours have one for each way in which messages leave, but for the slowest.
fn label(contender: &Contender) -> Option<String> {
    match contender.kind {
        _ if !contender.is_ours() => Some(contender.peer.clone()),
        Kind::Batch => Some(format!("{}, in batches", contender.peer)),
        Kind::SelfFlushing => Some(format!("{}, self-flushing", contender.peer)),
        Kind::Bare | Kind::Eager => None,
    }
}

/// Everybody's round trip with the smallest messages, grouped by the cores.
fn round_trips(contests: &[Contest]) -> Vec<Bar> {
    let round_trips = || contests.iter().filter(|contest| contest.situation.scenario == Scenario::RoundTrip);
    let smallest = round_trips().map(|contest| contest.situation.size).min();
    let shown = round_trips().filter(|contest| Some(contest.situation.size) == smallest);
    shown.flat_map(|contest| contest.entries.iter().filter_map(|entry| bar(&contest.situation, entry))).collect()
}

fn bar(situation: &Situation, entry: &Entry) -> Option<Bar> {
    let Spread { median, low, high } = entry.spread(Quantity::Median)?;
    let cores = if situation.one_core { "on one core" } else { "on all cores" };
    let name = format!("{}, {}, {cores}", entry.contender, octets(situation.size));
    Some(Bar { name, group: cores.to_owned(), median, low, high })
}

/// Both axes are logarithmic.
fn chart(heading: &str, lines: &[Line], label: fn(f64) -> String, path: &Path) -> Result<()> {
    let failed = |error| anyhow!("{error}");
    let root = SVGBackend::new(path, PIXELS).into_drawing_area();
    root.fill(&WHITE).map_err(failed)?;
    let sizes = range(lines.iter().flat_map(|line| &line.points).map(|(size, _)| *size), 1.0);
    // Room for the legend, and for a line along the border.
    let values = range(lines.iter().flat_map(|line| &line.points).map(|(_, value)| *value), 1.5);
    let mut chart = ChartBuilder::on(&root)
        .caption(heading, ("sans-serif", 20))
        .margin(16)
        .margin_right(40)
        .x_label_area_size(40)
        .y_label_area_size(70)
        .build_cartesian_2d((sizes.0..sizes.1).log_scale().base(2.0), (values.0..values.1).log_scale())
        .map_err(failed)?;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a size of a message")]
    let size_label = |size: &f64| octets(size.round() as usize);
    chart
        .configure_mesh()
        .light_line_style(WHITE)
        .bold_line_style(GRID)
        .x_desc("octets in a message")
        .x_label_formatter(&size_label)
        .y_label_formatter(&|value| label(*value))
        .label_style(("sans-serif", 15))
        .draw()
        .map_err(failed)?;
    if values.0 < 1.0 {
        // Where a ratio says that both are equal.
        let equal = [(sizes.0, 1.0), (sizes.1, 1.0)];
        chart.draw_series([PathElement::new(equal, BLACK.stroke_width(1))]).map_err(failed)?;
    }
    for (index, Line { name, points }) in lines.iter().enumerate() {
        let colour = COLOURS[index % COLOURS.len()];
        let (stroke, dot) = (colour.stroke_width(2), colour.filled());
        chart
            .draw_series([PathElement::new(points.clone(), stroke)])
            .map_err(failed)?
            .label(name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 24, y)], stroke));
        chart.draw_series(points.iter().map(|point| Circle::new(*point, 3, dot))).map_err(failed)?;
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperRight)
        .legend_area_size(32)
        .background_style(WHITE.mix(0.85))
        .border_style(GRID)
        .label_font(("sans-serif", 15))
        .draw()
        .map_err(failed)?;
    root.present().map_err(failed)
}

/// From the least to the most, and some more of both.
fn range(values: impl Iterator<Item = f64> + Clone, room: f64) -> (f64, f64) {
    let least = values.clone().fold(f64::INFINITY, f64::min);
    let most = values.fold(0.0, f64::max);
    (least / room, (most * room).max(least * 2.0))
}
