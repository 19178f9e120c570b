use super::DType;
use std::fmt;

/// How far two computations of the same thing may be apart, with the reason in its name.
///
/// A pair `(got, want)` agrees when `|got - want| <= absolute + relative·|want|`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tolerance {
    /// Share of the wanted value.
    pub relative: f32,
    /// In units of the wanted value's scale.
    pub absolute: f32,
}

/// The first element out of tolerance.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Mismatch {
    /// Its row-major index.
    pub index: usize,
    /// What came.
    pub got: f32,
    /// What was expected.
    pub want: f32,
    /// How many elements are out of tolerance in all.
    pub count: usize,
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "element {}: got {}, want {} ({} elements differ)", self.index, self.got, self.want, self.count)
    }
}

impl Tolerance {
    /// A sum of `k` products computed in two orders, results stored as `dtype`.
    ///
    /// Rounding errors of a sum grow as √k on average (Higham, *Accuracy and Stability*, §4.2); the
    /// factor 4 covers the tail over a million elements. `scale` is the size of a typical `√k·|a·b|`.
    pub fn gemm(dtype: DType, k: usize, scale: f32) -> Self {
        let unit = Self::unit(dtype);
        let sum = 4.0 * f32::EPSILON * (k.max(1) as f32).sqrt();
        Self { relative: 2.0 * unit + sum, absolute: (unit + sum) * scale }
    }

    /// One rounded operation on each element, results stored as `dtype`.
    pub fn elementwise(dtype: DType) -> Self {
        let unit = Self::unit(dtype);
        Self { relative: 4.0 * unit, absolute: 4.0 * unit }
    }

    /// Same bits.
    pub fn exact() -> Self {
        Self { relative: 0.0, absolute: 0.0 }
    }

    /// The rounding unit: half the distance from 1 to the next number of `dtype`.
    pub fn unit(dtype: DType) -> f32 {
        match dtype {
            DType::F16 => 1.0 / 2048.0,
            _ => f32::EPSILON / 2.0,
        }
    }

    /// The rounding unit of TF32, which keeps 10 bits of mantissa and cuts the rest.
    pub const TF32_UNIT: f32 = 1.0 / 1024.0;

    /// Compares elementwise. NaN agrees with NaN, an infinity with itself; lengths must be equal.
    pub fn check(self, got: &[f32], want: &[f32]) -> Result<(), Mismatch> {
        if got.len() != want.len() {
            return Err(Mismatch {
                index: got.len().min(want.len()),
                got: f32::NAN,
                want: f32::NAN,
                count: usize::MAX,
            });
        }
        let mut first = None;
        let mut count = 0;
        for (index, (&g, &w)) in got.iter().zip(want).enumerate() {
            let agrees = g == w
                || (g.is_nan() && w.is_nan())
                || (g - w).abs() <= self.absolute + self.relative * w.abs() && w.is_finite();
            if !agrees {
                count += 1;
                first.get_or_insert((index, g, w));
            }
        }
        match first {
            None => Ok(()),
            Some((index, got, want)) => Err(Mismatch { index, got, want, count }),
        }
    }
}

/// `‖got - want‖₂ / ‖want‖₂`, in f64; the measure that whole networks are held to.
///
/// Infinite where a value is not finite in one but not the other.
pub fn relative_l2(got: &[f32], want: &[f32]) -> f64 {
    if got.len() != want.len() {
        return f64::INFINITY;
    }
    let (mut difference, mut norm) = (0f64, 0f64);
    for (&g, &w) in got.iter().zip(want) {
        if g.to_bits() == w.to_bits() && !w.is_finite() {
            continue;
        }
        if !g.is_finite() || !w.is_finite() {
            return f64::INFINITY;
        }
        difference += (f64::from(g) - f64::from(w)).powi(2);
        norm += f64::from(w).powi(2);
    }
    if norm == 0.0 { difference.sqrt() } else { (difference / norm).sqrt() }
}
