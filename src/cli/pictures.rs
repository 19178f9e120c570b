use super::CommandError;
use super::environment::{self, IMAGENET_CENTER_CROP, IMAGENET_NORM};
use crate::input::{Channels, Crop, PixelLayout, Preprocessing};
use clap::Args;

/// How pictures become inputs. What is left out stays as the engine has it.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Pictures")]
pub(super) struct PictureArgs {
    /// Keep the aspect ratio: short side to 256/224 of the network's size, then cut to the centre [env:
    /// IMAGENET_CENTER_CROP, where the engine stretches]
    #[arg(long)]
    center_crop: bool,

    /// Normalise as torchvision's ImageNet networks expect [env: IMAGENET_NORM, where neither --mean nor --std nor the
    /// engine says otherwise]
    #[arg(long, conflicts_with_all = ["mean", "std"])]
    imagenet_norm: bool,

    /// What to subtract from each scaled pixel, one for each channel or one for all
    #[arg(long, value_name = "X,..", value_delimiter = ',', allow_hyphen_values = true)]
    mean: Option<Vec<f32>>,

    /// What to divide by then, one for each channel or one for all
    #[arg(long, value_name = "X,..", value_delimiter = ',')]
    std: Option<Vec<f32>>,

    /// What to multiply each pixel (0..255) by first [default: 1/255]
    #[arg(long, value_name = "X")]
    scale: Option<f32>,

    /// Order of the channels: rgb, bgr, gray
    #[arg(long, value_name = "ORDER")]
    channels: Option<Channels>,

    /// Order of the input's axes: nchw, nhwc
    #[arg(long, value_name = "LAYOUT")]
    layout: Option<PixelLayout>,
}

impl PictureArgs {
    /// `base` with what was asked for.
    pub(super) fn apply(&self, base: &Preprocessing) -> Result<Preprocessing, CommandError> {
        let mut preprocessing = base.clone();
        if self.center_crop || environment::flag(IMAGENET_CENTER_CROP)? {
            preprocessing.crop = Crop::Center;
        }
        if self.imagenet_norm || (self.leaves_numbers_open(base) && environment::flag(IMAGENET_NORM)?) {
            preprocessing.imagenet_norm();
        }
        if let Some(mean) = &self.mean {
            preprocessing.mean = mean.clone();
        }
        if let Some(std) = &self.std {
            if std.iter().any(|v| !v.is_finite() || *v == 0.0) {
                return Err(CommandError::usage("--std is divided by: it must be finite and not 0"));
            }
            preprocessing.std = std.clone();
        }
        preprocessing.scale = self.scale.unwrap_or(preprocessing.scale);
        preprocessing.channels = self.channels.or(preprocessing.channels);
        preprocessing.layout = self.layout.or(preprocessing.layout);
        Ok(preprocessing)
    }

    /// True if neither the command line nor the engine has a mean or a deviation of its own.
    fn leaves_numbers_open(&self, base: &Preprocessing) -> bool {
        let Preprocessing { mean, std, .. } = Preprocessing::default();
        self.mean.is_none() && self.std.is_none() && base.mean == mean && base.std == std
    }
}
