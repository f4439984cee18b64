//! Medians and quartiles, and ratios round by round.

use serde::Serialize;

/// The middle of some values, and where the middle half of them lies.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    /// The first quartile.
    pub(crate) low: f64,
    /// The third quartile.
    pub(crate) high: f64,
}

impl Spread {
    /// `None` of no values.
    pub(crate) fn of(values: &[f64]) -> Option<Self> {
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        let at = |quantile| at(&sorted, quantile);
        Some(Self { median: at(0.5)?, low: at(0.25)?, high: at(0.75)? })
    }

    /// Half the width of the middle half, in percent of the median.
    pub(crate) fn percent(&self) -> f64 {
        50.0 * (self.high - self.low) / self.median
    }
}

/// Between two values the line that joins them is followed.
fn at(sorted: &[f64], quantile: f64) -> Option<f64> {
    #[expect(clippy::cast_precision_loss, reason = "a number of rounds")]
    let place = quantile * sorted.len().checked_sub(1)? as f64;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "within the slice")]
    let (below, above) = (place.floor() as usize, place.ceil() as usize);
    let (low, high) = (*sorted.get(below)?, *sorted.get(above)?);
    Some(low + (high - low) * place.fract())
}

/// Ours over theirs in each round that has both: whatever disturbed the machine in a round disturbed both.
pub(crate) fn ratios(ours: &[f64], theirs: &[f64]) -> Vec<f64> {
    ours.iter().zip(theirs).map(|(ours, theirs)| ours / theirs).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quartiles_enclose_the_middle_half() {
        let spread = Spread::of(&[5.0, 1.0, 4.0, 2.0, 3.0]).unwrap();
        assert_eq!((spread.low, spread.median, spread.high), (2.0, 3.0, 4.0));
        let between = Spread::of(&[1.0, 2.0, 3.0, 4.0]).unwrap();
        assert_eq!((between.low, between.median, between.high), (1.75, 2.5, 3.25));
        assert_eq!(Spread::of(&[7.0]).unwrap().percent(), 0.0);
        assert_eq!(Spread::of(&[]), None);
    }

    #[test]
    fn ratios_are_taken_round_by_round() {
        // A machine that is half as fast in the second round changes no ratio, and neither does a round that one has missed.
        assert_eq!(ratios(&[10.0, 5.0, 10.0], &[5.0, 2.5]), [2.0, 2.0]);
    }
}
