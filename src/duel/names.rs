//! How TensorRT joins names of ONNX nodes to names of layers:
//!
//! ```text
//! a + b            fused one after another         PWN(a, b)         pointwise, compiled together
//! a || b           side by side, one kernel        {ForeignNode[a...b]}    all from a to b, compiled by Myelin
//! Reformatting CopyNode for Input Tensor 0 to a + b        a copy that `a + b` needs
//! ```
//!
//! `+` and `||` are NVIDIA's words in <https://github.com/NVIDIA/TensorRT/issues/2525>. Names of ONNX nodes may hold any of
//! these signs themselves, so what is known to be one node's name is never taken apart.

/// A part of a layer's name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Part<'a> {
    /// One name.
    One(&'a str),
    /// From the first of these to the last of those.
    Range(Vec<&'a str>, Vec<&'a str>),
}

/// A layer's name, read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Reading<'a> {
    /// Whether the layer only serves what it names.
    pub beside: bool,
    /// What it names.
    pub parts: Vec<Part<'a>>,
}

/// `PWN(PWN(…` and its like are followed so deep; a file may hold anything.
const DEEPEST: usize = 64;

/// Names that hold separators themselves are looked for over so many pieces.
const WIDEST: usize = 16;

/// Reads a layer's name; `known` tells names that are one node's.
pub(super) fn read<'a>(name: &'a str, known: &dyn Fn(&str) -> bool) -> Reading<'a> {
    let mut parts = Vec::new();
    if known(name) {
        return Reading { beside: false, parts: vec![Part::One(name)] };
    }
    let served = served(name);
    take(served.unwrap_or(name).trim(), known, DEEPEST, &mut parts);
    Reading { beside: served.is_some(), parts }
}

/// What a copy is for; `None` if the name is not a copy's.
fn served(name: &str) -> Option<&str> {
    if let Some(rest) = name.strip_prefix("Reformatting CopyNode for ") {
        let tensor = rest.strip_prefix("Input Tensor ").or_else(|| rest.strip_prefix("Output Tensor "));
        let numbered = tensor.and_then(|rest| rest.split_once(" to ")).map(|(_, layer)| layer);
        let border = || rest.strip_prefix("Network Input ").or_else(|| rest.strip_prefix("Network Output "));
        return Some(numbered.or_else(border).unwrap_or(rest));
    }
    let cut = |word: &str| name.rfind(word).map(|at| &name[..at]);
    name.strip_suffix(" copy").or_else(|| cut(" input reformatter ")).or_else(|| cut(" output reformatter "))
}

fn take<'a>(text: &'a str, known: &dyn Fn(&str) -> bool, deep: usize, parts: &mut Vec<Part<'a>>) {
    if text.is_empty() {
        return;
    }
    if known(text) || deep == 0 {
        parts.push(Part::One(text));
        return;
    }
    if let Some(inside) = text.strip_prefix("PWN(").and_then(|rest| rest.strip_suffix(')')).filter(|t| balanced(t)) {
        return take(inside, known, deep - 1, parts);
    }
    let foreign = text.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')).unwrap_or(text);
    let foreign = foreign.strip_prefix("ForeignNode[").and_then(|rest| rest.strip_suffix(']'));
    if let Some(inside) = foreign.filter(|text| balanced(text)) {
        parts.push(range(inside, known, deep - 1));
        return;
    }
    let pieces = pieces(text);
    if pieces.len() < 2 {
        parts.push(Part::One(text));
        return;
    }
    let mut at = 0;
    while at < pieces.len() {
        let whole = |end: &usize| known(&text[pieces[at].0..pieces[*end - 1].1]);
        let widest = (at + 2..=pieces.len().min(at + WIDEST)).rev().find(whole);
        match widest {
            Some(end) => parts.push(Part::One(&text[pieces[at].0..pieces[end - 1].1])),
            None => take(text[pieces[at].0..pieces[at].1].trim(), known, deep - 1, parts),
        }
        at = widest.unwrap_or(at + 1);
    }
}

/// `a...b`. Names may hold dots, too: the place is taken where both sides are known, or else the first.
fn range<'a>(text: &'a str, known: &dyn Fn(&str) -> bool, deep: usize) -> Part<'a> {
    let names = |text: &'a str| {
        let mut parts = Vec::new();
        take(text.trim(), known, deep, &mut parts);
        let flat = parts.into_iter().flat_map(|part| match part {
            Part::One(name) => vec![name],
            Part::Range(first, last) => [first, last].concat(),
        });
        flat.collect::<Vec<_>>()
    };
    let mut sides =
        text.match_indices("...").take(WIDEST).map(|(at, dots)| (names(&text[..at]), names(&text[at + dots.len()..])));
    let both = |(first, last): &(Vec<&str>, Vec<&str>)| [first, last].iter().all(|side| side.iter().any(|n| known(n)));
    let first = sides.next();
    match first.filter(|first| both(first)).or_else(|| sides.find(both)) {
        Some((first, last)) => Part::Range(first, last),
        None => match text.split_once("...") {
            Some((first, last)) => Part::Range(names(first), names(last)),
            None => Part::Range(names(text), names(text)),
        },
    }
}

/// Whether every bracket in it is closed in it.
fn balanced(text: &str) -> bool {
    let mut depth = 0_i64;
    let all = text.bytes().all(|byte| {
        depth += turn(byte);
        depth >= 0
    });
    all && depth == 0
}

fn turn(byte: u8) -> i64 {
    match byte {
        b'(' | b'[' | b'{' => 1,
        b')' | b']' | b'}' => -1,
        _ => 0,
    }
}

/// From where to where the pieces reach that `+`, `||` and `,` separate outside of brackets; inside as well, if brackets do
/// not match.
fn pieces(text: &str) -> Vec<(usize, usize)> {
    let nested = balanced(text);
    let (mut found, mut start, mut depth) = (Vec::new(), 0, 0);
    for (at, byte) in text.bytes().enumerate() {
        depth += if nested { turn(byte) } else { 0 };
        let separator =
            [" + ", " || ", ", "].into_iter().find(|word| text.as_bytes()[at..].starts_with(word.as_bytes()));
        if let Some(word) = separator.filter(|_| depth == 0 && at >= start) {
            found.push((start, at));
            start = at + word.len();
        }
    }
    found.push((start, text.len()));
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(name: &str, known: &[&str]) -> Vec<String> {
        let show = |part: &Part<'_>| match part {
            Part::One(name) => (*name).to_owned(),
            Part::Range(first, last) => format!("{}..{}", first.join("&"), last.join("&")),
        };
        read(name, &|name| known.contains(&name)).parts.iter().map(show).collect()
    }

    #[test]
    fn joined_names_come_apart() {
        assert_eq!(names("/conv1/Conv + /relu/Relu", &[]), ["/conv1/Conv", "/relu/Relu"]);
        assert_eq!(names("Conv_68 || Conv_72", &[]), ["Conv_68", "Conv_72"]);
        assert_eq!(names("Conv_12 + PWN(Clip_16)", &[]), ["Conv_12", "Clip_16"]);
        assert_eq!(names("PWN(PWN(/act/Sigmoid), /act/Mul)", &[]), ["/act/Sigmoid", "/act/Mul"]);
        assert_eq!(
            names("a.weight + QuantizeLinear_8_quantize_scale_node + Conv_12 + PWN(PWN(Sigmoid_1, Mul_2), Add_3)", &[]),
            ["a.weight", "QuantizeLinear_8_quantize_scale_node", "Conv_12", "Sigmoid_1", "Mul_2", "Add_3"]
        );
        assert_eq!(names("MatMul + (Unnamed Layer* 14) [Shuffle]", &[]), ["MatMul", "(Unnamed Layer* 14) [Shuffle]"]);
    }

    #[test]
    fn stretches_have_two_ends() {
        assert_eq!(names("{ForeignNode[/a/Add.../b/Softmax]}", &[]), ["/a/Add../b/Softmax"]);
        assert_eq!(names("ForeignNode[x]", &[]), ["x..x"]);
        assert_eq!(
            names("{ForeignNode[318...Transpose_2125 + Flatten_2127 + (Unnamed Layer* 4) [Shuffle]]}", &[]),
            ["318..Transpose_2125&Flatten_2127&(Unnamed Layer* 4) [Shuffle]"]
        );
        assert_eq!(names("{ForeignNode[w[Constant].../vfe/Squeeze]}", &[]), ["w[Constant]../vfe/Squeeze"]);
        // Dots that belong to a name are found by the names.
        assert_eq!(names("{ForeignNode[a...b...c]}", &["a...b", "c"]), ["a...b..c"]);
    }

    #[test]
    fn copies_name_what_they_serve() {
        let copies = [
            "Reformatting CopyNode for Input Tensor 0 to a + b",
            "Reformatting CopyNode for Output Tensor 12 to a + b",
            "a + b input reformatter 0",
            "a + b output reformatter 1",
        ];
        for name in copies {
            let reading = read(name, &|_| false);
            assert_eq!((reading.beside, reading.parts), (true, vec![Part::One("a"), Part::One("b")]), "{name}");
        }
        let border = read("Reformatting CopyNode for Network Input image", &|_| false);
        assert_eq!(border, Reading { beside: true, parts: vec![Part::One("image")] });
        assert_eq!(read("/Concat_1_output_0 copy", &|_| false).parts, [Part::One("/Concat_1_output_0")]);
    }

    #[test]
    fn what_is_known_to_be_one_name_stays_whole() {
        let known = ["a + b", "x, y", "PWN(q)", "{odd", "tab copy"];
        assert_eq!(names("a + b + c", &known), ["a + b", "c"]);
        assert_eq!(names("PWN(x, y, z)", &known), ["x, y", "z"]);
        assert_eq!(names("PWN(q)", &known), ["PWN(q)"]);
        assert_eq!(names("{odd + c", &known), ["{odd", "c"]);
        assert_eq!(names("tab copy", &known), ["tab copy"]);
        assert!(!read("tab copy", &|name| known.contains(&name)).beside);
    }

    #[test]
    fn nonsense_is_read_as_it_stands() {
        assert!(names("", &[]).is_empty());
        assert_eq!(names("PWN(", &[]), ["PWN("]);
        assert_eq!(names(") + (", &[]), [")", "("]);
        let deep = "PWN(".repeat(100_000) + &")".repeat(100_000);
        assert_eq!(names(&deep, &[]).len(), 1);
        assert!(names(" + + ||, ,", &[]).len() < 9);
        assert_eq!(names("{ForeignNode[]}", &[]), [".."]);
    }
}
