//! Which precision each group is wanted in.

use super::BuildError;
use limpid_graph::ir::{Graph, Node, Precision};
use std::fmt;
use std::str::FromStr;

/// A precision for the groups whose names match: `/layer4/*=fp16`. `*`, `?` and `[…]` stand for other characters,
/// slashes included.
#[derive(Clone, Debug, PartialEq)]
pub struct LayerPrecision {
    pattern: glob::Pattern,
    precision: Precision,
}

impl LayerPrecision {
    /// For the group of just this name, whatever characters are in it.
    pub fn exactly(name: &str, precision: Precision) -> Self {
        // What is escaped is always a pattern.
        let pattern = glob::Pattern::new(&glob::Pattern::escape(name)).unwrap_or_default();
        Self { pattern, precision }
    }

    /// For the groups of a name in which `*` stands for anything, and every other character for itself.
    pub fn wildcard(name: &str, precision: Precision) -> Self {
        let parts: Vec<String> = name.split('*').map(glob::Pattern::escape).collect();
        let pattern = glob::Pattern::new(&parts.join("*")).unwrap_or_default();
        Self { pattern, precision }
    }

    /// The precision asked for.
    pub fn precision(&self) -> Precision {
        self.precision
    }

    /// True for the groups it is for.
    pub fn matches(&self, group: &str) -> bool {
        self.pattern.matches(group)
    }
}

impl FromStr for LayerPrecision {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        // Names may hold `=`, precisions do not.
        let (pattern, precision) = text.rsplit_once('=').ok_or("expected NAME=PRECISION, such as '/layer4/*=fp16'")?;
        let precision = precision.parse::<Precision>().map_err(|error| error.to_string())?;
        let pattern = glob::Pattern::new(pattern).map_err(|error| format!("`{pattern}`: {error}"))?;
        Ok(Self { pattern, precision })
    }
}

impl fmt::Display for LayerPrecision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.pattern, self.precision)
    }
}

/// The precision asked for, group by group.
#[derive(Clone, Debug, PartialEq)]
pub struct Wanted {
    /// Where no layer says otherwise.
    pub base: Precision,
    /// The last that matches counts.
    pub layers: Vec<LayerPrecision>,
}

impl Wanted {
    /// What a node is wanted in.
    pub fn of(&self, node: &Node) -> Precision {
        self.layer(node).map_or(self.base, |layer| layer.precision)
    }

    /// Who says so, if it is not the base.
    pub fn layer(&self, node: &Node) -> Option<&LayerPrecision> {
        self.layers.iter().rev().find(|layer| layer.pattern.matches(&node.name))
    }

    /// What a node computes in where it is not INT8. FP16 is what INT8 falls back to: that is what its kernels read
    /// and write beside integers.
    pub fn real(&self, node: &Node) -> Precision {
        match self.of(node) {
            Precision::Int8 => Precision::Fp16,
            real => real,
        }
    }

    /// True if any group may be INT8.
    pub fn any_int8(&self) -> bool {
        self.base == Precision::Int8 || self.layers.iter().any(|layer| layer.precision == Precision::Int8)
    }

    /// A pattern that matches nothing is a mistake; the error names what it may have meant.
    pub fn check(&self, graph: &Graph) -> Result<(), BuildError> {
        for layer in &self.layers {
            if !graph.nodes().any(|(_, node)| layer.pattern.matches(&node.name)) {
                let pattern = layer.pattern.to_string();
                let suggestions = suggestions(graph, &pattern);
                return Err(BuildError::NoSuchLayer { pattern, suggestions });
            }
        }
        Ok(())
    }
}

/// The names of groups that are most like a pattern.
fn suggestions(graph: &Graph, pattern: &str) -> Vec<String> {
    const SHOWN: usize = 3;
    let mut names: Vec<&str> = graph.nodes().map(|(_, node)| node.name.as_str()).collect();
    names.sort_by(|a, b| strsim::jaro_winkler(pattern, b).total_cmp(&strsim::jaro_winkler(pattern, a)));
    names.into_iter().take(SHOWN).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use limpid_graph::ir::Fact;
    use limpid_graph::ops::{Activation, ActivationOp};
    use limpid_graph::tensor::DType;

    fn network() -> Graph {
        let mut graph = Graph::new("test");
        let mut value = graph.add_input("x", Fact::of(DType::F32, &[1, 4]));
        for name in ["/layer1/conv/Conv", "/layer2/conv/Conv", "/head/Gemm"] {
            let node = graph.add_node(name, ActivationOp { function: Activation::Relu }.into(), &[value]).unwrap();
            value = graph.node(node).outputs[0];
        }
        graph.outputs = vec![value];
        graph
    }

    fn wanted(base: Precision, layers: &[&str]) -> Wanted {
        Wanted { base, layers: layers.iter().map(|text| text.parse().unwrap()).collect() }
    }

    #[test]
    fn the_last_pattern_that_matches_counts() {
        let graph = network();
        let wanted = wanted(Precision::Int8, &["/layer*=fp16", "/layer2/*=fp32"]);
        wanted.check(&graph).unwrap();
        let precisions: Vec<Precision> = graph.nodes().map(|(_, node)| wanted.of(node)).collect();
        assert_eq!(precisions, [Precision::Fp16, Precision::Fp32, Precision::Int8]);
        assert_eq!(wanted.real(graph.nodes().last().unwrap().1), Precision::Fp16);
        assert!(wanted.any_int8());
    }

    #[test]
    fn a_pattern_without_a_match_is_an_error_with_suggestions() {
        let error = wanted(Precision::Fp16, &["/layer2/Conv=int8"]).check(&network()).unwrap_err().to_string();
        assert!(error.contains("`/layer2/Conv`") && error.contains("/layer2/conv/Conv"), "{error}");
    }

    #[test]
    fn a_wildcard_is_a_star_and_nothing_else() {
        let layer = LayerPrecision::wildcard("/a[0]/*/Conv?", Precision::Int8);
        assert!(layer.matches("/a[0]/b/c/Conv?") && !layer.matches("/a0/b/Conv?") && !layer.matches("/a[0]/b/Conv1"));
        assert_eq!(layer.precision(), Precision::Int8);
    }

    #[test]
    fn what_is_no_layer_precision_is_refused() {
        for text in ["conv", "conv=fp8", "[=fp16"] {
            assert!(text.parse::<LayerPrecision>().is_err(), "{text}");
        }
        assert_eq!("a=b=int8".parse::<LayerPrecision>().unwrap().to_string(), "a=b=int8");
    }
}
