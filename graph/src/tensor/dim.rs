//! Dims that may be symbolic: integer polynomials over named symbols and floor divisions.
//!
//! `(N, 3, H, W)` through a stride-2 convolution is `(N, 64, floor((H-1)/2)+1, …)`; a reshape may ask for
//! `N·49`. Keeping them as sums of products in canonical order makes equal dims compare equal.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::ops::{Add, Mul, Sub};
use std::sync::Arc;

/// The name of an unknown extent, such as `N` or `batch_size`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Symbol(Arc<str>);

impl Symbol {
    /// A symbol of this name; symbols of one name are the same symbol.
    pub fn new(name: &str) -> Self {
        Self(name.into())
    }

    /// The name.
    pub fn name(&self) -> &str {
        &self.0
    }
}

/// Values for symbols, by which symbolic dims become numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Bindings(BTreeMap<Symbol, i64>);

impl Bindings {
    /// No symbol bound.
    pub fn new() -> Self {
        Self::default()
    }

    /// Binds `symbol` to `value`, replacing what it was bound to.
    pub fn bind(&mut self, symbol: Symbol, value: i64) -> &mut Self {
        self.0.insert(symbol, value);
        self
    }

    /// The value of `symbol`, if bound.
    pub fn get(&self, symbol: &Symbol) -> Option<i64> {
        self.0.get(symbol).copied()
    }

    /// All pairs, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&Symbol, i64)> {
        self.0.iter().map(|(s, v)| (s, *v))
    }
}

/// A factor of one of a [`Dim`]'s products.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Atom {
    /// An unknown extent.
    Symbol(Symbol),
    /// `floor(dim / divisor)` that could not be carried out.
    FloorDiv(Box<Dim>, i64),
}

/// One extent of a shape: a number, or a polynomial over symbols.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Dim {
    /// Product of atoms (sorted) -> coefficient (never 0). The empty product is the constant term.
    terms: BTreeMap<Vec<Atom>, i64>,
}

impl Dim {
    /// The dim that is `symbol`.
    pub fn symbol(symbol: Symbol) -> Self {
        Self { terms: BTreeMap::from([(vec![Atom::Symbol(symbol)], 1)]) }
    }

    /// The number, if no symbol is left in it.
    pub fn as_const(&self) -> Option<i64> {
        match self.terms.len() {
            0 => Some(0),
            1 => self.terms.get(&Vec::new()).copied(),
            _ => None,
        }
    }

    /// The number if there is one and it is not negative.
    pub fn as_usize(&self) -> Option<usize> {
        self.as_const().and_then(|v| usize::try_from(v).ok())
    }

    /// `floor(self / divisor)`; whole multiples are divided out.
    ///
    /// `divisor` must be positive; a stride or a scale is.
    pub fn floor_div(&self, divisor: i64) -> Self {
        debug_assert!(divisor > 0);
        if divisor <= 1 {
            return self.clone();
        }
        let mut whole = Dim::default();
        let mut rest = Dim::default();
        for (product, &coefficient) in &self.terms {
            if product.is_empty() {
                // floor((d·q + r)/d) = q + floor(r/d): take q out so equal dims stay equal.
                whole.accumulate(product.clone(), coefficient.div_euclid(divisor));
                rest.accumulate(product.clone(), coefficient.rem_euclid(divisor));
            } else if coefficient % divisor == 0 {
                whole.accumulate(product.clone(), coefficient / divisor);
            } else {
                rest.accumulate(product.clone(), coefficient);
            }
        }
        match rest.as_const() {
            Some(_) => whole,
            None => whole + Dim { terms: BTreeMap::from([(vec![Atom::FloorDiv(Box::new(rest), divisor)], 1)]) },
        }
    }

    /// `ceil(self / divisor)`.
    pub fn ceil_div(&self, divisor: i64) -> Self {
        (self.clone() + Dim::from(divisor - 1)).floor_div(divisor)
    }

    /// `self / divisor` if it comes out even for every value of the symbols, else `None`.
    ///
    /// The divisor must be a single product, as a reshape's known extents are.
    pub fn exact_div(&self, divisor: &Dim) -> Option<Self> {
        let (product, &coefficient) = divisor.terms.iter().next()?;
        if divisor.terms.len() != 1 {
            return (self == divisor).then(|| Dim::from(1));
        }
        let mut out = Dim::default();
        for (own, &own_coefficient) in &self.terms {
            let mut left = own.clone();
            for atom in product {
                left.remove(left.iter().position(|a| a == atom)?);
            }
            if own_coefficient.checked_rem(coefficient) != Some(0) {
                return None;
            }
            out.accumulate(left, own_coefficient / coefficient);
        }
        Some(out)
    }

    /// A number this dim is never below, every symbol being at least 1; `None` if a term is subtracted,
    /// so that no such number is plain to see.
    pub fn lower_bound(&self) -> Option<i64> {
        let mut sum = 0i64;
        for (product, &coefficient) in &self.terms {
            let mut least = coefficient;
            for atom in product {
                let factor = match atom {
                    Atom::Symbol(_) => 1,
                    Atom::FloorDiv(d, by) => d.lower_bound()?.div_euclid(*by),
                };
                if coefficient < 0 || factor < 0 {
                    return None;
                }
                least = least.saturating_mul(factor);
            }
            sum = sum.saturating_add(least);
        }
        Some(sum)
    }

    /// The number this dim is under `bindings`, or the first symbol that is not bound.
    pub fn eval(&self, bindings: &Bindings) -> Result<i64, Symbol> {
        let mut sum = 0i64;
        for (product, &coefficient) in &self.terms {
            let mut value = coefficient;
            for atom in product {
                let factor = match atom {
                    Atom::Symbol(s) => bindings.get(s).ok_or_else(|| s.clone())?,
                    Atom::FloorDiv(d, by) => d.eval(bindings)?.div_euclid(*by),
                };
                value = value.saturating_mul(factor);
            }
            sum = sum.saturating_add(value);
        }
        Ok(sum)
    }

    /// Replaces each bound symbol by its value; others stay.
    pub fn substitute(&self, bindings: &Bindings) -> Self {
        let mut out = Dim::default();
        for (product, &coefficient) in &self.terms {
            let mut term = Dim::from(coefficient);
            for atom in product {
                let factor = match atom {
                    Atom::Symbol(s) => bindings.get(s).map_or_else(|| Dim::symbol(s.clone()), Dim::from),
                    Atom::FloorDiv(d, by) => d.substitute(bindings).floor_div(*by),
                };
                term = term * factor;
            }
            out = out + term;
        }
        out
    }

    /// Every symbol in this dim, added to `into`.
    pub fn symbols(&self, into: &mut std::collections::BTreeSet<Symbol>) {
        for atom in self.terms.keys().flatten() {
            match atom {
                Atom::Symbol(s) => {
                    into.insert(s.clone());
                }
                Atom::FloorDiv(d, _) => d.symbols(into),
            }
        }
    }

    /// The products that this dim is the sum of: factors (none for the constant term) and coefficient.
    pub fn terms(&self) -> impl Iterator<Item = (&[Atom], i64)> {
        self.terms.iter().map(|(product, coefficient)| (product.as_slice(), *coefficient))
    }

    /// The symbol, if this dim is just one symbol.
    pub fn as_symbol(&self) -> Option<&Symbol> {
        let (product, &coefficient) = self.terms.iter().next()?;
        match (self.terms.len(), coefficient, product.as_slice()) {
            (1, 1, [Atom::Symbol(s)]) => Some(s),
            _ => None,
        }
    }

    fn accumulate(&mut self, product: Vec<Atom>, coefficient: i64) {
        let entry = self.terms.entry(product);
        let sum = match &entry {
            std::collections::btree_map::Entry::Occupied(e) => e.get().saturating_add(coefficient),
            std::collections::btree_map::Entry::Vacant(_) => coefficient,
        };
        match entry {
            std::collections::btree_map::Entry::Occupied(e) if sum == 0 => {
                e.remove();
            }
            std::collections::btree_map::Entry::Occupied(mut e) => {
                e.insert(sum);
            }
            std::collections::btree_map::Entry::Vacant(e) => {
                if sum != 0 {
                    e.insert(sum);
                }
            }
        }
    }
}

impl From<i64> for Dim {
    fn from(value: i64) -> Self {
        let mut dim = Dim::default();
        dim.accumulate(Vec::new(), value);
        dim
    }
}

impl From<usize> for Dim {
    fn from(value: usize) -> Self {
        Dim::from(i64::try_from(value).unwrap_or(i64::MAX))
    }
}

impl From<i32> for Dim {
    fn from(value: i32) -> Self {
        Dim::from(i64::from(value))
    }
}

impl Add for Dim {
    type Output = Dim;
    fn add(mut self, other: Dim) -> Dim {
        for (product, coefficient) in other.terms {
            self.accumulate(product, coefficient);
        }
        self
    }
}

impl Sub for Dim {
    type Output = Dim;
    fn sub(mut self, other: Dim) -> Dim {
        for (product, coefficient) in other.terms {
            self.accumulate(product, coefficient.saturating_neg());
        }
        self
    }
}

impl Mul for Dim {
    type Output = Dim;
    fn mul(self, other: Dim) -> Dim {
        let mut out = Dim::default();
        for (a, &ca) in &self.terms {
            for (b, &cb) in &other.terms {
                let mut product: Vec<Atom> = a.iter().chain(b).cloned().collect();
                product.sort();
                out.accumulate(product, ca.saturating_mul(cb));
            }
        }
        out
    }
}

impl fmt::Display for Dim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.terms.is_empty() {
            return f.write_str("0");
        }
        // Products first, the constant last: `2·H-1`, not `-1+2·H`.
        let (constant, products): (Vec<_>, Vec<_>) = self.terms.iter().partition(|(p, _)| p.is_empty());
        for (i, (product, coefficient)) in products.into_iter().chain(constant).enumerate() {
            if i > 0 && *coefficient >= 0 {
                f.write_str("+")?;
            }
            match (*coefficient, product.is_empty()) {
                (c, true) => write!(f, "{c}")?,
                (1, false) => {}
                (-1, false) => f.write_str("-")?,
                (c, false) => write!(f, "{c}·")?,
            }
            for (j, atom) in product.iter().enumerate() {
                if j > 0 {
                    f.write_str("·")?;
                }
                match atom {
                    Atom::Symbol(s) => f.write_str(s.name())?,
                    Atom::FloorDiv(d, by) => write!(f, "⌊({d})/{by}⌋")?,
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sym(name: &str) -> Dim {
        Dim::symbol(Symbol::new(name))
    }

    #[test]
    fn equal_polynomials_compare_equal() {
        let a = (sym("N") + Dim::from(2)) * sym("H");
        let b = sym("H") * sym("N") + sym("H") + sym("H");
        assert_eq!(a, b);
        assert_eq!((a.clone() - b).as_const(), Some(0));
        assert_eq!(a.to_string(), "2·H+H·N");
    }

    #[test]
    fn exact_division_takes_out_a_product() {
        let total = sym("N") * Dim::from(512 * 49);
        assert_eq!(total.exact_div(&sym("N")), Some(Dim::from(512 * 49)));
        assert_eq!(total.exact_div(&Dim::from(49)), Some(sym("N") * Dim::from(512)));
        assert_eq!(total.exact_div(&Dim::from(5)), None);
        assert_eq!(total.exact_div(&Dim::from(0)), None);
    }

    #[test]
    fn floor_division_keeps_canonical_form() {
        // (H+4)/2 and H/2+2 are the same dim.
        assert_eq!((sym("H") + Dim::from(4)).floor_div(2), sym("H").floor_div(2) + Dim::from(2));
        assert_eq!((sym("H") * Dim::from(4)).floor_div(2), sym("H") * Dim::from(2));
    }

    proptest! {
        #[test]
        fn evaluation_is_a_homomorphism(h in 0i64..500, n in 0i64..50, c in -20i64..20, d in 1i64..9) {
            let mut b = Bindings::new();
            b.bind(Symbol::new("H"), h).bind(Symbol::new("N"), n);
            let poly = sym("H") * Dim::from(3) + sym("N") * sym("H") + Dim::from(c);
            let value = 3 * h + n * h + c;
            prop_assert_eq!(poly.eval(&b), Ok(value));
            prop_assert_eq!(poly.floor_div(d).eval(&b), Ok(value.div_euclid(d)));
            prop_assert_eq!(poly.ceil_div(d).eval(&b), Ok((value + d - 1).div_euclid(d)));
            prop_assert_eq!(poly.floor_div(d).substitute(&b).as_const(), Some(value.div_euclid(d)));
        }
    }
}
