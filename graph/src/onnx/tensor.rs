use super::ImportError;
use crate::tensor::{DType, Element, Tensor};
use half::bf16;
use std::path::Path;
use tract_onnx::data_resolver::MmapDataResolver;
use tract_onnx::pb::TensorProto;
use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::prelude::{DatumType, Tensor as TractTensor};

/// Decodes a tensor, external data included (relative to the model's `directory`).
///
/// f64 and bf16 become f32, integers of other widths than limpid's become i64.
pub(super) fn decode(proto: &TensorProto, name: &str, directory: Option<&Path>) -> Result<Tensor, ImportError> {
    let fail = |reason: String| ImportError::Tensor { name: name.to_owned(), reason };
    let kind =
        DataType::try_from(proto.data_type).map_err(|_| fail(format!("unknown element type {}", proto.data_type)))?;
    check_size(proto, kind).map_err(fail)?;
    if kind == DataType::Bfloat16 && !proto.raw_data.is_empty() {
        let bits: Vec<u16> = bytemuck::allocation::pod_collect_to_vec(&proto.raw_data);
        let values: Vec<f32> = bits.into_iter().map(|b| bf16::from_bits(b).to_f32()).collect();
        return Tensor::new(&extents(proto), values).map_err(|e| fail(e.to_string()));
    }
    let path = directory.map(|d| d.to_string_lossy().into_owned());
    let tensor = tract_onnx::tensor::load_tensor(&MmapDataResolver, proto, path.as_deref())
        .map_err(|e| fail(format!("{e:#}")))?;
    convert(&tensor).map_err(fail)
}

/// limpid's type for an ONNX element type of a model input; `None` for those it cannot take.
pub(super) fn input_dtype(kind: i32) -> Option<DType> {
    Some(match DataType::try_from(kind).ok()? {
        DataType::Float => DType::F32,
        DataType::Float16 => DType::F16,
        DataType::Int8 => DType::I8,
        DataType::Uint8 => DType::U8,
        DataType::Int32 => DType::I32,
        DataType::Int64 => DType::I64,
        DataType::Bool => DType::Bool,
        _ => return None,
    })
}

fn extents(proto: &TensorProto) -> Vec<usize> {
    proto.dims.iter().map(|&d| usize::try_from(d).unwrap_or(0)).collect()
}

/// The decoder trusts sizes; damaged files do not deserve that.
fn check_size(proto: &TensorProto, kind: DataType) -> Result<(), String> {
    if let Some(bad) = proto.dims.iter().find(|d| **d < 0) {
        return Err(format!("has the extent {bad} in its shape {:?}", proto.dims));
    }
    let size = match kind {
        DataType::Bool | DataType::Int8 | DataType::Uint8 => 1,
        DataType::Float16 | DataType::Bfloat16 | DataType::Int16 | DataType::Uint16 => 2,
        DataType::Float | DataType::Int32 | DataType::Uint32 => 4,
        DataType::Double | DataType::Int64 | DataType::Uint64 => 8,
        other => return Err(format!("element type {} is not supported", other.as_str_name())),
    };
    let expected = extents(proto).iter().try_fold(size, |bytes: usize, &d| bytes.checked_mul(d));
    let got = proto.raw_data.len();
    match expected {
        None => Err(format!("the shape {:?} is larger than memory", proto.dims)),
        Some(expected) if got > 0 && got != expected => {
            Err(format!("the shape {:?} takes {expected} bytes, the file holds {got}", proto.dims))
        }
        Some(_) => Ok(()),
    }
}

fn convert(tensor: &TractTensor) -> Result<Tensor, String> {
    fn as_is<T: Element + tract_onnx::prelude::Datum>(tensor: &TractTensor) -> Result<Tensor, String> {
        let values = elements::<T>(tensor)?;
        Tensor::new(tensor.shape(), values).map_err(|e| e.to_string())
    }
    fn wide<T: tract_onnx::prelude::Datum + Copy>(tensor: &TractTensor, to: fn(T) -> i64) -> Result<Tensor, String> {
        let values: Vec<i64> = elements::<T>(tensor)?.into_iter().map(to).collect();
        Tensor::new(tensor.shape(), values).map_err(|e| e.to_string())
    }
    match tensor.datum_type() {
        DatumType::F32 => as_is::<f32>(tensor),
        DatumType::F16 => as_is::<half::f16>(tensor),
        DatumType::I8 => as_is::<i8>(tensor),
        DatumType::U8 => as_is::<u8>(tensor),
        DatumType::I32 => as_is::<i32>(tensor),
        DatumType::I64 => as_is::<i64>(tensor),
        DatumType::F64 => {
            let values: Vec<f32> = elements::<f64>(tensor)?.into_iter().map(|v| v as f32).collect();
            Tensor::new(tensor.shape(), values).map_err(|e| e.to_string())
        }
        DatumType::I16 => wide::<i16>(tensor, i64::from),
        DatumType::U16 => wide::<u16>(tensor, i64::from),
        DatumType::U32 => wide::<u32>(tensor, i64::from),
        DatumType::U64 => wide::<u64>(tensor, |v| i64::try_from(v).unwrap_or(i64::MAX)),
        DatumType::Bool => Tensor::from_bools(tensor.shape(), elements::<bool>(tensor)?).map_err(|e| e.to_string()),
        other => Err(format!("element type {other:?} is not supported")),
    }
}

fn elements<T: tract_onnx::prelude::Datum + Clone>(tensor: &TractTensor) -> Result<Vec<T>, String> {
    let view = tensor.to_plain_array_view::<T>().map_err(|e| format!("{e:#}"))?;
    Ok(view.iter().cloned().collect())
}
