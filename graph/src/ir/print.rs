//! The canonical text form: one line a value-making thing, in topological order. Tests read and write it.
//!
//! ```text
//! graph tiny
//!   input %x f32(N,3,8,8)
//!   const %w f32(4,3,3,3)
//!   %y f32(N,4,6,6) = Conv[kernel=3x3](%x, %w)  @conv1
//!   output %y
//! ```

use super::{Graph, ValueId};
use std::fmt;

impl fmt::Display for Graph {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "graph {}", self.name)?;
        for &input in &self.inputs {
            writeln!(f, "  input %{} {}", self.value(input).name, self.fact(input))?;
        }
        for (_, value) in self.values().filter(|(_, v)| v.constant.is_some()) {
            writeln!(f, "  const %{} {}", value.name, value.fact)?;
        }
        let order = self.topological_order().unwrap_or_else(|_| self.nodes().map(|(id, _)| id).collect());
        for id in order {
            let node = self.node(id);
            f.write_str("  ")?;
            self.list(f, &node.outputs, true)?;
            write!(f, " = {}(", node.op)?;
            self.list(f, &node.inputs, false)?;
            write!(f, ")  @{}", node.name)?;
            if node.precision != super::Precision::Fp32 {
                write!(f, " {}", node.precision)?;
            }
            writeln!(f)?;
        }
        for &output in &self.outputs {
            writeln!(f, "  output %{}", self.value(output).name)?;
        }
        Ok(())
    }
}

impl Graph {
    fn list(&self, f: &mut fmt::Formatter<'_>, values: &[ValueId], facts: bool) -> fmt::Result {
        for (i, &id) in values.iter().enumerate() {
            if i > 0 {
                f.write_str(", ")?;
            }
            let value = self.value(id);
            write!(f, "%{}", value.name)?;
            if facts {
                write!(f, " {}", value.fact)?;
            }
        }
        Ok(())
    }
}
