use super::Engine;
use crate::port::{Layout, PortFormat, type_name};
use limpid_graph::tensor::DType;

impl Engine {
    /// What an engine's file is called where nobody says: what tells it from others of the same model.
    ///
    /// `net.fp16.engine`; `net_qat.int8.engine` for a model that brought its own scales; and, where inputs or outputs
    /// are no `fp32:chw`, what they are: `net.fp16.fp16infp16out.engine`, `net.int8.uint8hwcin.engine`.
    pub fn file_name(&self) -> String {
        let name = self.metadata.name.as_str();
        let qat = if self.metadata.quantized && !name.ends_with("_qat") { "_qat" } else { "" };
        let sides = [(self.inputs(), "in"), (self.outputs(), "out")];
        let ports: String = sides.iter().filter_map(|(ports, side)| Some(told(ports)? + side)).collect();
        let ports = if ports.is_empty() { ports } else { format!(".{ports}") };
        format!("{name}{qat}.{}{ports}.engine", self.metadata.precision)
    }
}

/// The formats of one side, each once; `None` if there is nothing to tell. What counts or points to something has one
/// format only.
fn told(ports: &[PortFormat]) -> Option<String> {
    let mut formats: Vec<String> = Vec::new();
    for port in ports.iter().filter(|port| matches!(port.dtype, DType::F32 | DType::F16 | DType::I8 | DType::U8)) {
        let layout = if port.layout == Layout::Chw { "" } else { port.layout.name() };
        let format = format!("{}{layout}", type_name(port.dtype));
        if !formats.contains(&format) {
            formats.push(format);
        }
    }
    (!formats.is_empty() && formats != ["fp32"]).then(|| formats.join("-"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use limpid_graph::tensor::Shape;

    fn ports(formats: &[(DType, Layout)]) -> Vec<PortFormat> {
        let port = |&(dtype, layout): &(DType, Layout)| PortFormat {
            name: "x".to_owned(),
            dtype,
            layout,
            shape: Shape::of(&[1, 3, 8, 8]),
            scale: None,
        };
        formats.iter().map(port).collect()
    }

    #[test]
    fn formats_are_told_once_and_only_if_there_is_something_to_tell() {
        let (single, half) = ((DType::F32, Layout::Chw), (DType::F16, Layout::Hwc8));
        assert_eq!(told(&ports(&[single, single, (DType::I64, Layout::Chw)])), None);
        assert_eq!(told(&ports(&[half, half])).as_deref(), Some("fp16hwc8"));
        assert_eq!(told(&ports(&[single, half])).as_deref(), Some("fp32-fp16hwc8"));
        assert_eq!(told(&ports(&[(DType::I64, Layout::Chw)])), None);
    }
}
