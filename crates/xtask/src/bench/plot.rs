//! Pictures of figures, as SVG that is read on light and on dark pages.

use std::fmt::Write as _;

const WIDTH: f64 = 760.0;
/// Colours as in `docs/flow.svg`; each has a lighter one for dark pages.
const STYLE: &str = "<style>.t{font:600 15px system-ui,sans-serif;fill:#16324f}.s{font:12px system-ui,sans-serif;fill:#4a6076}\
.g{stroke:#5b7083;stroke-opacity:.3}.b{fill:#7fa8d1}.o{fill:#7dba8a}.l0{stroke:#2f8f46;fill:#2f8f46}\
.l1{stroke:#3d7ab8;fill:#3d7ab8}.l2{stroke:#b97a2b;fill:#b97a2b}.l{fill:none;stroke-width:2}\
@media(prefers-color-scheme:dark){.t{fill:#dbe7f3}.s{fill:#a9bccd}}</style>";

/// One curve of a plot.
pub(super) struct Series {
    pub(super) name: String,
    pub(super) points: Vec<(f64, f64)>,
}

/// Horizontal bars from the shortest to the longest, our own in another colour. The scale is linear: what is ten times as
/// long looks so.
pub(super) fn bars(title: &str, unit: &str, bars: &[(String, f64)]) -> String {
    const LEFT: f64 = 270.0;
    const STEP: f64 = 26.0;
    let height = 52.0 + STEP * bars.len() as f64;
    let most = bars.iter().map(|bar| bar.1).fold(0.0, f64::max);
    let mut svg = open(title, height);
    for (at, (name, figure)) in bars.iter().enumerate() {
        let y = 42.0 + STEP * at as f64;
        let length = if most > 0.0 { (WIDTH - LEFT - 90.0) * figure / most } else { 0.0 };
        let class = if name.starts_with("Downpipe") { "o" } else { "b" };
        // Writing into a string cannot fail.
        let _ = writeln!(
            svg,
            "<text x=\"{:.0}\" y=\"{:.0}\" text-anchor=\"end\" class=\"s\">{}</text>\
             <rect x=\"{LEFT:.0}\" y=\"{y:.0}\" width=\"{length:.1}\" height=\"18\" rx=\"3\" class=\"{class}\"/>\
             <text x=\"{:.1}\" y=\"{:.0}\" class=\"s\">{figure:.2} {unit}</text>",
            LEFT - 10.0,
            y + 13.0,
            escaped(name),
            LEFT + length + 8.0,
            y + 13.0,
        );
    }
    svg.push_str("</svg>\n");
    svg
}

/// Curves over logarithmic axes: what grows in proportion is a straight line that rises by one decade in each.
pub(super) fn curves(title: &str, x_unit: &str, y_unit: &str, series: &[Series]) -> String {
    const HEIGHT: f64 = 420.0;
    let (left, right, top, bottom) = (70.0, WIDTH - 30.0, 70.0, HEIGHT - 50.0);
    let points = || series.iter().flat_map(|series| &series.points);
    let x_axis = Axis::over(points().map(|point| point.0), left, right);
    let y_axis = Axis::over(points().map(|point| point.1), bottom, top);
    let mut svg = open(title, HEIGHT);
    for (figure, x) in x_axis.decades() {
        let label = short(figure);
        let _ = writeln!(
            svg,
            "<line x1=\"{x:.1}\" y1=\"{top}\" x2=\"{x:.1}\" y2=\"{bottom}\" class=\"g\"/>\
             <text x=\"{x:.1}\" y=\"{:.0}\" text-anchor=\"middle\" class=\"s\">{label}</text>",
            bottom + 18.0
        );
    }
    for (figure, y) in y_axis.decades() {
        let label = short(figure);
        let _ = writeln!(
            svg,
            "<line x1=\"{left}\" y1=\"{y:.1}\" x2=\"{right}\" y2=\"{y:.1}\" class=\"g\"/>\
             <text x=\"{:.0}\" y=\"{:.1}\" text-anchor=\"end\" class=\"s\">{label} {y_unit}</text>",
            left - 8.0,
            y + 4.0
        );
    }
    let _ = writeln!(
        svg,
        "<text x=\"{:.0}\" y=\"{:.0}\" text-anchor=\"middle\" class=\"s\">{}</text>",
        f64::midpoint(left, right),
        bottom + 38.0,
        escaped(x_unit)
    );
    for (at, Series { name, points }) in series.iter().enumerate() {
        let places: Vec<(f64, f64)> =
            points.iter().map(|(x, y)| (x_axis.place(*x), y_axis.place(*y))).collect();
        let path: Vec<String> = places.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
        let _ =
            writeln!(svg, "<polyline points=\"{}\" class=\"l l{at}\" style=\"fill:none\"/>", path.join(" "));
        for (x, y) in places {
            let _ = writeln!(svg, "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3\" class=\"l{at}\"/>");
        }
        let x = left + 200.0 * at as f64;
        let _ = writeln!(
            svg,
            "<rect x=\"{x:.0}\" y=\"42\" width=\"14\" height=\"4\" class=\"l{at}\"/>\
             <text x=\"{:.0}\" y=\"49\" class=\"s\">{}</text>",
            x + 20.0,
            escaped(name)
        );
    }
    svg.push_str("</svg>\n");
    svg
}

/// A logarithmic axis of whole decades.
struct Axis {
    /// Exponents of ten.
    first: i32,
    last: i32,
    from: f64,
    to: f64,
}

impl Axis {
    fn over(figures: impl Iterator<Item = f64>, from: f64, to: f64) -> Self {
        let (mut least, mut most) = (f64::INFINITY, 0.0_f64);
        for figure in figures.filter(|figure| *figure > 0.0) {
            (least, most) = (least.min(figure), most.max(figure));
        }
        if most == 0.0 {
            (least, most) = (1.0, 1.0);
        }
        let exponent =
            |figure: f64| (-12..=12).find(|exponent| 10_f64.powi(*exponent) >= figure).unwrap_or(12);
        let last = exponent(most);
        let above = exponent(least);
        let first = if 10_f64.powi(above) > least { above - 1 } else { above };
        // One decade at least: an axis has a length.
        Self { first: first.min(last - 1), last, from, to }
    }

    fn place(&self, figure: f64) -> f64 {
        let exponent = figure.max(10_f64.powi(self.first)).log10();
        let share = (exponent - f64::from(self.first)) / f64::from(self.last - self.first);
        self.from + (self.to - self.from) * share
    }

    fn decades(&self) -> impl Iterator<Item = (f64, f64)> {
        (self.first..=self.last)
            .map(|exponent| 10_f64.powi(exponent))
            .map(|figure| (figure, self.place(figure)))
    }
}

fn open(title: &str, height: f64) -> String {
    let title = escaped(title);
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" height=\"{height}\" \
         role=\"img\" aria-label=\"{title}\">\n{STYLE}\n<text x=\"12\" y=\"24\" class=\"t\">{title}</text>\n"
    )
}

/// Returns a power of ten for people.
fn short(figure: f64) -> String {
    match figure {
        _ if figure >= 1e6 => format!("{:.0} M", figure / 1e6),
        _ if figure >= 1e3 => format!("{:.0} k", figure / 1e3),
        _ => format!("{figure}"),
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bar_is_as_long_as_its_figure() {
        let svg = bars("a <b>", "s", &[("Downpipe".into(), 1.0), ("x & y".into(), 2.0)]);
        assert!(svg.contains("width=\"200.0\" height=\"18\" rx=\"3\" class=\"o\""), "{svg}");
        assert!(svg.contains("width=\"400.0\" height=\"18\" rx=\"3\" class=\"b\""), "{svg}");
        assert!(svg.contains("a &lt;b>") && svg.contains("x &amp; y") && svg.contains("2.00 s"));
    }

    #[test]
    fn axis_covers_whole_decades() {
        let axis = Axis::over([0.02, 7.0].into_iter(), 0.0, 300.0);
        assert_eq!((axis.first, axis.last), (-2, 1));
        assert!((axis.place(0.1) - 100.0).abs() < 1e-9 && (axis.place(10.0) - 300.0).abs() < 1e-9);
        assert_eq!(axis.decades().count(), 4);
        let axis = Axis::over([1_000.0].into_iter(), 0.0, 1.0);
        assert_eq!((axis.first, axis.last), (2, 3));
        assert_eq!(Axis::over([].into_iter(), 0.0, 1.0).last, 0);
    }

    #[test]
    fn proportional_growth_is_a_straight_line() {
        let points = vec![(1e3, 0.01), (1e4, 0.1), (1e5, 1.0)];
        let svg = curves("t", "rows", "s", &[Series { name: "a".into(), points }]);
        assert!(svg.contains("points=\"70.0,370.0 400.0,220.0 730.0,70.0\""), "{svg}");
        assert!(svg.contains("10 k") && svg.contains("0.01 s"), "{svg}");
    }
}
