/// How far one list of numbers is from another: sums over pairs (a, b), of the baseline's and the test's.
///
/// Sums of several lists may be added: the result is that of the lists put one behind the other. Where a number is
/// NaN or infinite, every measure is NaN, even if the other list has the same there: nothing can be said of how close
/// they are.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Distance {
    /// Σ a·b
    product: f64,
    /// Σ a²
    baseline: f64,
    /// Σ b²
    test: f64,
    /// Σ (a-b)²
    difference: f64,
    /// max |a-b|
    largest: f64,
}

impl Distance {
    /// The distance of two lists of the same length.
    pub fn between(baseline: &[f32], test: &[f32]) -> Self {
        let mut sums = Self::default();
        for (&a, &b) in baseline.iter().zip(test) {
            // An infinity less itself is NaN; one that meets a number makes NaN here, too.
            let (a, b) =
                if a.is_finite() && b.is_finite() { (f64::from(a), f64::from(b)) } else { (f64::NAN, f64::NAN) };
            sums.product += a * b;
            sums.baseline += a * a;
            sums.test += b * b;
            sums.difference += (a - b) * (a - b);
            sums.largest = larger(sums.largest, (a - b).abs());
        }
        sums
    }

    /// Takes more pairs into account.
    pub fn add(&mut self, other: Self) {
        self.product += other.product;
        self.baseline += other.baseline;
        self.test += other.test;
        self.difference += other.difference;
        self.largest = larger(self.largest, other.largest);
    }

    /// The cosine of the angle between the two: Σab / √(Σa²·Σb²). Two vectors of zeros point the same way: 1. One of
    /// zeros and one that is not: 0.
    pub fn cosine(self) -> f64 {
        let norms = (self.baseline * self.test).sqrt();
        match norms {
            0.0 if self.difference == 0.0 => 1.0,
            0.0 => 0.0,
            // Rounding may carry it over by a hair.
            norms => (self.product / norms).clamp(-1.0, 1.0),
        }
    }

    /// √Σ(a-b)²
    pub fn l2(self) -> f64 {
        self.difference.sqrt()
    }

    /// √(Σ(a-b)² / Σa²): 0 if there is no difference, infinite if the baseline is all zeros and the test is not.
    pub fn relative_l2(self) -> f64 {
        if self.difference == 0.0 { 0.0 } else { (self.difference / self.baseline).sqrt() }
    }

    /// The signal-to-quantization-noise ratio in dB: 10·log10(Σa² / Σ(a-b)²). Infinite if there is no difference.
    pub fn sqnr_db(self) -> f64 {
        if self.difference == 0.0 { f64::INFINITY } else { 10.0 * (self.baseline / self.difference).log10() }
    }

    /// max |a-b|
    pub fn largest_difference(self) -> f64 {
        self.largest
    }

    /// True if all numbers were finite.
    pub fn is_finite(self) -> bool {
        !self.difference.is_nan()
    }
}

/// The larger; NaN if one of them is.
fn larger(a: f64, b: f64) -> f64 {
    if a >= b || a.is_nan() { a } else { b }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hand_computed() {
        // (3, 4) and (4, 3): product 24, both of norm 5, difference (-1, 1).
        let distance = Distance::between(&[3.0, 4.0], &[4.0, 3.0]);
        assert_eq!(distance.cosine(), 24.0 / 25.0);
        assert_eq!((distance.l2(), distance.relative_l2()), (2f64.sqrt(), (2f64 / 25.0).sqrt()));
        assert_eq!((distance.largest_difference(), distance.sqnr_db()), (1.0, 10.0 * 12.5f64.log10()));
        // Noise of a tenth of the signal is 20 dB down.
        assert!((Distance::between(&[10.0], &[9.0]).sqnr_db() - 20.0).abs() < 1e-12);
        assert_eq!(Distance::between(&[1.0, 0.0], &[-2.0, 0.0]).cosine(), -1.0);
    }

    #[test]
    fn zeros_are_defined() {
        let of = |a: &[f32], b: &[f32]| Distance::between(a, b);
        let none = of(&[0.0, 0.0], &[0.0, -0.0]);
        assert_eq!((none.cosine(), none.relative_l2(), none.sqnr_db()), (1.0, 0.0, f64::INFINITY));
        let one = of(&[0.0, 0.0], &[0.0, 2.0]);
        assert_eq!((one.cosine(), one.relative_l2(), one.sqnr_db()), (0.0, f64::INFINITY, f64::NEG_INFINITY));
        let other = of(&[0.0, 2.0], &[0.0, 0.0]);
        assert_eq!((other.cosine(), other.relative_l2(), other.sqnr_db()), (0.0, 1.0, 0.0));
    }

    #[test]
    fn what_is_not_finite_has_no_distance() {
        for odd in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            for (a, b) in [(odd, 1.0), (1.0, odd), (odd, odd)] {
                let distance = Distance::between(&[1.0, a, 2.0], &[1.0, b, 2.0]);
                assert!(!distance.is_finite() && distance.cosine().is_nan() && distance.l2().is_nan(), "{a} {b}");
                assert!(distance.relative_l2().is_nan() && distance.sqnr_db().is_nan(), "{a} {b}");
                assert!(distance.largest_difference().is_nan(), "{a} {b}");
            }
        }
    }

    #[test]
    fn sums_add_up() {
        let (a, b) = ([1.0, -2.0, 3.0, 0.5], [1.5, -2.0, 2.0, 0.25]);
        let mut parts = Distance::between(&a[..1], &b[..1]);
        parts.add(Distance::between(&a[1..], &b[1..]));
        assert_eq!(parts, Distance::between(&a, &b));
    }
}
