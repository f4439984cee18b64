//! A picture of times: one bar for each on a logarithmic axis, one colour for each group.

use super::numbers::nanoseconds;
use anyhow::{Result, anyhow};
use plotters::backend::SVGBackend;
use plotters::drawing::IntoDrawingArea as _;
use plotters::element::{PathElement, Rectangle, Text};
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{
    BLACK, Color as _, IntoFont as _, Palette as _, Palette99, RGBColor, ShapeStyle, TextStyle, WHITE,
};
use std::path::Path;

/// All lengths are pixels.
const ROW: i32 = 22;
const BAR: i32 = 14;
const MARGIN: i32 = 20;
const HEADER: i32 = 50;
/// The width of the bars' area, and of the figures to its right.
const BARS: i32 = 560;
const FIGURES: i32 = 110;
/// Enough for a character of a sans-serif of size 16, which plotters writes as 13 pixels. The viewer brings the font, so its real width is unknown here.
const CHARACTER: i32 = 8;

const GRID: RGBColor = RGBColor(220, 220, 220);

/// One bar. Times are nanoseconds.
#[derive(Debug)]
pub(super) struct Bar {
    pub(super) name: String,
    pub(super) group: String,
    pub(super) median: f64,
    /// The ends of the whisker.
    pub(super) low: f64,
    pub(super) high: f64,
}

/// Draws the bars, in their order, as an SVG file.
pub(super) fn draw(heading: &str, bars: &[Bar], path: &Path) -> Result<()> {
    let scale = Scale::of(bars);
    let longest = bars.iter().map(|bar| bar.name.chars().count()).max().unwrap_or(0);
    let left = MARGIN + i32::try_from(longest)? * CHARACTER;
    let bottom = HEADER + i32::try_from(bars.len())? * ROW;
    let (width, height) = (left + BARS + FIGURES + MARGIN, bottom + MARGIN);

    let root = SVGBackend::new(path, (u32::try_from(width)?, u32::try_from(height)?)).into_drawing_area();
    let failed = |error| anyhow!("{error}");
    root.fill(&WHITE).map_err(failed)?;

    let title = text(20, HPos::Left, VPos::Center);
    root.draw(&Text::new(heading, (MARGIN, MARGIN), title)).map_err(failed)?;
    for decade in scale.decades() {
        let x = left + scale.x(decade);
        root.draw(&PathElement::new([(x, HEADER - 4), (x, bottom)], GRID)).map_err(failed)?;
        let label = text(15, HPos::Center, VPos::Bottom);
        root.draw(&Text::new(nanoseconds(decade), (x, HEADER - 6), label)).map_err(failed)?;
    }

    let mut groups: Vec<&str> = Vec::new();
    let mut middle = HEADER + ROW / 2;
    for bar in bars {
        if !groups.contains(&bar.group.as_str()) {
            groups.push(&bar.group);
        }
        let colour = Palette99::pick(groups.len()).to_rgba();
        let [low, median, high] = [bar.low, bar.median, bar.high].map(|t| left + scale.x(t));
        let corners = [(left, middle - BAR / 2), (median, middle + BAR / 2)];
        root.draw(&Rectangle::new(corners, colour.mix(0.8).filled())).map_err(failed)?;
        let whisker = PathElement::new([(low, middle), (high, middle)], ShapeStyle::from(&BLACK).stroke_width(1));
        root.draw(&whisker).map_err(failed)?;

        let name = text(16, HPos::Right, VPos::Center);
        root.draw(&Text::new(bar.name.as_str(), (left - 6, middle), name)).map_err(failed)?;
        let figure = text(16, HPos::Left, VPos::Center);
        root.draw(&Text::new(nanoseconds(bar.median), (high + 6, middle), figure)).map_err(failed)?;
        middle += ROW;
    }
    root.present().map_err(failed)
}

fn text(size: i32, horizontal: HPos, vertical: VPos) -> TextStyle<'static> {
    ("sans-serif", size).into_font().color(&BLACK).pos(Pos::new(horizontal, vertical))
}

/// Maps nanoseconds to pixels, from a power of ten below the shortest time to one above the longest.
#[derive(Debug)]
struct Scale {
    first: i32,
    last: i32,
}

impl Scale {
    fn of(bars: &[Bar]) -> Self {
        let shortest = bars.iter().map(|bar| bar.low).fold(f64::INFINITY, f64::min);
        let longest = bars.iter().map(|bar| bar.high).fold(0.0, f64::max);
        let first = nearest(shortest.log10().floor());
        Self { first, last: nearest(longest.log10().ceil()).max(first + 1) }
    }

    fn x(&self, nanoseconds: f64) -> i32 {
        let share = (nanoseconds.log10() - f64::from(self.first)) / f64::from(self.last - self.first);
        nearest(share.clamp(0.0, 1.0) * f64::from(BARS))
    }

    fn decades(&self) -> impl Iterator<Item = f64> {
        (self.first..=self.last).map(|exponent| 10f64.powi(exponent))
    }
}

/// To the nearest integer; what is no time at all (zero, nothing measured) becomes the shortest that anybody draws.
fn nearest(value: f64) -> i32 {
    #[expect(clippy::cast_possible_truncation, reason = "a float cast saturates, and pixels and exponents are small")]
    let rounded = value.clamp(-12.0, 1e6).round() as i32;
    rounded
}
