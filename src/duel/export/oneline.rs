//! The inspector's format ONELINE, which trtexec's `--dumpLayerInfo` prints:
//!
//! ```text
//! Layers:
//! Name: a + b, LayerType: CaskConvolution, Inputs: [ { Name: x, … }], Outputs: [ { Name: y, … }], …, Metadata: …
//!
//! Bindings:
//! x
//! ```

use super::LayerInfo;
use super::layers::nodes;
use crate::duel::Layer;

/// Whether the text looks like it.
pub(super) fn is(text: &str) -> bool {
    text.trim_start().starts_with("Layers:")
}

pub(super) fn parse(text: &str) -> LayerInfo {
    let body = text.trim_start().trim_start_matches("Layers:");
    let (layers, bindings) = body.split_once("\nBindings:").unwrap_or((body, ""));
    let lines =
        |text: &str| text.lines().map(str::trim).filter(|l| !l.is_empty()).map(str::to_owned).collect::<Vec<_>>();
    LayerInfo { layers: lines(layers).iter().map(|line| layer_of(line)).collect(), bindings: lines(bindings) }
}

fn layer_of(line: &str) -> Layer {
    let detailed = line.strip_prefix("Name: ").and_then(|rest| rest.split_once(", LayerType: "));
    let Some((name, rest)) = detailed else { return Layer::named(line) };
    let after = |key: &str| rest.split_once(key).map(|(_, rest)| rest);
    let upto = |text: &str, ends: &str| text.split_once(ends).map_or(text, |(text, _)| text).to_owned();
    Layer {
        name: name.to_owned(),
        onnx: after(", Metadata: ").map(nodes).unwrap_or_default(),
        kind: Some(upto(rest, ", ")),
        tactic: after(", TacticName: ").map(|rest| upto(rest, ", ")),
        outputs: after("Outputs: [").map(outputs).unwrap_or_default(),
        time: None,
    }
}

/// The names in ` { Name: y, Location: Device, Dimensions: [1,2], … }, { … }], …`.
fn outputs(text: &str) -> Vec<String> {
    // Behind a tensor's name comes where it lies, and in some versions right away what it measures.
    let list = text.split_once(" }], ").map_or(text, |(list, _)| list);
    let names = list.split("{ Name: ").skip(1);
    let end = |port: &str| [", Location: ", ", Dimensions: "].iter().filter_map(|word| port.find(word)).min();
    names.filter_map(|port| Some(port[..end(port)?].to_owned())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "Layers:\n\
        Name: a + b, LayerType: CaskConvolution, Inputs: [ { Name: x, Location: Device, Dimensions: [1,3], Format/Datatype: \
        Half }], Outputs: [ { Name: y, Location: Device, Dimensions: [1,8], Format/Datatype: Half }, { Name: z, Dimensions: \
        [1], Format/Datatype: Half }], ParameterType: Convolution, TacticName: sm80_xmma, TacticValue: 0x1, StreamId: 0, \
        Metadata: [ONNX Layer: a]\u{1f}[ONNX Layer: b]\n\nBindings:\nx\ny\n";

    #[test]
    fn a_line_is_a_layer() {
        let info = parse(TEXT);
        let [layer] = &info.layers[..] else { panic!("{info:?}") };
        assert_eq!((layer.name.as_str(), layer.kind.as_deref()), ("a + b", Some("CaskConvolution")));
        assert_eq!((layer.onnx.join(" "), layer.outputs.join(" ")), ("a b".to_owned(), "y z".to_owned()));
        assert_eq!((layer.tactic.as_deref(), info.bindings.join(" ")), (Some("sm80_xmma"), "x y".to_owned()));
    }

    #[test]
    fn names_may_be_all_there_is() {
        let info = parse("Layers:\na + b\n/c\n\nBindings:\nx\n");
        assert_eq!(info.layers, [Layer::named("a + b"), Layer::named("/c")]);
        assert_eq!(info.bindings, ["x"]);
        assert!(parse("Layers:").layers.is_empty());
    }
}
