use super::layout::{Layout, LayoutError};
use super::type_name;
use limpid_graph::ops::exact;
use limpid_graph::tensor::{DType, Shape, Tensor, TensorError};
use std::fmt;

/// An input or output of an engine as its caller sees it.
#[derive(Clone, Debug, PartialEq)]
pub struct PortFormat {
    /// The ONNX name.
    pub name: String,
    /// What its elements are stored as.
    pub dtype: DType,
    /// Their order.
    pub layout: Layout,
    /// Logical extents, symbols where they are open.
    pub shape: Shape,
    /// Of quantized integers: the real that 1 stands for.
    pub scale: Option<f32>,
}

/// Numbers that cannot be brought into a port's format.
#[derive(Debug, PartialEq, thiserror::Error)]
pub enum ValueError {
    /// Another number of channels than the port has, or no picture.
    #[error("`{name}`: {source}")]
    Layout {
        /// The port.
        name: String,
        /// What is wrong.
        source: LayoutError,
    },
    /// A type that is not turned into the port's without being asked.
    #[error("`{name}` takes {expected}, got {got}")]
    Type {
        /// The port.
        name: String,
        /// What it takes.
        expected: &'static str,
        /// What came.
        got: DType,
    },
    /// Bytes and extents disagree.
    #[error(transparent)]
    Tensor(#[from] TensorError),
}

impl PortFormat {
    /// Channels of a picture, where they are known.
    pub fn channels(&self) -> Option<usize> {
        self.shape.get(1).and_then(|dim| dim.as_usize())
    }

    /// The logical extents of a tensor that lies in memory with these.
    ///
    /// # Errors
    /// [`LayoutError::Extents`].
    pub fn extents(&self, in_memory: &[usize]) -> Result<Vec<usize>, LayoutError> {
        // Open channels are those that lie there: only `chw` and `hwc` are built with such.
        let channels = self.channels().or(in_memory.last().copied()).unwrap_or(1);
        self.layout.extents(in_memory, channels)
    }

    /// Numbers in logical order as the port takes them: stored in its type and laid out in its order.
    ///
    /// Reals become reals of any type, or integers by the port's scale. Integers must have the port's type.
    ///
    /// # Errors
    /// A [`ValueError`] that names the port.
    pub fn to_memory(&self, numbers: &Tensor) -> Result<Tensor, ValueError> {
        let stored = match (self.scale, numbers.dtype()) {
            (_, own) if own == self.dtype => numbers.clone(),
            (Some(scale), DType::F32 | DType::F16) if self.dtype == DType::I8 => {
                Tensor::new(numbers.shape(), exact::quantize_all(&numbers.to_f32(), scale))?
            }
            (_, DType::F32 | DType::F16) if self.dtype.is_float() => numbers.cast(self.dtype),
            (_, got) => {
                let (name, expected) = (self.name.clone(), type_name(self.dtype));
                return Err(ValueError::Type { name, expected, got });
            }
        };
        self.layout.to_memory(&stored).map_err(|source| ValueError::Layout { name: self.name.clone(), source })
    }

    /// What the port gives as it is stored, in logical order.
    ///
    /// # Errors
    /// A [`ValueError`] that names the port.
    pub fn to_logical(&self, in_memory: &Tensor) -> Result<Tensor, ValueError> {
        let logical = |extents: Vec<usize>| {
            let channels = extents.get(1).copied().unwrap_or(1);
            self.layout.to_logical(in_memory, channels)
        };
        let named = |source| ValueError::Layout { name: self.name.clone(), source };
        self.extents(in_memory.shape()).and_then(logical).map_err(named)
    }

    /// As [`PortFormat::to_logical`], with quantized integers as the reals they stand for.
    ///
    /// # Errors
    /// A [`ValueError`] that names the port.
    pub fn to_numbers(&self, in_memory: &Tensor) -> Result<Tensor, ValueError> {
        let logical = self.to_logical(in_memory)?;
        match (self.scale, logical.as_slice::<i8>()) {
            (Some(scale), Ok(integers)) => Ok(Tensor::new(logical.shape(), exact::dequantize(integers, scale))?),
            _ => Ok(logical),
        }
    }
}

/// `x f32(N,3,224,224)`, or with all there may be: `x i8(N,64,56,56) in hwc16, scale 1.25e-2`.
impl fmt::Display for PortFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}{}", self.name, self.dtype, self.shape)?;
        if self.layout != Layout::Chw {
            write!(f, " in {}", self.layout)?;
        }
        self.scale.map_or(Ok(()), |scale| write!(f, ", scale {scale:e}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn port(dtype: DType, layout: Layout, scale: Option<f32>) -> PortFormat {
        PortFormat { name: "x".to_owned(), dtype, layout, shape: Shape::of(&[1, 3, 1, 2]), scale }
    }

    #[test]
    fn reals_are_quantized_and_come_back() {
        let port = port(DType::I8, Layout::Chw4, Some(0.5));
        let reals = Tensor::new(&[1, 3, 1, 2], vec![0.25f32, 0.75, -1.0, 1000.0, 3.0, f32::NAN]).expect("a tensor");
        let stored = port.to_memory(&reals).expect("it fits");
        assert_eq!(stored.shape(), [1, 1, 1, 2, 4]);
        assert_eq!(stored.as_slice::<i8>().expect("i8"), [0, -2, 6, 0, 2, 127, 0, 0]);
        assert_eq!(port.to_numbers(&stored).expect("it fits").to_f32(), [0.0, 1.0, -1.0, 63.5, 3.0, 0.0]);
        assert_eq!(port.to_logical(&stored).expect("it fits").dtype(), DType::I8);
        assert_eq!(port.to_string(), "x i8(1,3,1,2) in chw4, scale 5e-1");
    }

    #[test]
    fn types_are_not_guessed() {
        let pixels = Tensor::new(&[1, 3, 1, 2], vec![1u8, 2, 3, 4, 5, 255]).expect("a tensor");
        let error = port(DType::F16, Layout::Hwc, None).to_memory(&pixels).expect_err("u8 is no real");
        assert_eq!(error.to_string(), "`x` takes fp16, got u8");
        assert_eq!(
            port(DType::U8, Layout::Hwc, None).to_memory(&pixels).expect("it fits").bytes(),
            [1, 3, 5, 2, 4, 255]
        );
    }
}
