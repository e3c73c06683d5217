//! The 95% interval of a ratio, from paired measurements.

use serde::Serialize;

/// A ratio and the ends of its 95% interval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Interval {
    /// Geometric mean of the ratios.
    pub ratio: f64,
    /// Lower end.
    pub lower: f64,
    /// Upper end.
    pub upper: f64,
}

impl Interval {
    /// From the natural logarithms of independent ratios: their mean and Student's t. A ratio
    /// and its inverse count alike, so it does not matter which of two is divided by the other.
    /// `None` below two ratios, and where one is not finite.
    pub fn of_log_ratios(logs: &[f64]) -> Option<Self> {
        let count = logs.len();
        if count < 2 || logs.iter().any(|log| !log.is_finite()) {
            return None;
        }
        let mean = logs.iter().sum::<f64>() / count as f64;
        let squares: f64 = logs.iter().map(|log| (log - mean).powi(2)).sum();
        let standard_error = (squares / (count - 1) as f64 / count as f64).sqrt();
        let reach = student_t(count - 1) * standard_error;
        Some(Self {
            ratio: mean.exp(),
            lower: (mean - reach).exp(),
            upper: (mean + reach).exp(),
        })
    }

    /// Half the distance between the ends.
    pub fn half_width(&self) -> f64 {
        (self.upper - self.lower) / 2.0
    }
}

/// The 97.5% quantile of Student's t: within it, to both sides, are 95%.
fn student_t(degrees_of_freedom: usize) -> f64 {
    const FIRST: [f64; 12] = [
        12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179,
    ];
    const NORMAL: f64 = 1.959_964;
    if let Some(exact) = degrees_of_freedom
        .checked_sub(1)
        .and_then(|index| FIRST.get(index))
    {
        return *exact;
    }
    // Abramowitz and Stegun 26.7.5, to three digits from here on.
    let (z, n) = (NORMAL, degrees_of_freedom.max(1) as f64);
    z + (z.powi(3) + z) / (4.0 * n)
        + (5.0 * z.powi(5) + 16.0 * z.powi(3) + 3.0 * z) / (96.0 * n.powi(2))
        + (3.0 * z.powi(7) + 19.0 * z.powi(5) + 17.0 * z.powi(3) - 15.0 * z) / (384.0 * n.powi(3))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn close(found: f64, expected: f64) -> bool {
        (found - expected).abs() < 0.000_5
    }

    #[test]
    fn quantiles_are_those_of_the_printed_tables() {
        for (degrees, expected) in [
            (1, 12.706),
            (4, 2.776),
            (12, 2.179),
            (13, 2.160),
            (20, 2.086),
            (30, 2.042),
            (120, 1.980),
        ] {
            let found = student_t(degrees);
            assert!(close(found, expected), "{degrees}: {found}");
        }
    }

    #[test]
    fn the_interval_of_known_numbers_is_the_known_one() {
        // Mean 0.02, standard deviation 0.01, n 4: reach 3.182 * 0.01 / 2 = 0.01591.
        let d = 0.01 * 3.0_f64.sqrt() / 2.0;
        let interval = Interval::of_log_ratios(&[0.02 - d, 0.02 + d, 0.02 - d, 0.02 + d]).unwrap();
        assert!(close(interval.ratio, 0.02_f64.exp()));
        assert!(close(interval.lower, 0.004_09_f64.exp()), "{interval:?}");
        assert!(close(interval.upper, 0.035_91_f64.exp()), "{interval:?}");
        assert!(close(interval.half_width(), 0.016_23), "{interval:?}");
    }

    #[test]
    fn a_ratio_and_its_inverse_give_inverse_intervals() {
        let logs = [0.1, -0.02, 0.05];
        let one = Interval::of_log_ratios(&logs).unwrap();
        let other = Interval::of_log_ratios(&logs.map(|log| -log)).unwrap();
        assert!(close(one.upper * other.lower, 1.0) && close(one.ratio * other.ratio, 1.0));
    }

    #[test]
    fn less_than_two_ratios_or_an_endless_one_have_no_interval() {
        assert_eq!(Interval::of_log_ratios(&[]), None);
        assert_eq!(Interval::of_log_ratios(&[0.1]), None);
        assert_eq!(Interval::of_log_ratios(&[0.1, f64::NEG_INFINITY]), None);
        assert_eq!(Interval::of_log_ratios(&[0.1, f64::NAN]), None);
        let same = Interval::of_log_ratios(&[0.0, 0.0]).unwrap();
        assert!(close(same.half_width(), 0.0) && close(same.ratio, 1.0));
    }
}
