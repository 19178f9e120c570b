//! The host's side of `include/epilogue.cuh`: its parameter structs, field by field.

use crate::launch::{Arg, Role};
use crate::site::{EpilogueSite, Image, Scale, vector_width};
use bytemuck::{Pod, Zeroable};
use limpid_graph::ir::Precision;
use limpid_graph::ops::Activation;
use limpid_graph::ops::exact::{MAX_TERMS, check_scale};
use limpid_graph::tensor::DType;

/// Columns one thread finishes at a time; bias and scales are zero-padded to a multiple of it.
pub const COLUMNS_PER_THREAD: u32 = 8;

/// `ActivationParams` of epilogue.cuh.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Pod, Zeroable)]
pub struct ActivationParams {
    kind: i32,
    a: f32,
    b: f32,
}

impl ActivationParams {
    /// The function as the kernels know it. `Relu` is `Clip(0, inf)` there.
    pub fn new(activation: Activation) -> Self {
        let (kind, a, b) = match activation {
            Activation::Identity => (0, 0.0, 0.0),
            Activation::Relu => (1, 0.0, f32::INFINITY),
            Activation::Clip { min, max } => (1, min, max),
            Activation::LeakyRelu { alpha } => (2, alpha, 0.0),
            Activation::Sigmoid => (3, 0.0, 0.0),
            Activation::HardSigmoid { alpha, beta } => (4, alpha, beta),
            Activation::HardSwish => (5, 0.0, 0.0),
            Activation::Silu => (6, 0.0, 0.0),
            Activation::Tanh => (7, 0.0, 0.0),
        };
        Self { kind, a, b }
    }
}

/// `ElementType` of row.cuh, or `None` for what no epilogue reads or writes.
const fn element_type(dtype: DType) -> Option<i32> {
    match dtype {
        DType::F32 => Some(0),
        DType::F16 => Some(1),
        DType::I8 => Some(2),
        _ => None,
    }
}

/// Elements of one access of a row: as many as 16 bytes hold, eight at most.
fn access_width(dtype: DType) -> u32 {
    vector_width(dtype).min(COLUMNS_PER_THREAD)
}

/// `EpilogueParams` of epilogue.cuh.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Pod, Zeroable)]
pub struct EpilogueParams {
    pre: ActivationParams,
    post: ActivationParams,
    y_type: i32,
    residual_type: i32,
    inv_scale: f32,
    residual_scale: f32,
    y_pitch: i32,
    residual_pitch: i32,
    columns: i32,
    padded_columns: i32,
    vectors: i32,
}

impl EpilogueParams {
    /// For an image: pixels are rows, channels are columns, padding lanes are written.
    pub fn image(site: &EpilogueSite, y: &Image) -> Self {
        Self::new(site, y.c, y.padded_channels(), y.pitch, y.dtype, y.scale)
    }

    /// For any matrix of `columns` numbers a row, of which a row in memory takes `padded_columns` to write. `scale` is
    /// that of y's integers, 1 for reals.
    ///
    /// Columns are accessed eight at a time where the pitches and the padding are whole vectors, of 8 bytes in a matrix
    /// of i8 and of 16 in others.
    pub fn new(
        site: &EpilogueSite,
        columns: u32,
        padded_columns: u32,
        y_pitch: u32,
        y_dtype: DType,
        scale: Scale,
    ) -> Self {
        let residual = site.residual.as_ref();
        let whole = |value: u32, dtype: DType| value.is_multiple_of(access_width(dtype));
        let vectors = whole(y_pitch, y_dtype)
            && whole(padded_columns, y_dtype)
            && residual
                .is_none_or(|r| whole(r.pitch, r.dtype) && r.pitch >= columns.next_multiple_of(access_width(r.dtype)));
        Self {
            pre: ActivationParams::new(site.steps.pre),
            post: ActivationParams::new(site.steps.post),
            y_type: element_type(y_dtype).unwrap_or(0),
            residual_type: residual.and_then(|r| element_type(r.dtype)).unwrap_or(0),
            inv_scale: scale.inverse(),
            residual_scale: residual.map_or(1.0, |r| r.scale.get()),
            y_pitch: y_pitch as i32,
            residual_pitch: residual.map_or(0, |r| r.pitch as i32),
            columns: columns as i32,
            padded_columns: padded_columns as i32,
            vectors: i32::from(vectors),
        }
    }

    /// The output's `ElementType`.
    pub(crate) fn y_type(&self) -> i32 {
        self.y_type
    }

    /// Whether nothing is done before the residual is added, if there is one, and little behind it. To numbers that are
    /// stored as `integers`, no more than saturation to i8 and a lower bound of 0 do to them rounded, since rounding keeps
    /// order; to reals, no upper bound.
    pub(crate) fn is_plain(&self, residual: bool, integers: bool) -> bool {
        let clips = |f: &ActivationParams| f.kind == 1;
        if residual && clips(&self.pre) || self.post.kind > 1 {
            return false;
        }
        let [low, high] =
            if clips(&self.post) { [self.post.a, self.post.b] } else { [f32::NEG_INFINITY, f32::INFINITY] };
        match integers {
            // Beyond 126.5, 127 is the nearest.
            true => (low == 0.0 || low == f32::NEG_INFINITY) && high * self.inv_scale > 126.5,
            false => high == f32::INFINITY,
        }
    }

    /// Columns written, padding included.
    pub fn padded_columns(&self) -> u32 {
        self.padded_columns as u32
    }

    /// The same, element by element: for tensors that do not start 16-byte aligned.
    pub fn without_vectors(self) -> Self {
        Self { vectors: 0, ..self }
    }

    /// Why no kernel's epilogue can do it, if so: types other than f32, f16 and i8, or integers without a scale.
    pub fn check(site: &EpilogueSite, y_dtype: DType, scale: Scale) -> Result<(), String> {
        let y = Some((y_dtype, scale));
        for (what, tensor) in [("output", y), ("residual", site.residual.map(|r| (r.dtype, r.scale)))] {
            let Some((dtype, scale)) = tensor else { continue };
            if element_type(dtype).is_none() {
                return Err(format!("needs an f32, f16 or i8 {what}, got {dtype}"));
            }
            if (dtype == DType::I8) != scale.is_quantized() {
                return Err(format!("needs a scale for an i8 {what} and none for others, got {dtype} with {scale:?}"));
            }
            check_scale(scale.get()).map_err(|error| format!("the scale of the {what} {error}"))?;
        }
        if site.steps.residual != site.residual.is_some() {
            return Err("the epilogue's steps and its residual's layout disagree".to_owned());
        }
        Ok(())
    }
}

/// Why sums of `terms` products cannot be formed in a precision: those of INT8 have 31 bits.
pub fn check_terms(precision: Precision, terms: u64) -> Result<(), String> {
    if precision == Precision::Int8 && terms > MAX_TERMS as u64 {
        return Err(format!("adds up to {MAX_TERMS} products in 32 bits, the site has {terms}"));
    }
    Ok(())
}

/// The four pointers of `EpilogueTensors`, in the order every kernel takes them: bias, scales, residual, y.
pub fn epilogue_args(site: &EpilogueSite, precision: Precision) -> [Arg; 4] {
    [
        Arg::optional(Role::Bias, site.steps.bias),
        Arg::optional(Role::Scales, precision == Precision::Int8),
        Arg::optional(Role::Residual, site.steps.residual),
        Arg::Pointer(Role::Output(0)),
    ]
}

/// Length the bias of `columns` channels must be padded to; 0 if the site has none.
pub fn bias_len(site: &EpilogueSite, columns: u32) -> usize {
    if site.steps.bias { columns.next_multiple_of(COLUMNS_PER_THREAD) as usize } else { 0 }
}

/// Length the scales of `columns` channels must be padded to; 0 if sums are not of integers.
pub fn scales_len(precision: Precision, columns: u32) -> usize {
    if precision == Precision::Int8 { columns.next_multiple_of(COLUMNS_PER_THREAD) as usize } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::site::Scale;

    #[test]
    fn vectors_only_where_rows_are_whole_vectors() {
        let site = EpilogueSite { steps: Default::default(), residual: None };
        let params = |site, columns, padded, pitch, dtype| {
            EpilogueParams::new(site, columns, padded, pitch, dtype, Scale::ONE).vectors
        };
        let vectors = |columns, padded, pitch, dtype| params(&site, columns, padded, pitch, dtype);
        assert_eq!(vectors(5, 8, 8, DType::F16), 1);
        assert_eq!(vectors(5, 8, 8, DType::F32), 1);
        assert_eq!(vectors(5, 8, 12, DType::F16), 0, "rows start at odd multiples of 8 bytes");
        assert_eq!(vectors(10, 10, 10, DType::F32), 0);
        assert_eq!(vectors(5, 16, 16, DType::I8), 1);
        assert_eq!(vectors(8, 8, 24, DType::I8), 1, "rows of whole halves, nothing to pad");
        assert_eq!(vectors(5, 5, 12, DType::I8), 0);
        let narrow = Image { n: 1, h: 1, w: 3, c: 5, pitch: 5, dtype: DType::F32, scale: Scale::ONE };
        let odd = EpilogueSite { steps: Default::default(), residual: Some(narrow) };
        assert_eq!(params(&odd, 5, 8, 8, DType::F32), 0, "the residual's rows are not aligned");
    }

    #[test]
    fn structs_have_the_layout_of_the_header() {
        assert_eq!(size_of::<ActivationParams>(), 12);
        assert_eq!(size_of::<EpilogueParams>(), 60);
    }

    #[test]
    fn what_cannot_be_stored_is_refused() {
        let site = EpilogueSite { steps: Default::default(), residual: None };
        let check = |dtype, scale| EpilogueParams::check(&site, dtype, Scale::new(scale));
        assert_eq!(check(DType::I8, 0.25), Ok(()));
        assert!(check(DType::I32, 1.0).is_err_and(|reason| reason.contains("i8 output")));
        assert!(check(DType::F16, 0.5).is_err_and(|reason| reason.contains("none for others")));
        assert!(EpilogueParams::check(&site, DType::I8, Scale::ONE).is_err(), "plain integers have no scale");
        assert_eq!(check(DType::I8, 0.0), Err("the scale of the output is zero".to_owned()));
    }
}
