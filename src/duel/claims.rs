//! Which ONNX nodes are in which of TensorRT's layers.

use super::meaning::{Meaning, meaning};
use super::names::{Part, read};
use super::{Evidence, Layer, Network, Stranger};
use std::collections::BTreeMap;

/// What a layer has to do with the model.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Claim {
    /// The nodes that are in it.
    pub nodes: Vec<usize>,
    /// What says so, the best of several; `None` if no node is in it.
    pub by: Option<Evidence>,
    /// Nodes that it serves, where none is in it.
    pub beside: Vec<usize>,
}

/// What a layer's words mean, before anybody weighs them.
struct Words {
    /// It computes nothing of its own.
    moves: bool,
    /// Its name is that of what it serves.
    serves: bool,
    metadata: Vec<Meaning>,
    name: Vec<Meaning>,
    /// Stretches in its name: the first node and the last, as far as they are nodes.
    ranges: Vec<[Option<usize>; 2]>,
    /// Makers of the tensors that it writes.
    outputs: Vec<usize>,
}

/// A claim for each layer, and the names that stand for nothing.
pub(super) fn claims(network: &Network, layers: &[Layer]) -> (Vec<Claim>, Vec<Stranger>) {
    let mut strangers = BTreeMap::new();
    let words: Vec<Words> = layers.iter().map(|layer| words(network, layer, &mut strangers)).collect();
    let mut weighed =
        Weighed { claims: vec![Claim::default(); layers.len()], taken: vec![false; network.nodes().len()] };
    weighed.weigh(&words);
    let strangers = strangers.into_iter().map(|(name, layer)| Stranger { name, layer }).collect();
    (weighed.claims, strangers)
}

fn words(network: &Network, layer: &Layer, strangers: &mut BTreeMap<String, String>) -> Words {
    let mut meant = |name: &str, counts: bool| {
        let meaning = meaning(name, network);
        if meaning == Meaning::Unknown && counts {
            strangers.entry(name.to_owned()).or_insert_with(|| layer.name.clone());
        }
        meaning
    };
    let metadata: Vec<Meaning> = layer.onnx.iter().map(|name| meant(name, true)).collect();
    let reading = read(&layer.name, &|name| network.named(name).is_some());
    // Where TensorRT tells the nodes itself, its compiler's names need not be names of nodes; a copy repeats the name of
    // what it serves.
    let counts = layer.onnx.is_empty() && !reading.beside;
    let (mut name, mut ranges) = (Vec::new(), Vec::new());
    for part in &reading.parts {
        match part {
            Part::One(one) => name.push(meant(one, counts)),
            Part::Range(first, last) => {
                let [first, last] = [first, last].map(|names| {
                    let meanings: Vec<Meaning> = names.iter().map(|name| meant(name, counts)).collect();
                    meanings.iter().filter_map(nodes).flatten().copied().collect::<Vec<usize>>()
                });
                ranges.push([first.into_iter().min(), last.into_iter().max()]);
            }
        }
    }
    let outputs = layer.outputs.iter().filter_map(|tensor| network.maker(tensor)).collect();
    Words { moves: layer.moves(), serves: reading.beside, metadata, name, ranges, outputs }
}

fn nodes(meaning: &Meaning) -> Option<&Vec<usize>> {
    if let Meaning::Nodes(nodes) = meaning { Some(nodes) } else { None }
}

fn parts(meaning: &Meaning) -> Option<&Vec<usize>> {
    if let Meaning::PartOf(nodes) = meaning { Some(nodes) } else { None }
}

struct Weighed {
    claims: Vec<Claim>,
    /// Nodes that are in some layer.
    taken: Vec<bool>,
}

impl Weighed {
    /// From the best word to the worst.
    fn weigh(&mut self, words: &[Words]) {
        for (index, word) in words.iter().enumerate().filter(|(_, word)| !word.moves) {
            let told = word.metadata.iter().filter_map(nodes).flatten().copied().collect();
            self.claim(index, told, Evidence::Metadata);
        }
        for (index, word) in words.iter().enumerate().filter(|(_, word)| !word.moves && !word.serves) {
            if self.claims[index].nodes.is_empty() {
                self.claim(index, word.name.iter().filter_map(nodes).flatten().copied().collect(), Evidence::Name);
            }
        }
        for (index, word) in words.iter().enumerate() {
            // A transposition may well be a copy.
            self.claim_free(index, word.metadata.iter().filter_map(nodes), Evidence::Metadata);
        }
        for (index, word) in words.iter().enumerate().filter(|(_, word)| !word.serves) {
            self.claim_free(index, word.name.iter().filter_map(nodes), Evidence::Name);
        }
        for (index, word) in words.iter().enumerate().filter(|(_, word)| !word.serves) {
            for range in &word.ranges {
                let free = self.stretch(*range);
                self.claim(index, free, Evidence::Range);
            }
        }
        for (index, word) in words.iter().enumerate().filter(|(_, word)| !word.serves) {
            self.claim_free(index, word.metadata.iter().chain(&word.name).filter_map(parts), Evidence::Name);
        }
        for (index, word) in words.iter().enumerate().filter(|(_, word)| !word.serves && !word.moves) {
            if self.claims[index].nodes.is_empty() {
                self.claim_free(index, [&word.outputs].into_iter(), Evidence::Output);
            }
        }
        for (claim, word) in self.claims.iter_mut().zip(words).filter(|(claim, _)| claim.nodes.is_empty()) {
            claim.beside = near(word);
        }
    }

    /// Puts nodes into a layer.
    fn claim(&mut self, layer: usize, nodes: Vec<usize>, by: Evidence) {
        let claim = &mut self.claims[layer];
        for node in nodes {
            self.taken[node] = true;
            claim.by.get_or_insert(by);
            if !claim.nodes.contains(&node) {
                claim.nodes.push(node);
            }
        }
    }

    /// Puts nodes into a layer that are in none yet.
    fn claim_free<'a>(&mut self, layer: usize, nodes: impl Iterator<Item = &'a Vec<usize>>, by: Evidence) {
        let free = nodes.flatten().copied().filter(|&node| !self.taken[node]).collect();
        self.claim(layer, free, by);
    }

    /// The nodes from one to another that are in no layer. Of a stretch with one end that is no node (a weight, say), those
    /// that reach from the other without a gap.
    fn stretch(&self, ends: [Option<usize>; 2]) -> Vec<usize> {
        let free = |node: &usize| !self.taken[*node];
        match ends {
            [Some(first), Some(last)] => (first..=last).filter(free).collect(),
            [Some(first), None] => (first..self.taken.len()).take_while(free).collect(),
            [None, Some(last)] => {
                let mut back: Vec<usize> = (0..=last).rev().take_while(free).collect();
                back.reverse();
                back
            }
            [None, None] => Vec::new(),
        }
    }
}

/// The nodes that a layer in which there is none is named after, or writes the tensors of.
fn near(word: &Words) -> Vec<usize> {
    let named = word.metadata.iter().chain(&word.name).flat_map(|meaning| match meaning {
        Meaning::Nodes(nodes) | Meaning::PartOf(nodes) | Meaning::Beside(nodes) => nodes.as_slice(),
        Meaning::Nothing | Meaning::Unknown => &[],
    });
    let ends = word.ranges.iter().flatten().flatten();
    named.chain(ends).chain(&word.outputs).copied().collect()
}
