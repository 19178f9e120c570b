use crate::builder::PictureInput;
use crate::port::FormatRequest;
use clap::Args;

/// How inputs and outputs lie in the caller's memory.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Inputs and outputs")]
pub(super) struct FormatArgs {
    /// Types and layouts of the inputs, one for each or one for all: TYPE:LAYOUT, TYPE one of fp32, fp16, int8, uint8,
    /// LAYOUT one of chw, hwc, chw4, chw16, chw32, hwc8, hwc16; LAYOUT+LAYOUT lets limpid choose, int8@SCALE gives
    /// integers a scale [default: the model's types, chw]
    #[arg(long = "input-formats", value_name = "FORMAT,..", value_delimiter = ',')]
    pub(super) inputs: Vec<FormatRequest>,

    /// As --input-formats, for the outputs
    #[arg(long = "output-formats", value_name = "FORMAT,..", value_delimiter = ',')]
    pub(super) outputs: Vec<FormatRequest>,

    /// Take pictures as bytes (N,H,W,3) of this size, or of any: resizing, cropping and normalisation, as the options for
    /// pictures say, become the engine's first kernel
    #[arg(long, value_name = "HxW|any", conflicts_with = "inputs")]
    pub(super) picture_input: Option<PictureInput>,
}
