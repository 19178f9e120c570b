//! Matrix products in the shapes that exports have them.

use super::{check, constant, node, random_input};
use limpid_graph::ops::{Epilogue, Gemm, MatMul};

#[test]
fn mat_mul_broadcasts_batches() {
    let product: super::Build<'_> = &|g, x| node(g, MatMul, x);
    check("equal batches", &[&[2, 3, 5, 7], &[2, 3, 7, 4]], product);
    check("one right operand", &[&[2, 3, 5, 7], &[7, 4]], product);
    check("one left operand", &[&[5, 8], &[2, 3, 8, 4]], product);
    check("the inner batch repeats on the left", &[&[2, 1, 5, 8], &[2, 3, 8, 4]], product);
    check("the outer batch repeats on the right", &[&[2, 3, 5, 8], &[1, 3, 8, 4]], product);
    check("each repeats along another axis", &[&[2, 1, 5, 8], &[3, 8, 4]], product);
}

#[test]
fn mat_mul_takes_vectors() {
    let product: super::Build<'_> = &|g, x| node(g, MatMul, x);
    check("a row", &[&[7], &[7, 4]], product);
    check("a column", &[&[2, 5, 7], &[7]], product);
    check("a row for each of a batch", &[&[7], &[3, 7, 4]], product);
    check("two vectors", &[&[9], &[9]], product);
}

#[test]
fn gemm_of_two_activations() {
    for (trans_a, trans_b) in [(false, false), (false, true), (true, false), (true, true)] {
        let a: &[usize] = if trans_a { &[7, 5] } else { &[5, 7] };
        let b: &[usize] = if trans_b { &[6, 7] } else { &[7, 6] };
        let op = Gemm { trans_a, trans_b, alpha: 1.0, epilogue: Epilogue::default() };
        check("computed", &[a, b], &|g, x| node(g, op.clone(), x));
        // A constant that no rule brought into the form of weights, and a bias.
        let op = Gemm { epilogue: Epilogue { bias: true, ..Epilogue::default() }, ..op };
        check("constant", &[a], &|g, x| {
            let (b, bias) = (constant(g, random_input(b)), constant(g, random_input(&[6])));
            node(g, op.clone(), &[x[0], b, bias])
        });
    }
}
