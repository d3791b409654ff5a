//! Medians, spreads and straight lines.

use std::fmt;

/// The middle of some figures, and how far they lie apart.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Spread {
    pub(super) median: f64,
    pub(super) least: f64,
    pub(super) most: f64,
}

impl Spread {
    /// Returns the spread; `None` when there are no figures.
    pub(super) fn of(figures: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut sorted: Vec<f64> = figures.into_iter().collect();
        sorted.sort_by(f64::total_cmp);
        let (least, most) = (*sorted.first()?, *sorted.last()?);
        let middle = sorted.len() / 2;
        let median = if sorted.len() % 2 == 1 {
            sorted[middle]
        } else {
            f64::midpoint(sorted[middle - 1], sorted[middle])
        };
        Some(Self { median, least, most })
    }
}

impl fmt::Display for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [median, least, most] = [self.median, self.least, self.most].map(|figure| format!("{figure:.2}"));
        if least == most { f.write_str(&median) } else { write!(f, "{median} ({least} to {most})") }
    }
}

/// Returns the least figure that so many in a hundred do not exceed.
pub(super) fn percentile(figures: &[f64], percent: usize) -> f64 {
    let mut sorted = figures.to_vec();
    sorted.sort_by(f64::total_cmp);
    let rank = (sorted.len() * percent).div_ceil(100);
    sorted.get(rank.saturating_sub(1)).copied().unwrap_or_default()
}

/// The straight line nearest to some points, by least squares of the distances as shares of the points' heights. So points from a
/// thousandth of a second to a minute have equal weight.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Line {
    pub(super) intercept: f64,
    pub(super) slope: f64,
    /// 1 when every point lies on it.
    pub(super) r_squared: f64,
    /// The point that lies furthest from it, and how far above it (or below), as a share of the line's own height there.
    pub(super) furthest: ((f64, f64), f64),
}

impl Line {
    /// Returns the line; `None` when all points have the same place, or one has no height.
    pub(super) fn through(points: &[(f64, f64)]) -> Option<Self> {
        if points.is_empty() || points.iter().any(|point| point.1 <= 0.0) {
            return None;
        }
        let sum = |of: &dyn Fn(f64, f64) -> f64| points.iter().map(|(x, y)| of(*x, *y)).sum::<f64>();
        let weights = sum(&|_, y| y.powi(-2));
        let (x_mean, y_mean) = (sum(&|x, y| x * y.powi(-2)) / weights, sum(&|_, y| 1.0 / y) / weights);
        let variance = sum(&|x, y| ((x - x_mean) / y).powi(2));
        if variance == 0.0 {
            return None;
        }
        let slope = sum(&|x, y| (x - x_mean) * (y - y_mean) * y.powi(-2)) / variance;
        let intercept = y_mean - slope * x_mean;
        let height = |at: f64| intercept + slope * at;
        let middle = sum(&|_, y| y) / points.len() as f64;
        let (residual, total) = (sum(&|x, y| (y - height(x)).powi(2)), sum(&|_, y| (y - middle).powi(2)));
        let furthest = points.iter().map(|(x, y)| ((*x, *y), y / height(*x) - 1.0));
        Some(Self {
            intercept,
            slope,
            r_squared: if total == 0.0 { 1.0 } else { 1.0 - residual / total },
            furthest: furthest.max_by(|a, b| a.1.abs().total_cmp(&b.1.abs()))?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spread_has_median_least_and_most() {
        assert_eq!(Spread::of([]), None);
        assert_eq!(Spread::of([3.0, 1.0, 2.0]), Some(Spread { median: 2.0, least: 1.0, most: 3.0 }));
        assert_eq!(Spread::of([4.0, 1.0, 2.0, 3.0]).map(|spread| spread.median), Some(2.5));
        assert_eq!(
            Spread::of([0.5, 0.75]).map(|spread| spread.to_string()),
            Some("0.62 (0.50 to 0.75)".into())
        );
        assert_eq!(Spread::of([0.5]).map(|spread| spread.to_string()), Some("0.50".into()));
    }

    #[test]
    fn percentile_is_a_measured_figure() {
        let figures: Vec<f64> = (1..=20).rev().map(f64::from).collect();
        assert_eq!([5, 50, 95, 100].map(|percent| percentile(&figures, percent)), [1.0, 10.0, 19.0, 20.0]);
        assert_eq!(percentile(&[7.0], 95), 7.0);
    }

    #[test]
    fn line_through_points_of_a_line_is_that_line() {
        let line = Line::through(&[(0.0, 1.0), (1.0, 3.0), (10.0, 21.0)]).unwrap();
        assert!((line.intercept - 1.0).abs() < 1e-9 && (line.slope - 2.0).abs() < 1e-9);
        assert!((line.r_squared - 1.0).abs() < 1e-9 && line.furthest.1.abs() < 1e-9);
    }

    #[test]
    fn line_names_its_furthest_point() {
        let line = Line::through(&[(1.0, 1.0), (10.0, 10.0), (100.0, 150.0), (1000.0, 1000.0)]).unwrap();
        assert_eq!(line.furthest.0, (100.0, 150.0));
        assert!(line.furthest.1 > 0.2 && line.r_squared > 0.98 && line.r_squared < 1.0, "{line:?}");
    }

    #[test]
    fn small_points_count_in_a_line_too() {
        let line = Line::through(&[(1e3, 0.011), (1e4, 0.020), (1e6, 1.5)]).unwrap();
        assert!((line.intercept - 0.01).abs() < 0.002, "{line:?}");
    }

    #[test]
    fn single_point_gives_no_line() {
        assert_eq!(Line::through(&[]), None);
        assert_eq!(Line::through(&[(1.0, 2.0), (1.0, 3.0)]), None);
    }
}
