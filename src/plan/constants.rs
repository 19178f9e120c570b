use super::types::{ConstantForm, ConstantSlot};
use limpid_graph::ir::Graph;
use limpid_kernels::weights::PackError;

/// A constant that cannot be laid out as its plan says: plan and graph do not belong together.
#[derive(Debug, thiserror::Error)]
pub enum ConstantError {
    /// The graph has no such constant.
    #[error("the plan needs constant {slot:?}, which the graph does not hold; rebuild the engine")]
    Missing {
        /// What the plan says of it.
        slot: Box<ConstantSlot>,
    },
    /// It has another shape than its packing is for.
    #[error(transparent)]
    Pack(#[from] PackError),
    /// It comes out larger or smaller than its place.
    #[error("constant `{name}` takes {got} bytes, its place has {expected}; rebuild the engine")]
    Size {
        /// Its name.
        name: String,
        /// Bytes it takes.
        got: usize,
        /// Bytes there are.
        expected: u64,
    },
}

impl ConstantSlot {
    /// The constant's bytes in the form the plan wants.
    pub fn bytes(&self, graph: &Graph) -> Result<Vec<u8>, ConstantError> {
        let missing = || ConstantError::Missing { slot: Box::new(*self) };
        let value = graph.get_value(self.value).ok_or_else(missing)?;
        let tensor = value.constant.as_ref().ok_or_else(missing)?;
        let bytes = match self.form {
            ConstantForm::Packed(packing) => packing.pack(tensor)?,
            ConstantForm::Bias { len } => {
                let mut values = tensor.to_f32();
                values.resize(len as usize, 0.0);
                bytemuck::cast_slice(&values).to_vec()
            }
            ConstantForm::Scales { len, input } => {
                let scales = value.fact.quant.as_ref().ok_or_else(missing)?.scales.iter();
                let mut products: Vec<f32> = scales.map(|scale| input.get() * scale).collect();
                products.resize(len as usize, 0.0);
                bytemuck::cast_slice(&products).to_vec()
            }
            ConstantForm::Dense { dtype } => tensor.cast(dtype).bytes().to_vec(),
        };
        if bytes.len() as u64 != self.size {
            let (name, got, expected) = (value.name.clone(), bytes.len(), self.size);
            return Err(ConstantError::Size { name, got, expected });
        }
        Ok(bytes)
    }
}
