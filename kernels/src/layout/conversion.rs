//! What becomes of an element on its way from one view to another.

use crate::launch::{CompileUnit, cuda_type};
use crate::site::CopySite;
use limpid_graph::ops::exact;
use limpid_graph::tensor::DType;

/// What a copy does to each element; see [`CopySite`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Conversion {
    /// Nothing: its bits are moved.
    Move,
    /// ONNX's Cast.
    Cast,
    /// It is multiplied by this and stored as a real, or as the nearest integer.
    Scale(f32),
}

impl Conversion {
    /// What the types and scales of a site ask for, or why it cannot be done.
    pub(super) fn of(site: &CopySite) -> Result<Self, String> {
        let (x, y) = (&site.x, &site.y);
        let factor = exact::rescale(x.scale.get(), y.scale.get());
        let quantizes = x.dtype.is_float() && y.scale.is_quantized();
        if !quantizes && factor == 1.0 {
            return Ok(if x.dtype == y.dtype { Self::Move } else { Self::Cast });
        }
        for view in [x, y] {
            if view.dtype.is_float() && view.scale.is_quantized() {
                return Err(format!("scales are for integers, got {} with scale {:?}", view.dtype, view.scale));
            }
        }
        if !y.dtype.is_float() && y.dtype != DType::I8 {
            return Err(format!("quantizes to i8 only, got {} with scale {:?}", y.dtype, y.scale));
        }
        Ok(Self::Scale(factor))
    }

    /// The kernels' `factor`; 0 where nothing is scaled.
    pub(super) const fn factor(self) -> f32 {
        if let Self::Scale(factor) = self { factor } else { 0.0 }
    }

    /// What a kernel is compiled for: the types it sees and whether it scales.
    pub(super) fn types(self, site: &CopySite) -> Types {
        match self {
            Self::Move => Types::moved(site.x.dtype),
            Self::Cast => Types { x: site.x.dtype, y: site.y.dtype, scaled: false },
            Self::Scale(_) => Types { x: site.x.dtype, y: site.y.dtype, scaled: true },
        }
    }
}

/// Element types of a kernel, and its SCALED.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Types {
    pub(super) x: DType,
    pub(super) y: DType,
    pub(super) scaled: bool,
}

impl Types {
    /// One type for all of a size: a move knows bits only.
    pub(super) const fn moved(dtype: DType) -> Self {
        let bits = match dtype.size() {
            1 => DType::I8,
            2 => DType::F16,
            4 => DType::I32,
            _ => DType::I64,
        };
        Self { x: bits, y: bits, scaled: false }
    }

    /// The types, if copies in vectors exist for them.
    pub(super) fn vectored(self) -> Result<Self, String> {
        let list: &[(DType, DType)] = if self.scaled { &SCALED } else { &CASTS };
        if (self.x == self.y && !self.scaled) || list.contains(&(self.x, self.y)) {
            return Ok(self);
        }
        let what = if self.scaled { "scaling" } else { "a cast" };
        Err(format!("has no vectors for {what} from {} to {}", self.x, self.y))
    }

    /// All that copies in vectors are compiled for.
    pub(super) fn all_vectored() -> Vec<Self> {
        let pairs = |list: &'static [(DType, DType)], scaled| list.iter().map(move |&(x, y)| Self { x, y, scaled });
        let moves = [DType::I8, DType::F16, DType::I32, DType::I64].map(Self::moved);
        moves.into_iter().chain(pairs(&CASTS, false)).chain(pairs(&SCALED, true)).collect()
    }

    /// A unit of this source with these types and other definitions.
    pub(super) fn unit(self, source: &str, entry: &str, others: &[(&'static str, u32)]) -> CompileUnit {
        let types = [
            ("X_TYPE", cuda_type(self.x).to_owned()),
            ("Y_TYPE", cuda_type(self.y).to_owned()),
            ("SCALED", u32::from(self.scaled).to_string()),
        ];
        let others = others.iter().map(|(name, value)| (*name, value.to_string()));
        CompileUnit::new(source, entry, types.into_iter().chain(others))
    }
}

/// The casts there are vectors for; layout/cast has all others.
pub(super) const CASTS: [(DType, DType); 6] = [
    (DType::F32, DType::F16),
    (DType::F16, DType::F32),
    (DType::U8, DType::F16),
    (DType::U8, DType::F32),
    (DType::I8, DType::F16),
    (DType::I8, DType::F32),
];

/// From and to quantized integers.
pub(super) const SCALED: [(DType, DType); 6] = [
    (DType::U8, DType::I8),
    (DType::F32, DType::I8),
    (DType::F16, DType::I8),
    (DType::I8, DType::I8),
    (DType::I8, DType::F16),
    (DType::I8, DType::F32),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::site::{Scale, View};

    fn of(x: (DType, Scale), y: (DType, Scale)) -> Result<Conversion, String> {
        let view = |(dtype, scale): (DType, Scale)| View { scale, ..View::dense(&[1], dtype) };
        Conversion::of(&CopySite { x: view(x), x_offset: 0, y: view(y), y_offset: 0 })
    }

    #[test]
    fn types_and_scales_decide() {
        let (real, tenth, fifth) = (Scale::ONE, Scale::new(0.1), Scale::new(0.2));
        let (single, byte) = (DType::F32, DType::I8);
        assert_eq!(of((byte, tenth), (byte, tenth)), Ok(Conversion::Move));
        assert_eq!(of((byte, real), (byte, real)), Ok(Conversion::Move));
        assert_eq!(of((byte, tenth), (byte, fifth)), Ok(Conversion::Scale(0.5)));
        assert_eq!(of((single, real), (byte, tenth)), Ok(Conversion::Scale(1.0 / 0.1)));
        assert_eq!(of((byte, tenth), (DType::F16, real)), Ok(Conversion::Scale(0.1)));
        // Integers that are no quantized reals.
        assert_eq!(of((single, real), (byte, real)), Ok(Conversion::Cast));
        assert_eq!(of((DType::I64, real), (byte, real)), Ok(Conversion::Cast));
        // A scale that happens to be 1 still rounds to the nearest.
        assert_eq!(of((single, real), (byte, Scale::new(1.0))), Ok(Conversion::Scale(1.0)));
        assert_eq!(of((byte, Scale::new(1.0)), (byte, real)), Ok(Conversion::Move));
    }

    #[test]
    fn scales_elsewhere_are_refused() {
        let tenth = Scale::new(0.1);
        assert!(of((DType::F32, tenth), (DType::F32, Scale::ONE)).unwrap_err().contains("scales are for integers"));
        assert!(of((DType::F32, Scale::ONE), (DType::U8, tenth)).unwrap_err().contains("quantizes to i8 only"));
        assert!(of((DType::I8, tenth), (DType::I32, Scale::ONE)).unwrap_err().contains("quantizes to i8 only"));
    }
}
