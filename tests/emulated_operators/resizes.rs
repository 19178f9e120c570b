//! Interpolation.

use super::{check, node};
use limpid_graph::ops::{CoordinateMode, NearestMode, Resize, ResizeAxis, ResizeMode};

fn resize(mode: ResizeMode, sizes: &[usize]) -> Resize {
    let mut axes = vec![ResizeAxis::Same; 2];
    axes.extend(sizes.iter().map(|&size| ResizeAxis::Size(size.into())));
    Resize { mode, coordinates: CoordinateMode::HalfPixel, axes }
}

#[test]
fn pictures_and_signals() {
    let keys = ResizeMode::Cubic { coefficient: -0.75, exclude_outside: false };
    let inside = ResizeMode::Cubic { coefficient: -0.5, exclude_outside: true };
    for mode in [keys, inside, ResizeMode::Linear, ResizeMode::Nearest(NearestMode::Floor)] {
        check("a picture", &[&[2, 5, 4, 6]], &|g, x| node(g, resize(mode, &[7, 4]), x));
        check("a signal", &[&[2, 5, 6]], &|g, x| node(g, resize(mode, &[9]), x));
    }
}
