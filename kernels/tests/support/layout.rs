//! Where the elements of a tensor lie in a buffer, and numbers to and from bytes.

use half::f16;
use limpid_graph::tensor::DType;
use limpid_kernels::emulator::Buffer;
use limpid_kernels::site::{Image, Scale, View};

/// A view that starts `offset` elements into its buffer.
#[derive(Clone, Debug)]
pub struct Layout {
    pub view: View,
    pub offset: i64,
}

impl Layout {
    pub fn new(view: &View) -> Self {
        Self { view: view.clone(), offset: 0 }
    }

    /// (n, h, w, c), its padding lanes counted as the view's zero lanes.
    pub fn image(image: &Image) -> Self {
        let pitch = i64::from(image.pitch);
        let (h, w) = (i64::from(image.h), i64::from(image.w));
        let view = View {
            dims: vec![image.n, image.h, image.w, image.c],
            strides: vec![h * w * pitch, w * pitch, pitch, 1],
            dtype: image.dtype,
            zero_lanes: image.padded_channels() - image.c,
            scale: Scale::ONE,
        };
        Self { view, offset: 0 }
    }

    /// Element offsets in row-major order of the logical tensor; an offset comes more than once where the view is
    /// broadcast.
    pub fn offsets(&self) -> Vec<usize> {
        let mut offsets = vec![self.offset];
        for (&extent, &stride) in self.view.dims.iter().zip(&self.view.strides) {
            let step = |&base: &i64| (0..i64::from(extent)).map(move |i| base + i * stride);
            offsets = offsets.iter().flat_map(step).collect();
        }
        offsets.into_iter().map(|at| usize::try_from(at).expect("a site's views lie inside their buffers")).collect()
    }

    /// Offsets of the lanes that hold zeros, behind the contiguous dim.
    pub fn zero_lanes(&self) -> Vec<usize> {
        let View { dims, strides, zero_lanes, .. } = &self.view;
        let Some(rows) = self.view.contiguous_dim().or(dims.len().checked_sub(1)) else { return Vec::new() };
        let (mut line_dims, mut line_strides) = (dims.clone(), strides.clone());
        let first = self.offset + i64::from(line_dims.remove(rows));
        line_strides.remove(rows);
        let lines =
            Layout { view: View { dims: line_dims, strides: line_strides, ..self.view.clone() }, offset: first };
        let lanes = *zero_lanes as usize;
        lines.offsets().into_iter().flat_map(|at| at..at + lanes).collect()
    }

    /// Bytes up to the end of the last element or zero lane. A kernel may touch nothing behind them.
    pub fn bytes(&self) -> usize {
        let end = self.offsets().into_iter().chain(self.zero_lanes()).max().map_or(0, |last| last + 1);
        end * self.view.dtype.size()
    }

    /// A buffer that holds `values` in row-major order, zeros in the zero lanes, and nothing anywhere else.
    pub fn input(&self, values: &[f64]) -> Buffer {
        let mut buffer = Buffer::output(self.bytes());
        let zeros = self.zero_lanes().into_iter().map(|at| (at, 0.0));
        for (at, value) in self.offsets().into_iter().zip(values.iter().copied()).chain(zeros) {
            let range = self.range(at);
            buffer.bytes[range.clone()].copy_from_slice(&encode(self.view.dtype, value));
            buffer.written[range].fill(1);
        }
        buffer.read_only = true;
        buffer
    }

    /// The logical values, row-major.
    pub fn values(&self, buffer: &Buffer) -> Vec<f64> {
        self.offsets().into_iter().map(|at| decode(self.view.dtype, &buffer.bytes[self.range(at)])).collect()
    }

    /// The bytes of the element at this offset.
    pub fn range(&self, at: usize) -> std::ops::Range<usize> {
        let size = self.view.dtype.size();
        at * size..(at + 1) * size
    }
}

/// A number as its type is stored; floats to nearest even. The number has to be in range.
pub fn encode(dtype: DType, value: f64) -> Vec<u8> {
    match dtype {
        DType::F32 => (value as f32).to_le_bytes().to_vec(),
        DType::F16 => f16::from_f64(value).to_le_bytes().to_vec(),
        DType::I8 => (value as i8).to_le_bytes().to_vec(),
        DType::U8 | DType::Bool => (value as u8).to_le_bytes().to_vec(),
        DType::I32 => (value as i32).to_le_bytes().to_vec(),
        DType::I64 => (value as i64).to_le_bytes().to_vec(),
    }
}

/// The number that these bytes are.
pub fn decode(dtype: DType, bytes: &[u8]) -> f64 {
    match dtype {
        DType::F32 => f64::from(bytemuck::pod_read_unaligned::<f32>(bytes)),
        DType::F16 => bytemuck::pod_read_unaligned::<f16>(bytes).to_f64(),
        DType::I8 => f64::from(bytemuck::pod_read_unaligned::<i8>(bytes)),
        DType::U8 | DType::Bool => f64::from(bytes[0]),
        DType::I32 => f64::from(bytemuck::pod_read_unaligned::<i32>(bytes)),
        DType::I64 => bytemuck::pod_read_unaligned::<i64>(bytes) as f64,
    }
}
