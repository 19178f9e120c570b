use super::DType;
use bytemuck::Pod;
use half::f16;
use std::fmt;
use std::sync::Arc;

/// A Rust type that is the element of a [`Tensor`].
pub trait Element: Pod + Send + Sync + fmt::Debug + PartialEq {
    /// The element type it stands for. `Bool` is stored as `u8` and has no type of its own.
    const DTYPE: DType;
}

macro_rules! element {
    ($($rust:ty => $dtype:ident),*) => { $(impl Element for $rust { const DTYPE: DType = DType::$dtype; })* };
}
element!(f32 => F32, f16 => F16, i8 => I8, u8 => U8, i32 => I32, i64 => I64);

/// What can be wrong with a tensor's use.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum TensorError {
    /// The data do not fill the shape.
    #[error("a tensor of shape {shape:?} and type {dtype} takes {expected} bytes, but {got} were given")]
    Length {
        /// The shape asked for.
        shape: Vec<usize>,
        /// The element type.
        dtype: DType,
        /// Bytes the shape takes.
        expected: usize,
        /// Bytes that came.
        got: usize,
    },
    /// Read as another type than it has.
    #[error("the tensor holds {actual}, it was read as {asked}")]
    Type {
        /// The type it has.
        actual: DType,
        /// The type asked for.
        asked: DType,
    },
    /// The bytes do not start at a multiple of the element's alignment.
    #[error("the tensor's bytes are not aligned for {0}; an engine's weights start at multiples of 64 bytes")]
    Alignment(DType),
}

trait Bytes: Send + Sync {
    fn bytes(&self) -> &[u8];
}

struct Owned<T: Element>(Vec<T>);

impl<T: Element> Bytes for Owned<T> {
    fn bytes(&self) -> &[u8] {
        bytemuck::cast_slice(&self.0)
    }
}

struct Shared<B>(B);

impl<B: AsRef<[u8]> + Send + Sync> Bytes for Shared<B> {
    fn bytes(&self) -> &[u8] {
        self.0.as_ref()
    }
}

/// A dense row-major tensor in host memory, cheap to clone and never changed in place.
///
/// The bytes may be owned or lie in a memory-mapped engine file.
#[derive(Clone)]
pub struct Tensor {
    dtype: DType,
    shape: Vec<usize>,
    owner: Arc<dyn Bytes>,
    start: usize,
}

impl Tensor {
    /// A tensor of `data` in row-major order.
    pub fn new<T: Element>(shape: &[usize], data: Vec<T>) -> Result<Self, TensorError> {
        let got = std::mem::size_of_val(data.as_slice());
        Self::checked(T::DTYPE, shape, got)?;
        Ok(Self { dtype: T::DTYPE, shape: shape.to_vec(), owner: Arc::new(Owned(data)), start: 0 })
    }

    /// Booleans, one byte each.
    pub fn from_bools(shape: &[usize], data: Vec<bool>) -> Result<Self, TensorError> {
        let bytes: Vec<u8> = data.into_iter().map(u8::from).collect();
        Ok(Self { dtype: DType::Bool, ..Self::new(shape, bytes)? })
    }

    /// A view into shared bytes (a memory map): `start` in bytes, aligned for `dtype`.
    pub fn shared<B>(dtype: DType, shape: &[usize], bytes: B, start: usize) -> Result<Self, TensorError>
    where
        B: AsRef<[u8]> + Send + Sync + 'static,
    {
        let size = shape.iter().product::<usize>() * dtype.size();
        let got = bytes.as_ref().len().saturating_sub(start).min(size);
        Self::checked(dtype, shape, got)?;
        if !(bytes.as_ref().as_ptr() as usize + start).is_multiple_of(dtype.size()) {
            return Err(TensorError::Alignment(dtype));
        }
        Ok(Self { dtype, shape: shape.to_vec(), owner: Arc::new(Shared(bytes)), start })
    }

    /// A tensor from untyped bytes, copied so that they are aligned.
    pub fn from_bytes(dtype: DType, shape: &[usize], bytes: &[u8]) -> Result<Self, TensorError> {
        Self::checked(dtype, shape, bytes.len())?;
        Ok(match dtype {
            DType::F32 => Self::new::<f32>(shape, bytemuck::allocation::pod_collect_to_vec(bytes))?,
            DType::F16 => Self::new::<f16>(shape, bytemuck::allocation::pod_collect_to_vec(bytes))?,
            DType::I8 => Self::new::<i8>(shape, bytemuck::allocation::pod_collect_to_vec(bytes))?,
            DType::U8 => Self::new::<u8>(shape, bytes.to_vec())?,
            DType::I32 => Self::new::<i32>(shape, bytemuck::allocation::pod_collect_to_vec(bytes))?,
            DType::I64 => Self::new::<i64>(shape, bytemuck::allocation::pod_collect_to_vec(bytes))?,
            DType::Bool => Self { dtype, ..Self::new::<u8>(shape, bytes.to_vec())? },
        })
    }

    /// A tensor of zeros.
    pub fn zeros(dtype: DType, shape: &[usize]) -> Self {
        let bytes = vec![0u64; (shape.iter().product::<usize>() * dtype.size()).div_ceil(8)];
        Self { dtype, shape: shape.to_vec(), owner: Arc::new(Shared(ZeroBytes(bytes))), start: 0 }
    }

    /// A tensor of rank 0.
    pub fn scalar<T: Element>(value: T) -> Self {
        Self { dtype: T::DTYPE, shape: Vec::new(), owner: Arc::new(Owned(vec![value])), start: 0 }
    }

    /// A tensor of rank 1.
    pub fn vector<T: Element>(values: Vec<T>) -> Self {
        Self { dtype: T::DTYPE, shape: vec![values.len()], owner: Arc::new(Owned(values)), start: 0 }
    }

    /// The element type.
    pub fn dtype(&self) -> DType {
        self.dtype
    }

    /// The extents, outermost first.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// Number of dims.
    pub fn rank(&self) -> usize {
        self.shape.len()
    }

    /// Number of elements.
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// True if an extent is 0.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The bytes, row-major.
    pub fn bytes(&self) -> &[u8] {
        &self.owner.bytes()[self.start..self.start + self.len() * self.dtype.size()]
    }

    /// The elements, row-major; an error if the type is another.
    pub fn as_slice<T: Element>(&self) -> Result<&[T], TensorError> {
        let same = self.dtype == T::DTYPE || (self.dtype == DType::Bool && T::DTYPE == DType::U8);
        if !same {
            return Err(TensorError::Type { actual: self.dtype, asked: T::DTYPE });
        }
        bytemuck::try_cast_slice(self.bytes()).map_err(|_| TensorError::Alignment(self.dtype))
    }

    /// The same elements under another shape of the same volume.
    pub fn reshape(&self, shape: &[usize]) -> Result<Self, TensorError> {
        Self::checked(self.dtype, shape, self.bytes().len())?;
        Ok(Self { shape: shape.to_vec(), ..self.clone() })
    }

    /// Converts each element as ONNX's `Cast` does: reals to integers toward zero, to f16 to the nearest even. Where ONNX
    /// leaves it open, a real that the integer cannot hold becomes its nearest end, NaN 0, and an integer keeps its low
    /// bits.
    pub fn cast(&self, dtype: DType) -> Self {
        if dtype == self.dtype {
            return self.clone();
        }
        match dtype {
            DType::I64 | DType::I32 | DType::I8 | DType::U8 if !self.dtype.is_float() => {
                let wide = self.to_i64();
                Self::built(dtype, &self.shape, |i| Number::Int(wide[i]))
            }
            _ => {
                // i64 passes through f64, not f32: indices beyond 2^24 must survive.
                let wide = self.to_f64();
                Self::built(dtype, &self.shape, |i| Number::Real(wide[i]))
            }
        }
    }

    /// All elements as f32.
    pub fn to_f32(&self) -> Vec<f32> {
        match self.dtype {
            DType::F32 => self.typed::<f32>().to_vec(),
            DType::F16 => self.typed::<f16>().iter().map(|v| v.to_f32()).collect(),
            DType::I8 => self.typed::<i8>().iter().map(|&v| f32::from(v)).collect(),
            DType::U8 | DType::Bool => self.bytes().iter().map(|&v| f32::from(v)).collect(),
            DType::I32 => self.typed::<i32>().iter().map(|&v| v as f32).collect(),
            DType::I64 => self.typed::<i64>().iter().map(|&v| v as f32).collect(),
        }
    }

    /// All elements as i64; reals are cut toward zero.
    pub fn to_i64(&self) -> Vec<i64> {
        match self.dtype {
            DType::I64 => self.typed::<i64>().to_vec(),
            DType::I32 => self.typed::<i32>().iter().map(|&v| i64::from(v)).collect(),
            DType::I8 => self.typed::<i8>().iter().map(|&v| i64::from(v)).collect(),
            DType::U8 | DType::Bool => self.bytes().iter().map(|&v| i64::from(v)).collect(),
            DType::F32 | DType::F16 => self.to_f32().into_iter().map(|v| v as i64).collect(),
        }
    }

    fn to_f64(&self) -> Vec<f64> {
        match self.dtype {
            DType::I64 => self.typed::<i64>().iter().map(|&v| v as f64).collect(),
            DType::I32 => self.typed::<i32>().iter().map(|&v| f64::from(v)).collect(),
            _ => self.to_f32().into_iter().map(f64::from).collect(),
        }
    }

    fn built(dtype: DType, shape: &[usize], at: impl Fn(usize) -> Number) -> Self {
        let len: usize = shape.iter().product();
        let owner: Arc<dyn Bytes> = match dtype {
            DType::F32 => Arc::new(Owned((0..len).map(|i| at(i).real() as f32).collect::<Vec<f32>>())),
            DType::F16 => Arc::new(Owned((0..len).map(|i| f16::from_f32(at(i).real() as f32)).collect::<Vec<_>>())),
            DType::I8 => Arc::new(Owned((0..len).map(|i| at(i).map(|v| v as i8, |v| v as i8)).collect::<Vec<i8>>())),
            DType::U8 => Arc::new(Owned((0..len).map(|i| at(i).map(|v| v as u8, |v| v as u8)).collect::<Vec<u8>>())),
            DType::I32 => {
                Arc::new(Owned((0..len).map(|i| at(i).map(|v| v as i32, |v| v as i32)).collect::<Vec<i32>>()))
            }
            DType::I64 => Arc::new(Owned((0..len).map(|i| at(i).map(|v| v, |v| v as i64)).collect::<Vec<i64>>())),
            DType::Bool => Arc::new(Owned((0..len).map(|i| u8::from(at(i).real() != 0.0)).collect::<Vec<u8>>())),
        };
        Self { dtype, shape: shape.to_vec(), owner, start: 0 }
    }

    fn typed<T: Element>(&self) -> &[T] {
        // Construction checked type and alignment, so the cast cannot fail.
        bytemuck::cast_slice(self.bytes())
    }

    fn checked(dtype: DType, shape: &[usize], got: usize) -> Result<(), TensorError> {
        let expected = shape.iter().try_fold(dtype.size(), |size, &d| size.checked_mul(d));
        if expected == Some(got) {
            return Ok(());
        }
        Err(TensorError::Length { shape: shape.to_vec(), dtype, expected: expected.unwrap_or(usize::MAX), got })
    }
}

enum Number {
    Int(i64),
    Real(f64),
}

impl Number {
    fn map<T>(self, int: impl Fn(i64) -> T, real: impl Fn(f64) -> T) -> T {
        match self {
            Number::Int(v) => int(v),
            Number::Real(v) => real(v),
        }
    }
    fn real(self) -> f64 {
        self.map(|v| v as f64, |v| v)
    }
}

struct ZeroBytes(Vec<u64>);

impl AsRef<[u8]> for ZeroBytes {
    fn as_ref(&self) -> &[u8] {
        bytemuck::cast_slice(&self.0)
    }
}

impl fmt::Debug for Tensor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tensor({}{:?})", self.dtype, self.shape)
    }
}

impl PartialEq for Tensor {
    /// Bit equality: NaN equals itself, +0 and -0 differ.
    fn eq(&self, other: &Self) -> bool {
        self.dtype == other.dtype && self.shape == other.shape && self.bytes() == other.bytes()
    }
}
