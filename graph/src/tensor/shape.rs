use super::{Bindings, Dim, Symbol};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fmt;
use std::ops::Deref;

/// The extents of a tensor, outermost first, in the field's logical order (N,C,H,W).
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Shape(Vec<Dim>);

impl Shape {
    /// A shape of these dims.
    pub fn new(dims: impl IntoIterator<Item = Dim>) -> Self {
        Self(dims.into_iter().collect())
    }

    /// A shape of known extents.
    pub fn of(dims: &[usize]) -> Self {
        Self(dims.iter().map(|&d| Dim::from(d)).collect())
    }

    /// Number of dims.
    pub fn rank(&self) -> usize {
        self.0.len()
    }

    /// The dims.
    pub fn dims(&self) -> &[Dim] {
        &self.0
    }

    /// The dims, to change.
    pub fn dims_mut(&mut self) -> &mut Vec<Dim> {
        &mut self.0
    }

    /// The extents, if all are known.
    pub fn as_concrete(&self) -> Option<Vec<usize>> {
        self.0.iter().map(Dim::as_usize).collect()
    }

    /// The extents under `bindings`, or the first symbol that is not bound.
    ///
    /// An extent that comes out negative is 0: a window larger than its input.
    pub fn eval(&self, bindings: &Bindings) -> Result<Vec<usize>, Symbol> {
        self.0.iter().map(|d| d.eval(bindings).map(|v| usize::try_from(v).unwrap_or(0))).collect()
    }

    /// Replaces each bound symbol by its value.
    pub fn substitute(&self, bindings: &Bindings) -> Self {
        Self(self.0.iter().map(|d| d.substitute(bindings)).collect())
    }

    /// The product of all dims.
    pub fn volume(&self) -> Dim {
        self.0.iter().fold(Dim::from(1), |product, d| product * d.clone())
    }

    /// Every symbol in the shape.
    pub fn symbols(&self) -> BTreeSet<Symbol> {
        let mut out = BTreeSet::new();
        self.0.iter().for_each(|d| d.symbols(&mut out));
        out
    }
}

impl Deref for Shape {
    type Target = [Dim];
    fn deref(&self) -> &[Dim] {
        &self.0
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(")?;
        for (i, d) in self.0.iter().enumerate() {
            if i > 0 {
                f.write_str(",")?;
            }
            write!(f, "{d}")?;
        }
        f.write_str(")")
    }
}

/// One dim of a broadcast: equal, or one of them 1. `None` where they cannot meet.
///
/// A symbol against a number other than 1 is taken as that number's equal only if both are the same
/// expression; ONNX leaves it to run time, limpid refuses it at import.
pub fn broadcast_dims(a: &Dim, b: &Dim) -> Option<Dim> {
    match (a.as_const(), b.as_const()) {
        (Some(1), _) => Some(b.clone()),
        (_, Some(1)) => Some(a.clone()),
        _ if a == b => Some(a.clone()),
        _ => None,
    }
}

/// NumPy's broadcast of several shapes, aligned at the last dim. `None` where they cannot meet.
pub fn broadcast_shapes(shapes: &[&Shape]) -> Option<Shape> {
    let rank = shapes.iter().map(|s| s.rank()).max()?;
    let mut out = vec![Dim::from(1); rank];
    for shape in shapes {
        let offset = rank - shape.rank();
        for (i, d) in shape.iter().enumerate() {
            out[offset + i] = broadcast_dims(&out[offset + i], d)?;
        }
    }
    Some(Shape(out))
}

/// Strides in elements of a dense row-major tensor.
pub fn row_major_strides(shape: &[usize]) -> Vec<usize> {
    let mut strides = vec![1; shape.len()];
    for i in (1..shape.len()).rev() {
        strides[i - 1] = strides[i] * shape[i];
    }
    strides
}
