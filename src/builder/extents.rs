//! What the open extents of a model are to be.

use super::BuildError;
use limpid_graph::ir::Graph;
use limpid_graph::tensor::{Bindings, Symbol};
use std::collections::BTreeSet;

/// One set of bindings for each batch, or a single one where the model fixes its batch.
pub(super) fn of(graph: &Graph, batches: &[usize], others: &Bindings) -> Result<Vec<Bindings>, BuildError> {
    let symbols = graph.symbols();
    if let Some((name, _)) = others.iter().find(|(name, _)| !symbols.contains(name)) {
        return Err(BuildError::UnknownExtent { name: name.name().to_owned(), known: list(&symbols) });
    }
    if batches.is_empty() || batches.contains(&0) {
        return Err(BuildError::NoBatch);
    }
    let Some(symbol) = batch_symbol(graph).filter(|symbol| others.get(symbol).is_none()) else {
        let fixed = graph.inputs.first().and_then(|&v| graph.fact(v).shape.first()?.as_usize());
        // A batch of 1 is what is asked for where nothing is said.
        if let (Some(fixed), Some(&wanted)) = (fixed, batches.iter().find(|&&b| b != 1 && Some(b) != fixed)) {
            return Err(BuildError::FixedBatch { fixed, wanted });
        }
        return Ok(vec![check(&symbols, others.clone())?]);
    };
    let bind = |&batch: &usize| {
        let mut bindings = others.clone();
        bindings.bind(symbol.clone(), i64::try_from(batch).unwrap_or(i64::MAX));
        check(&symbols, bindings)
    };
    batches.iter().map(bind).collect()
}

/// The symbol that the inputs begin with.
fn batch_symbol(graph: &Graph) -> Option<Symbol> {
    graph.inputs.iter().find_map(|&v| graph.fact(v).shape.first()?.as_symbol().cloned())
}

fn check(symbols: &BTreeSet<Symbol>, bindings: Bindings) -> Result<Bindings, BuildError> {
    let open: Vec<String> =
        symbols.iter().filter(|s| bindings.get(s).is_none()).map(|s| format!("`{}`", s.name())).collect();
    if open.is_empty() { Ok(bindings) } else { Err(BuildError::Unbound(open)) }
}

fn list(symbols: &BTreeSet<Symbol>) -> String {
    let names: Vec<&str> = symbols.iter().map(Symbol::name).collect();
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use limpid_graph::ir::Fact;
    use limpid_graph::tensor::{DType, Dim, Shape};

    fn graph(dims: &[&str]) -> Graph {
        let mut graph = Graph::new("test");
        let dim = |text: &&str| text.parse::<i64>().map_or_else(|_| Dim::symbol(Symbol::new(text)), Dim::from);
        graph.add_input("x", Fact::new(DType::F32, Shape::new(dims.iter().map(dim))));
        graph
    }

    fn bindings(pairs: &[(&str, i64)]) -> Bindings {
        let mut bindings = Bindings::new();
        for (name, value) in pairs {
            bindings.bind(Symbol::new(name), *value);
        }
        bindings
    }

    #[test]
    fn each_batch_is_a_set_of_extents() {
        let of_both = of(&graph(&["N", "3", "H"]), &[1, 32], &bindings(&[("H", 8)])).expect("all are bound");
        assert_eq!(of_both, [bindings(&[("N", 1), ("H", 8)]), bindings(&[("N", 32), ("H", 8)])]);
    }

    #[test]
    fn what_is_open_or_unknown_is_named() {
        let error = of(&graph(&["N", "3", "H", "W"]), &[1], &bindings(&[("W", 4)])).expect_err("H is open");
        assert_eq!(error.to_string(), "the model leaves `H` open");
        let error = of(&graph(&["N", "3"]), &[1], &bindings(&[("h", 4)])).expect_err("there is no h");
        assert_eq!(error.to_string(), "the model has no open extent `h`; it has N");
    }

    #[test]
    fn a_fixed_batch_stays() {
        assert_eq!(of(&graph(&["4", "3"]), &[1], &Bindings::new()).expect("it is fixed"), [Bindings::new()]);
        assert!(of(&graph(&["4", "3"]), &[4], &Bindings::new()).is_ok());
        assert!(matches!(
            of(&graph(&["4", "3"]), &[8], &Bindings::new()),
            Err(BuildError::FixedBatch { fixed: 4, wanted: 8 })
        ));
    }
}
