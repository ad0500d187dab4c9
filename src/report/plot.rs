//! The result of a bench as a picture: a bar a combination, as long as its median, with the spread of its rounds.

use super::bench::{cells, seconds};
use crate::model::bench::{BenchReport, Strategy};
use crate::model::figures::{bytes, count};
use svg::Document;
use svg::node::element::{Group, Line, Rectangle, Text};

const WIDTH: f64 = 760.0;
const LEFT: f64 = 260.0;
const BARS: f64 = 380.0;
const TOP: f64 = 56.0;
const STEP: f64 = 30.0;
const BAR: f64 = 18.0;

/// The picture as SVG.
#[must_use]
pub fn svg(report: &BenchReport) -> String {
    let longest = report.results.iter().flat_map(|r| r.rounds_us.iter()).max().copied().unwrap_or(1).max(1);
    let x = |us: u64| LEFT + BARS * us as f64 / longest as f64;
    let height = TOP + STEP * report.results.len() as f64 + 16.0;
    let title =
        format!("{} rows, {}: seconds, shorter is better", count(report.sample.rows), bytes(report.sample.bytes));
    let mut bars = Group::new().set("font-family", "sans-serif").set("font-size", 13);
    bars = bars.add(Text::new(title).set("x", 16).set("y", 30).set("font-size", 16));
    for (i, result) in report.results.iter().enumerate() {
        let y = TOP + STEP * i as f64;
        let middle = y + BAR / 2.0;
        let [strategy, lanes, batch] = cells(result);
        let noun = if result.setting.lanes == 1 { "lane" } else { "lanes" };
        let label = format!("{strategy}, {lanes} {noun}, {batch}");
        let colour = match result.setting.strategy {
            Strategy::BinaryCopy => "#2f6f9f",
            Strategy::TextCopy => "#c9822b",
            Strategy::Insert => "#8a8a8a",
        };
        let (min, max) = (result.rounds_us.iter().min(), result.rounds_us.iter().max());
        let (min, max) = (x(min.copied().unwrap_or(0)), x(max.copied().unwrap_or(0)));
        let text = format!("{} ({:.2})", seconds(result.median_us), result.ratio);
        bars = bars
            .add(Text::new(label).set("x", LEFT - 8.0).set("y", middle + 4.5).set("text-anchor", "end"))
            .add(
                Rectangle::new()
                    .set("x", LEFT)
                    .set("y", y)
                    .set("width", x(result.median_us) - LEFT)
                    .set("height", BAR)
                    .set("fill", colour),
            )
            .add(
                Line::new()
                    .set("x1", min)
                    .set("x2", max)
                    .set("y1", middle)
                    .set("y2", middle)
                    .set("stroke", "#000000")
                    .set("stroke-width", 2),
            )
            .add(Text::new(text).set("x", max + 8.0).set("y", middle + 4.5));
    }
    let ground = Rectangle::new().set("width", "100%").set("height", "100%").set("fill", "#ffffff");
    let picture = Document::new().set("viewBox", (0, 0, WIDTH, height)).set("width", WIDTH).set("height", height);
    format!("{}\n", picture.add(ground).add(bars))
}
