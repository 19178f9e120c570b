//! The host's side of `include/epilogue.cuh`: its parameter structs, field by field.

use crate::launch::{Arg, Role};
use crate::site::{EpilogueSite, Image, vector_width};
use bytemuck::{Pod, Zeroable};
use limpid_graph::ops::Activation;
use limpid_graph::tensor::DType;

/// Columns one thread finishes at a time; a bias is zero-padded to a multiple of it.
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

/// `EpilogueParams` of epilogue.cuh.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Pod, Zeroable)]
pub struct EpilogueParams {
    pre: ActivationParams,
    post: ActivationParams,
    y_is_f16: i32,
    residual_is_f16: i32,
    y_pitch: i32,
    residual_pitch: i32,
    columns: i32,
    padded_columns: i32,
    vectors: i32,
}

impl EpilogueParams {
    /// For an image: pixels are rows, channels are columns, padding lanes are written.
    pub fn image(site: &EpilogueSite, y: &Image) -> Self {
        Self::new(site, y.c, y.padded_channels(), y.pitch, y.dtype)
    }

    /// For any matrix of `columns` numbers a row, of which a row in memory takes `padded_columns` to write.
    ///
    /// 16-byte accesses are used where the pitches and the padding are whole vectors.
    pub fn new(site: &EpilogueSite, columns: u32, padded_columns: u32, y_pitch: u32, y_dtype: DType) -> Self {
        let residual = site.residual.as_ref();
        let whole = |value: u32, dtype: DType| value.is_multiple_of(vector_width(dtype));
        let vectors = whole(y_pitch, y_dtype)
            && whole(padded_columns, y_dtype)
            && residual
                .is_none_or(|r| whole(r.pitch, r.dtype) && r.pitch >= columns.next_multiple_of(vector_width(r.dtype)));
        Self {
            pre: ActivationParams::new(site.steps.pre),
            post: ActivationParams::new(site.steps.post),
            y_is_f16: i32::from(y_dtype == DType::F16),
            residual_is_f16: i32::from(residual.is_some_and(|r| r.dtype == DType::F16)),
            y_pitch: y_pitch as i32,
            residual_pitch: residual.map_or(0, |r| r.pitch as i32),
            columns: columns as i32,
            padded_columns: padded_columns as i32,
            vectors: i32::from(vectors),
        }
    }

    /// The same, element by element: for tensors that do not start 16-byte aligned.
    pub fn without_vectors(self) -> Self {
        Self { vectors: 0, ..self }
    }

    /// Why no kernel's epilogue can do it, if so: types other than f16 and f32.
    pub fn check(site: &EpilogueSite, y_dtype: DType) -> Result<(), String> {
        for (what, dtype) in [("output", Some(y_dtype)), ("residual", site.residual.as_ref().map(|r| r.dtype))] {
            if dtype.is_some_and(|dtype| !dtype.is_float()) {
                return Err(format!("needs an f16 or f32 {what}, got {}", dtype.map_or("none", |d| d.name())));
            }
        }
        if site.steps.residual != site.residual.is_some() {
            return Err("the epilogue's steps and its residual's layout disagree".to_owned());
        }
        Ok(())
    }
}

/// The three pointers of `EpilogueTensors`, in the order every kernel takes them: bias, residual, y.
pub fn epilogue_args(site: &EpilogueSite) -> [Arg; 3] {
    [
        Arg::optional(Role::Bias, site.steps.bias),
        Arg::optional(Role::Residual, site.steps.residual),
        Arg::Pointer(Role::Output(0)),
    ]
}

/// Length the bias of `columns` channels must be padded to; 0 if the site has none.
pub fn bias_len(site: &EpilogueSite, columns: u32) -> usize {
    if site.steps.bias { columns.next_multiple_of(COLUMNS_PER_THREAD) as usize } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::site::Scale;

    #[test]
    fn vectors_only_where_rows_are_whole_vectors() {
        let site = EpilogueSite { steps: Default::default(), residual: None };
        let vectors = |columns, padded, pitch, dtype| EpilogueParams::new(&site, columns, padded, pitch, dtype).vectors;
        assert_eq!(vectors(5, 8, 8, DType::F16), 1);
        assert_eq!(vectors(5, 8, 8, DType::F32), 1);
        assert_eq!(vectors(5, 8, 12, DType::F16), 0, "rows start at odd multiples of 8 bytes");
        assert_eq!(vectors(10, 10, 10, DType::F32), 0);
        let narrow = Image { n: 1, h: 1, w: 3, c: 5, pitch: 5, dtype: DType::F32, scale: Scale::ONE };
        let odd = EpilogueSite { steps: Default::default(), residual: Some(narrow) };
        assert_eq!(EpilogueParams::new(&odd, 5, 8, 8, DType::F32).vectors, 0, "the residual's rows are not aligned");
    }

    #[test]
    fn structs_have_the_layout_of_the_header() {
        assert_eq!(size_of::<ActivationParams>(), 12);
        assert_eq!(size_of::<EpilogueParams>(), 52);
    }
}
