//! A bench as one picture, to be opened in a browser or put into a page.

use std::fmt::Write as _;

/// One row of the picture.
pub struct Bar {
    /// What was measured.
    pub name: String,
    /// How much it did, in requests per second.
    pub requests_per_second: f64,
    /// What is written beside it.
    pub note: String,
    /// Something that others are compared with.
    pub is_reference: bool,
}

const ROW: usize = 26;
const LEFT: usize = 170;
const WIDTH: usize = 860;
/// Room for the note beside the longest bar.
const NOTE: usize = 270;

/// The bars, one below the other, to the scale of the longest.
pub fn svg(bars: &[Bar]) -> String {
    let longest = bars.iter().map(|bar| bar.requests_per_second);
    let longest = longest.fold(f64::MIN_POSITIVE, f64::max);
    let height = (bars.len() + 2) * ROW;
    let mut to = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" \
         font-family=\"system-ui,sans-serif\" font-size=\"13\" role=\"img\" \
         aria-label=\"Requests per second\">\
         <rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\
         <text x=\"10\" y=\"20\" font-weight=\"600\">Requests per second, closed loop</text>\n"
    );
    for (row, bar) in bars.iter().enumerate() {
        let top = (row + 1) * ROW + 6;
        let room = (WIDTH - LEFT - NOTE) as f64;
        let length = (bar.requests_per_second / longest).clamp(0.0, 1.0) * room;
        let color = if bar.is_reference {
            "#98a2b3"
        } else {
            "#2f6fde"
        };
        // Writing to a string cannot fail.
        let _ = writeln!(
            to,
            "<text x=\"{}\" y=\"{}\" text-anchor=\"end\">{}</text>\
             <rect x=\"{LEFT}\" y=\"{top}\" width=\"{length:.1}\" height=\"{}\" fill=\"{color}\"/>\
             <text x=\"{:.1}\" y=\"{}\">{:.0}{}</text>",
            LEFT - 8,
            top + 14,
            escaped(&bar.name),
            ROW - 8,
            LEFT as f64 + length + 6.0,
            top + 14,
            bar.requests_per_second,
            escaped(&bar.note),
        );
    }
    to.push_str("</svg>\n");
    to
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_are_to_scale_and_named() {
        let bar = |name: &str, requests_per_second: f64| Bar {
            name: name.into(),
            requests_per_second,
            note: " a<b".into(),
            is_reference: false,
        };
        let picture = svg(&[bar("one & all", 20_000.0), bar("half", 10_000.0)]);
        assert!(picture.contains("width=\"420.0\"") && picture.contains("width=\"210.0\""));
        assert!(picture.contains(">one &amp; all<") && picture.contains(">20000 a&lt;b<"));
        assert_eq!(
            picture.matches("<svg").count(),
            picture.matches("</svg>").count()
        );
        assert!(svg(&[bar("nothing", 0.0)]).contains("width=\"0.0\""));
    }
}
