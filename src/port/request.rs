use super::layout::{Layout, UnknownLayout};
use super::type_name;
use limpid_graph::tensor::DType;
use limpid_kernels::site::vector_width;
use std::fmt;
use std::str::FromStr;

/// The format asked for a port: an element type and layouts to choose from. `fp16:chw+hwc8`, `int8@0.0125:hwc16`.
#[derive(Clone, Debug, PartialEq)]
pub struct FormatRequest {
    /// What its elements are stored as.
    pub dtype: DType,
    /// Layouts that will do; at least one.
    pub layouts: Vec<Layout>,
    /// Of `int8`: what its integers are multiplied by. `None`: the network's own scale of the tensor, from calibration
    /// or from the model's Q/DQ.
    pub scale: Option<f32>,
}

/// The text is no format.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum UnknownFormat {
    /// No colon in it.
    #[error("`{0}` is no format; write TYPE:LAYOUT, such as fp16:chw or int8:hwc16+chw32")]
    Form(String),
    /// Not a type that tensors have here.
    #[error("`{0}` is no element type; use fp32, fp16, int8, uint8, int32, int64 or bool")]
    Type(String),
    /// A scale that is no positive normal number, or of anything but int8.
    #[error("`{0}`: a scale is a positive number, for int8 only, as in int8@0.0125:chw")]
    Scale(String),
    /// Not a layout.
    #[error(transparent)]
    Layout(#[from] UnknownLayout),
}

impl FormatRequest {
    /// A type in one layout, int8 with the network's own scale.
    pub fn new(dtype: DType, layout: Layout) -> Self {
        Self { dtype, layouts: vec![layout], scale: None }
    }

    /// The layout taken for a port of so many channels: the first one that kernels work in themselves, so that there
    /// is nothing to convert; the first of all if there is none.
    pub fn layout(&self, channels: Option<usize>) -> Layout {
        let vector = vector_width(self.dtype) as usize;
        let of_kernels = |layout: &&Layout| {
            let blocks = channels.and_then(|channels| layout.blocks(channels));
            blocks.is_some_and(|blocks| blocks.count == 1 && blocks.pitch == blocks.width.next_multiple_of(vector))
        };
        self.layouts.iter().find(of_kernels).or(self.layouts.first()).copied().unwrap_or_default()
    }
}

impl fmt::Display for FormatRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(type_name(self.dtype))?;
        if let Some(scale) = self.scale {
            write!(f, "@{scale}")?;
        }
        let layouts: Vec<&str> = self.layouts.iter().map(|layout| layout.name()).collect();
        write!(f, ":{}", layouts.join("+"))
    }
}

impl FromStr for FormatRequest {
    type Err = UnknownFormat;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (kind, layouts) = text.split_once(':').ok_or_else(|| UnknownFormat::Form(text.to_owned()))?;
        let (name, scale) = match kind.split_once('@') {
            Some((name, scale)) => (name, Some(scale)),
            None => (kind, None),
        };
        let types = [DType::F32, DType::F16, DType::I8, DType::U8, DType::I32, DType::I64, DType::Bool];
        let dtype = types.into_iter().find(|&dtype| type_name(dtype) == name);
        let dtype = dtype.ok_or_else(|| UnknownFormat::Type(name.to_owned()))?;
        let number = |text: &str| text.parse().ok().filter(|s: &f32| s.is_normal() && *s > 0.0 && dtype == DType::I8);
        let scale =
            scale.map(|scale| number(scale).ok_or_else(|| UnknownFormat::Scale(text.to_owned()))).transpose()?;
        let layouts = layouts.split('+').map(str::parse).collect::<Result<_, _>>()?;
        Ok(Self { dtype, layouts, scale })
    }
}

/// Reads a list of formats as trtexec's `--inputIOFormats` has them, one for each port or one for all:
/// `fp16:hwc8,fp32:chw`.
///
/// # Errors
/// The first that is none.
pub fn requests(text: &str) -> Result<Vec<FormatRequest>, UnknownFormat> {
    text.split(',').map(|part| part.trim().parse()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_are_read_as_trtexec_writes_them() {
        let list = requests("fp16:chw+hwc8,int8:chw32, uint8:hwc").expect("they are formats");
        assert_eq!(list[0], FormatRequest { dtype: DType::F16, layouts: vec![Layout::Chw, Layout::Hwc8], scale: None });
        assert_eq!(list[1], FormatRequest::new(DType::I8, Layout::Chw32));
        assert_eq!(
            list.iter().map(ToString::to_string).collect::<Vec<_>>(),
            ["fp16:chw+hwc8", "int8:chw32", "uint8:hwc"]
        );
        let scaled: FormatRequest = "int8@0.0125:hwc16".parse().expect("a format with a scale");
        assert_eq!((scaled.scale, scaled.to_string().as_str()), (Some(0.0125), "int8@0.0125:hwc16"));
    }

    #[test]
    fn what_is_no_format_is_named() {
        let error = |text: &str| requests(text).expect_err("it is no format").to_string();
        assert!(error("fp16").contains("TYPE:LAYOUT"));
        assert!(error("bf16:chw").contains("`bf16` is no element type"));
        assert!(error("fp16:dhwc8").contains("`dhwc8` is no layout"));
        for scale in ["int8@0:chw", "int8@-1:chw", "int8@x:chw", "fp16@0.5:chw"] {
            assert!(error(scale).contains("a scale is a positive number"), "{scale}");
        }
    }

    #[test]
    fn of_several_layouts_the_kernels_own_is_taken() {
        let choice = |text: &str, channels| text.parse::<FormatRequest>().expect("a format").layout(channels);
        assert_eq!(choice("fp16:chw+hwc8", Some(3)), Layout::Hwc8);
        assert_eq!(choice("int8:chw+hwc8+hwc16", Some(3)), Layout::Hwc16);
        assert_eq!(choice("fp32:chw+hwc", Some(64)), Layout::Hwc);
        assert_eq!(choice("fp32:chw+hwc", Some(3)), Layout::Chw);
        assert_eq!(choice("fp16:chw4+hwc", None), Layout::Chw4);
    }
}
