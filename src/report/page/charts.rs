//! Bars as inline SVG. They are measured in percent of their place, so that a narrow screen and paper show the same; what
//! they mean stands beside them as text.

use svg::Document;
use svg::node::element::Rectangle;

/// Height of a bar's picture, in pixels.
const HEIGHT: u32 = 14;

/// A part of the whole: where it begins and how long it is, both of `whole`. What there is of it is always seen.
pub fn span(start: u64, length: u64, whole: u64, class: &str) -> String {
    picture([bar(start, length, whole, class, (1, HEIGHT - 2))])
}

/// Two lengths of one whole, one above the other.
pub fn pair(first: u64, second: u64, whole: u64) -> String {
    let half = HEIGHT / 2;
    picture([bar(0, first, whole, "bar a", (0, half - 1)), bar(0, second, whole, "bar b", (half, half - 1))])
}

fn picture<const N: usize>(bars: [Rectangle; N]) -> String {
    let picture = Document::new().set("class", "bar").set("height", HEIGHT).set("aria-hidden", "true");
    bars.into_iter().fold(picture, Document::add).to_string()
}

fn bar(start: u64, length: u64, whole: u64, class: &str, (y, height): (u32, u32)) -> Rectangle {
    let percent = |n: u64| n as f64 * 100.0 / whole.max(1) as f64;
    // Half a percent is a few pixels: what took no time that the clock shows is still there.
    let width = percent(length).max(if length > 0 { 0.5 } else { 0.0 }).min(100.0);
    let x = percent(start).min(100.0 - width);
    Rectangle::new()
        .set("class", class)
        .set("x", format!("{x:.2}%"))
        .set("y", y)
        .set("width", format!("{width:.2}%"))
        .set("height", height)
        .set("rx", 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_is_its_share_and_never_leaves_its_place() {
        assert!(
            span(25, 50, 100, "bar").contains("width=\"50.00%\"") && span(25, 50, 100, "bar").contains("x=\"25.00%\"")
        );
        let last = span(1000, 1, 1000, "bar");
        assert!(last.contains("x=\"99.50%\"") && last.contains("width=\"0.50%\""), "{last}");
        assert!(span(0, 0, 0, "bar").contains("width=\"0.00%\""));
    }
}
