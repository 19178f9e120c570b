//! The grammars of trtexec's values. Every reason is the end of the sentence `--flag=value: …`.

use super::options::{LayerType, NamedShapes};
use crate::port::{FormatRequest, requests};
use limpid_graph::ir::Precision;
use std::path::PathBuf;

/// Puts a value into its place.
pub(super) fn set<T>(place: &mut T, value: Result<T, String>) -> Result<(), String> {
    *place = value?;
    Ok(())
}

/// As [`set`], for what may be absent.
pub(super) fn put<T>(place: &mut Option<T>, value: Result<T, String>) -> Result<(), String> {
    set(place, value.map(Some))
}

/// A number of 0 or more.
pub(super) fn whole(text: &str) -> Result<u32, String> {
    text.parse().map_err(|_| "expected a whole number of 0 or more".to_owned())
}

/// A number of 1 or more.
pub(super) fn positive(text: &str) -> Result<u32, String> {
    whole(text).ok().filter(|n| *n > 0).ok_or_else(|| "expected a whole number of 1 or more".to_owned())
}

/// A real number of 0 or more.
pub(super) fn amount(text: &str) -> Result<f64, String> {
    let number = text.parse::<f64>().ok().filter(|n| n.is_finite() && *n >= 0.0);
    number.ok_or_else(|| "expected a number of 0 or more".to_owned())
}

/// Seconds, or -1 for as long as nobody stops it.
pub(super) fn duration(text: &str) -> Result<Option<f64>, String> {
    if text == "-1" { Ok(None) } else { amount(text).map(Some).map_err(|reason| reason + ", or -1") }
}

/// A file's name.
pub(super) fn file(text: &str) -> Result<PathBuf, String> {
    if text.is_empty() { Err("expected a file".to_owned()) } else { Ok(PathBuf::from(text)) }
}

/// Numbers from 0 to 100, separated by commas.
pub(super) fn percentiles(text: &str) -> Result<Vec<f64>, String> {
    let percentile = |part: &str| {
        let number = part.parse::<f64>().ok().filter(|p| (0.0..=100.0).contains(p));
        number.ok_or_else(|| format!("`{part}` is no percentage from 0 to 100"))
    };
    text.split(',').map(percentile).collect()
}

/// One of several words.
pub(super) fn word<T: Copy>(text: &str, words: &[(&str, T)]) -> Result<T, String> {
    let found = words.iter().find(|(word, _)| *word == text).map(|(_, meaning)| *meaning);
    found.ok_or_else(|| {
        let known: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        format!("expected one of {}", known.join(", "))
    })
}

/// `input:8x3x224x224,other:8x10`; a scalar is `name:scalar` or `name:`.
pub(super) fn shapes(text: &str) -> Result<NamedShapes, String> {
    let shape = |part: &str| {
        let (name, extents) = named(part)?;
        let extent = |text: &str| {
            let extent = text.parse::<usize>().ok().filter(|extent| *extent > 0);
            extent.ok_or_else(|| format!("`{text}` is no extent; expected a shape such as input:1x3x224x224"))
        };
        match extents {
            "" | "scalar" => Ok((name, Vec::new())),
            _ => Ok((name, extents.split('x').map(extent).collect::<Result<_, _>>()?)),
        }
    };
    text.split(',').map(shape).collect()
}

/// `input:file,other:file`.
pub(super) fn files(text: &str) -> Result<Vec<(String, PathBuf)>, String> {
    let pair = |part: &str| {
        let (name, path) = named(part)?;
        if path.is_empty() { Err(format!("`{name}` has no file")) } else { Ok((name, PathBuf::from(path))) }
    };
    text.split(',').map(pair).collect()
}

/// `layer:fp16,other*:int8`.
pub(super) fn layer_precisions(text: &str) -> Result<Vec<LayerType>, String> {
    let layer = |part: &str| {
        let (layer, precision) = named(part)?;
        Ok(LayerType { layer: wildcard(layer)?, precision: layer_type(precision)? })
    };
    text.split(',').map(layer).collect()
}

/// `layer:fp16+fp16,other:fp32`: a type for each output.
pub(super) fn layer_output_types(text: &str) -> Result<Vec<LayerType>, String> {
    let layer = |part: &str| {
        let (layer, types) = named(part)?;
        let mut types = types.split('+').map(layer_type).collect::<Result<Vec<_>, _>>()?;
        types.dedup();
        match types[..] {
            [precision] => Ok(LayerType { layer: wildcard(layer)?, precision }),
            _ => {
                Err(format!("the outputs of `{layer}` must be of one type: limpid sets it with the layer's precision"))
            }
        }
    };
    text.split(',').map(layer).collect()
}

fn layer_type(text: &str) -> Result<Precision, String> {
    match text {
        "fp32" => Ok(Precision::Fp32),
        "fp16" => Ok(Precision::Fp16),
        "int8" => Ok(Precision::Int8),
        "bf16" => Err("limpid has no BF16 kernels; take fp16 or fp32".to_owned()),
        "int32" => Err("layers of integers stay as the model has them; leave int32 out".to_owned()),
        _ => Err(format!("`{text}` is no type; expected fp32, fp16 or int8")),
    }
}

fn wildcard(name: String) -> Result<String, String> {
    match name.matches('*').count() {
        0 | 1 => Ok(name),
        _ => Err(format!("`{name}` has more than one `*`")),
    }
}

/// `layer:GPU`: all that is possible.
pub(super) fn layer_devices(text: &str) -> Result<(), String> {
    let device = |part: &str| match named(part)?.1 {
        "GPU" => Ok(()),
        "DLA" => Err("limpid runs on GPUs and has nothing for a DLA; leave the layer out".to_owned()),
        other => Err(format!("`{other}` is no device; expected GPU")),
    };
    text.split(',').try_for_each(device)
}

/// `fp16:chw+hwc8,fp32:chw`.
pub(super) fn formats(text: &str) -> Result<Vec<FormatRequest>, String> {
    const OTHERS: [&str; 6] = ["chw2", "dhwc8", "cdhw32", "dhwc", "dla_linear", "dla_hwc4"];
    if text.split(',').any(|format| format.starts_with("bf16:")) {
        return Err("limpid has no BF16; take fp16 or fp32".to_owned());
    }
    if let Some(other) = text.split([',', ':', '+']).find(|word| OTHERS.contains(word)) {
        return Err(format!("limpid has no `{other}`; it has chw, hwc, chw4, chw16, chw32, hwc8 and hwc16"));
    }
    requests(text).map_err(|error| error.to_string())
}

/// `workspace:1024MiB,tacticSharedMem:48K`, in MiB where nothing is said: pools and bytes.
pub(super) fn pools(text: &str) -> Result<Vec<(String, u64)>, String> {
    let pool = |part: &str| {
        let (pool, size) = named(part)?;
        match pool.as_str() {
            "workspace" | "tacticSharedMem" => Ok((pool, bytes(size)?)),
            "dlaSRAM" | "dlaLocalDRAM" | "dlaGlobalDRAM" => {
                Err(format!("`{pool}` is memory of a DLA, and limpid runs on GPUs; leave it out"))
            }
            _ => Err(format!("`{pool}` is no pool; expected workspace or tacticSharedMem")),
        }
    };
    text.split(',').map(pool).collect()
}

/// A size with a base-2 suffix: B, K, M or G, or KiB, MiB or GiB; MiB where there is none.
pub(super) fn bytes(text: &str) -> Result<u64, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = match &text[digits.len()..] {
        "B" => 1.0,
        "K" | "KiB" => 1024.0,
        "" | "M" | "MiB" => 1048576.0,
        "G" | "GiB" => 1073741824.0,
        other => return Err(format!("`{other}` is no unit; expected B, K, M or G")),
    };
    Ok((amount(digits)? * unit) as u64)
}

/// Splits at the last colon. A name in single quotes may hold more of them, and so may the value behind it.
fn named(text: &str) -> Result<(String, &str), String> {
    let parts = match text.strip_prefix('\'') {
        Some(rest) => rest.split_once('\'').and_then(|(name, value)| Some((name, value.strip_prefix(':')?))),
        None => text.rsplit_once(':'),
    };
    match parts {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value)),
        _ => Err(format!("`{text}` is no name:value")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_may_hold_colons() {
        assert_eq!(named("Input:0:1x3"), Ok(("Input:0".to_owned(), "1x3")));
        assert_eq!(named("'Input:0':c:/x.bin"), Ok(("Input:0".to_owned(), "c:/x.bin")));
        assert!(named("Input").is_err() && named(":1x3").is_err() && named("'x'1").is_err() && named("'x:1").is_err());
    }

    #[test]
    fn shapes_are_lists_of_extents() {
        let both = vec![("a".to_owned(), vec![1, 3, 8]), ("b".to_owned(), vec![])];
        assert_eq!(shapes("a:1x3x8,b:scalar"), Ok(both.clone()));
        assert_eq!(shapes("a:1x3x8,b:"), Ok(both));
        for wrong in ["a", "a:1x", "a:1x-1", "a:0x3", "a:1x3,", ""] {
            assert!(shapes(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn sizes_are_in_mib_where_nothing_is_said() {
        assert_eq!(bytes("2"), Ok(2 << 20));
        assert_eq!(bytes("0.25M"), Ok(1 << 18));
        assert_eq!((bytes("3KiB"), bytes("1G"), bytes("7B")), (Ok(3072), Ok(1 << 30), Ok(7)));
        assert!(bytes("1T").is_err() && bytes("-1").is_err() && bytes("").is_err() && bytes("MiB").is_err());
    }
}
