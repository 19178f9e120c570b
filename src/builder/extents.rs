//! What the open extents of a model may be: requests, and what stands in for what they leave out.

use super::BuildError;
use crate::shapes::{Profile, ProfileRequest, Range, batch_symbol};
use limpid_graph::ir::{Graph, ValueId};
use limpid_graph::tensor::{Bindings, Symbol};
use std::collections::{BTreeMap, BTreeSet};

/// Height and width of a picture where nobody says how large it is: what most networks were trained with.
const PICTURE: usize = 224;

/// A profile for each request, and what a user should know of them.
///
/// `others` are extents that have one value in every profile. Where nothing is said of the batch, it is
/// [`Range::BATCH`]; where nothing is said of a picture's height or width, it is 224. Any other extent must be given.
pub(super) fn profiles(
    graph: &Graph,
    requests: &[ProfileRequest],
    others: &Bindings,
) -> Result<(Vec<Profile>, Vec<String>), BuildError> {
    let mut notes = Vec::new();
    let mut profiles = Vec::new();
    for request in requests {
        let mut found = Found { graph, ranges: BTreeMap::new() };
        for (symbol, value) in others.iter() {
            let range = usize::try_from(value).ok().and_then(|value| Range::exactly(value).ok());
            found.name(symbol.name(), range.ok_or(BuildError::NoExtent { value })?)?;
        }
        for (name, range) in &request.extents {
            found.name(name, *range)?;
        }
        for (name, shapes) in &request.inputs {
            found.input(name, shapes)?;
        }
        found.batch(request.batch)?;
        notes.extend(found.picture().filter(|note| !notes.contains(note)));
        profiles.push(found.finish()?);
    }
    profiles.dedup();
    Ok((profiles, notes))
}

/// The ranges of one profile, as they become known.
struct Found<'g> {
    graph: &'g Graph,
    ranges: BTreeMap<Symbol, Range>,
}

impl Found<'_> {
    /// A range for an extent; a second one must be the same.
    fn set(&mut self, symbol: Symbol, range: Range) -> Result<(), BuildError> {
        match self.ranges.insert(symbol.clone(), range) {
            Some(before) if before != range => {
                Err(BuildError::TwoRanges { name: symbol.name().to_owned(), ranges: [before, range] })
            }
            _ => Ok(()),
        }
    }

    fn name(&mut self, name: &str, range: Range) -> Result<(), BuildError> {
        let (symbol, symbols) = (Symbol::new(name), self.graph.symbols());
        match symbols.contains(&symbol) {
            true => self.set(symbol, range),
            false => Err(BuildError::UnknownExtent { name: name.to_owned(), known: list(&symbols) }),
        }
    }

    /// What the shapes of an input say of the extents it leaves open.
    fn input(&mut self, name: &str, shapes: &[Vec<usize>; 3]) -> Result<(), BuildError> {
        let named = |&value: &ValueId| self.graph.value(value).name == name;
        let Some(value) = self.graph.inputs.iter().copied().find(named) else {
            let known: Vec<&str> = self.graph.inputs.iter().map(|&v| self.graph.value(v).name.as_str()).collect();
            return Err(BuildError::UnknownInput { name: name.to_owned(), known: known.join(", ") });
        };
        let fact = self.graph.fact(value).clone();
        let refuse = |shape: &Vec<usize>| BuildError::InputShape {
            name: name.to_owned(),
            expected: fact.to_string(),
            got: shape.iter().map(ToString::to_string).collect::<Vec<_>>().join("x"),
        };
        for shape in shapes {
            let fits = |(dim, &extent): (&limpid_graph::tensor::Dim, &usize)| {
                dim.as_symbol().is_some() || dim.as_usize() == Some(extent)
            };
            if shape.len() != fact.rank() || !fact.shape.iter().zip(shape).all(fits) {
                return Err(refuse(shape));
            }
        }
        let [min, opt, max] = shapes;
        for (axis, dim) in fact.shape.iter().enumerate() {
            if let Some(symbol) = dim.as_symbol() {
                self.set(symbol.clone(), Range::new(min[axis], opt[axis], max[axis])?)?;
            }
        }
        Ok(())
    }

    /// The batch, as it is asked for or as it is where nothing is said.
    fn batch(&mut self, wanted: Option<Range>) -> Result<(), BuildError> {
        let fixed = self.graph.inputs.first().and_then(|&v| self.graph.fact(v).shape.first()?.as_usize());
        match (batch_symbol(self.graph), wanted, fixed) {
            (Some(symbol), Some(wanted), _) => self.set(symbol, wanted),
            (Some(symbol), None, _) => {
                self.ranges.entry(symbol).or_insert(Range::BATCH);
                Ok(())
            }
            // Whoever asks for single samples has them one by one, however many the model takes at once.
            (None, Some(wanted), Some(fixed)) if ![Range::exactly(1), Range::exactly(fixed)].contains(&Ok(wanted)) => {
                Err(BuildError::FixedBatch { fixed, wanted })
            }
            (None, ..) => Ok(()),
        }
    }

    /// Stands in for heights and widths of pictures that nobody gave, and says so.
    fn picture(&mut self) -> Option<String> {
        let range = Range::exactly(PICTURE).ok()?;
        let mut stood_in: Vec<String> = Vec::new();
        for &value in &self.graph.inputs {
            let [_, _, height, width] = self.graph.fact(value).shape.dims() else { continue };
            for symbol in [height, width].into_iter().filter_map(|dim| dim.as_symbol()) {
                if !self.ranges.contains_key(symbol) {
                    self.ranges.insert(symbol.clone(), range);
                    stood_in.push(format!("`{}`", symbol.name()));
                }
            }
        }
        (!stood_in.is_empty()).then(|| {
            let names = stood_in.join(" and ");
            format!(
                "the model leaves {names} open; pictures are taken as {PICTURE}x{PICTURE} (--extent says otherwise)"
            )
        })
    }

    fn finish(self) -> Result<Profile, BuildError> {
        let symbols = self.graph.symbols();
        let open = symbols.iter().filter(|symbol| !self.ranges.contains_key(symbol));
        let open: Vec<String> = open.map(|symbol| symbol.name().to_owned()).collect();
        match open.is_empty() {
            true => {
                Ok(self.ranges.into_iter().fold(Profile::new(), |profile, (symbol, range)| profile.with(symbol, range)))
            }
            false => Err(BuildError::Unbound(open)),
        }
    }
}

fn list(symbols: &BTreeSet<Symbol>) -> String {
    let names: Vec<&str> = symbols.iter().map(Symbol::name).collect();
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

/// That the network can be run at these extents: no value of it comes out empty, as where a window is larger than
/// what it slides over.
pub(super) fn check(graph: &Graph, extents: &Bindings) -> Result<(), BuildError> {
    for (_, node) in graph.nodes() {
        for &output in &node.outputs {
            // What symbols are left open cannot be looked at yet.
            let Ok(shape) = graph.fact(output).shape.eval(extents) else { continue };
            if shape.contains(&0) {
                let extents: Vec<String> = extents.iter().map(|(s, extent)| format!("{}={extent}", s.name())).collect();
                let (node, op) = (node.name.clone(), node.op.name());
                return Err(BuildError::Nothing { node, op, shape, extents: extents.join(" ") });
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use limpid_graph::ir::Fact;
    use limpid_graph::ops::{Pool, PoolKind, Window};
    use limpid_graph::tensor::{DType, Dim, Shape};

    fn graph(dims: &[&str]) -> Graph {
        let mut graph = Graph::new("test");
        let dim = |text: &&str| text.parse::<i64>().map_or_else(|_| Dim::symbol(Symbol::new(text)), Dim::from);
        graph.add_input("x", Fact::new(DType::F32, Shape::new(dims.iter().map(dim))));
        graph
    }

    fn range(text: &str) -> Range {
        text.parse().expect("a range")
    }

    fn one(dims: &[&str], request: ProfileRequest, others: &Bindings) -> Result<(String, Vec<String>), BuildError> {
        let (profiles, notes) = profiles(&graph(dims), &[request], others)?;
        Ok((profiles[0].to_string(), notes))
    }

    fn said(dims: &[&str], request: ProfileRequest) -> String {
        one(dims, request, &Bindings::new()).expect_err("it does not fit").to_string()
    }

    #[test]
    fn a_batch_is_1_to_32_and_a_picture_224_unless_somebody_says_otherwise() {
        let plain = |dims: &[&str]| one(dims, ProfileRequest::new(), &Bindings::new()).expect("it is whole");
        assert_eq!(plain(&["N", "3", "8", "8"]), ("N=1..32".to_owned(), Vec::new()));
        assert_eq!(plain(&["4", "3", "8", "8"]).0, "any extents");
        let (profile, notes) = plain(&["N", "3", "H", "W"]);
        assert_eq!(profile, "H=224 N=1..32 W=224");
        let note = "the model leaves `H` and `W` open; pictures are taken as 224x224 (--extent says otherwise)";
        assert_eq!(notes, [note]);
        let width = Bindings::new().bind(Symbol::new("W"), 4).clone();
        let request = ProfileRequest::new().batch(range("2..8")).extent("H", range("16..64"));
        let (profile, notes) = one(&["N", "3", "H", "W"], request, &width).expect("it is whole");
        assert_eq!((profile.as_str(), notes.len()), ("H=16..64 N=2..8 W=4", 0));
    }

    #[test]
    fn shapes_of_inputs_say_what_extents_are() {
        let shapes = |text: &str| text.parse::<crate::shapes::InputShapes>().expect("shapes");
        let request = |min: &str, opt: &str, max: &str| {
            let [min, opt, max] = [min, opt, max].map(shapes);
            ProfileRequest::new().shapes(Some(&min), Some(&opt), Some(&max)).expect("all three")
        };
        let (profile, _) =
            one(&["N", "3", "H"], request("x:1x3x8", "x:4x3x8", "x:8x3x16"), &Bindings::new()).expect("fits");
        assert_eq!(profile, "H=8..16 N=1..4..8");
        let wrong = request("x:1x4x8", "x:1x4x8", "x:1x4x8");
        assert_eq!(said(&["N", "3", "H"], wrong), "input `x` is f32(N,3,H), which 1x4x8 does not fit");
        assert_eq!(said(&["N"], request("y:1", "y:1", "y:1")), "the model has no input `y`; it has x");
        let twice = "`N` is 1..4 in one place and 1..3 in another";
        assert_eq!(said(&["N", "N"], request("x:1x1", "x:1x1", "x:4x3")), twice);
        let falling = request("x:4x1", "x:2x1", "x:1x1");
        assert_eq!(said(&["N", "1"], falling), "a range needs 1 <= min <= opt <= max, got 4..2..1");
    }

    #[test]
    fn what_is_open_or_unknown_is_named() {
        let open = said(&["N", "T", "U"], ProfileRequest::new());
        assert_eq!(open, "the model leaves `T`, `U` open");
        let unknown = said(&["N", "3"], ProfileRequest::new().extent("h", range("4")));
        assert_eq!(unknown, "the model has no open extent `h`; it has N");
    }

    #[test]
    fn a_fixed_batch_stays() {
        let asked = |text: &str| one(&["4", "3"], ProfileRequest::new().batch(range(text)), &Bindings::new());
        assert!(asked("1").is_ok() && asked("4").is_ok());
        assert!(matches!(asked("8"), Err(BuildError::FixedBatch { fixed: 4, .. })));
        let error = asked("1..8").expect_err("it is fixed").to_string();
        assert_eq!(error, "the model's batch is fixed at 4, 1..8 was asked for");
    }

    #[test]
    fn an_operator_that_would_make_nothing_is_named() {
        let mut graph = graph(&["1", "3", "H", "8"]);
        let pool =
            Pool { kind: PoolKind::Max, window: Window::of(&[3, 3]), ceil_mode: false, count_include_pad: false };
        graph.add_node("pool1", pool.into(), &[graph.inputs[0]]).expect("it fits");
        let at = |height: i64| check(&graph, Bindings::new().bind(Symbol::new("H"), height));
        assert!(at(3).is_ok());
        let error = at(2).expect_err("a window of 3 rows").to_string();
        assert_eq!(error, "node `pool1` (MaxPool) makes nothing at H=2: its output is [1, 3, 0, 6]");
    }
}
