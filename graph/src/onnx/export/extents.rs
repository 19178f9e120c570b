//! Extents that depend on the inputs', computed by the model itself.
//!
//! A shape such as (N, 64·⌊H/8⌋) is a vector in ONNX. What is known is a constant; of the rest each extent is a
//! vector of one element: read off a value that has it, or put together from those that its formula names.

use super::{ExportError, Exporter};
use crate::ir::ValueId;
use crate::tensor::{Atom, Dim, Element, Tensor};

impl Exporter<'_> {
    /// Notes that a value of this name has the extents it has, for whoever wants to know one of them.
    pub fn remember_extents(&mut self, value: ValueId, name: &str) {
        for (axis, dim) in self.graph.fact(value).shape.iter().enumerate() {
            if dim.as_const().is_none() {
                self.holders.entry(dim.clone()).or_insert_with(|| (name.to_owned(), axis));
            }
        }
    }

    /// The name of a vector of these extents.
    pub fn extents(&mut self, what: &str, dims: &[Dim]) -> Result<String, ExportError> {
        if let Some(known) = dims.iter().map(Dim::as_const).collect::<Option<Vec<i64>>>() {
            return Ok(self.vector(what, known));
        }
        let mut parts = dims.iter().map(|dim| self.extent(dim)).collect::<Result<Vec<String>, _>>()?;
        if parts.len() == 1 {
            return Ok(parts.swap_remove(0));
        }
        Ok(self.step("Concat", &parts, vec![("axis", 0.into())]))
    }

    /// A constant vector.
    pub fn vector<T: Element>(&mut self, what: &str, values: Vec<T>) -> String {
        self.constant(what, Tensor::vector(values))
    }

    fn extent(&mut self, dim: &Dim) -> Result<String, ExportError> {
        if let Some(number) = dim.as_const() {
            return Ok(self.vector("extent", vec![number]));
        }
        if let Some(known) = self.extents.get(dim) {
            return Ok(known.clone());
        }
        let name = match self.holders.get(dim).cloned() {
            Some((value, axis)) => {
                let bounds = vec![("start", (axis as i64).into()), ("end", (axis as i64 + 1).into())];
                self.step("Shape", &[value], bounds)
            }
            None => self.sum(dim)?,
        };
        self.extents.insert(dim.clone(), name.clone());
        Ok(name)
    }

    fn sum(&mut self, dim: &Dim) -> Result<String, ExportError> {
        let mut sum: Option<String> = None;
        for (factors, coefficient) in dim.terms() {
            let mut product = None;
            for factor in factors {
                let factor = self.factor(dim, factor)?;
                product = Some(self.joined("Mul", product, factor));
            }
            if coefficient != 1 || product.is_none() {
                let coefficient = self.vector("coefficient", vec![coefficient]);
                product = Some(self.joined("Mul", product, coefficient));
            }
            if let Some(product) = product {
                sum = Some(self.joined("Add", sum, product));
            }
        }
        // A dim without terms is the number 0.
        Ok(sum.unwrap_or_else(|| self.vector("extent", vec![0i64])))
    }

    fn factor(&mut self, whole: &Dim, factor: &Atom) -> Result<String, ExportError> {
        match factor {
            // ONNX divides toward zero; extents are not negative, so that is downward.
            Atom::FloorDiv(dim, divisor) => {
                let dividend = self.extent(dim)?;
                let divisor = self.vector("divisor", vec![*divisor]);
                Ok(self.step("Div", &[dividend, divisor], Vec::new()))
            }
            // A symbol is the extent of an input, which `extent` has read off, unless it is nowhere.
            Atom::Symbol(symbol) => match Dim::symbol(symbol.clone()) {
                own if own == *whole => {
                    Err(ExportError::Unbound { node: self.node.clone(), symbol: symbol.name().to_owned() })
                }
                own => self.extent(&own),
            },
        }
    }

    /// `b` if it is the first, else what `op` makes of the two.
    fn joined(&mut self, op: &'static str, a: Option<String>, b: String) -> String {
        match a {
            Some(a) => self.step(op, &[a, b], Vec::new()),
            None => b,
        }
    }
}
