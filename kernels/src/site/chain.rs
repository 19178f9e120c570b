//! Dense layers one after another.

use super::GemmSite;
use serde::{Deserialize, Serialize};

/// Dense layers one after another: each multiplies what the one before has made, and only the last one's rows are
/// stored. What lies between is rounded, or quantized, as `dtype_y` and `scale_y` of the layer that makes it say.
///
/// Role::Input(0) is the first layer's left operand; [`ChainSite::weights`], [`ChainSite::bias`] and
/// [`ChainSite::scales`] name the roles of constants.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct ChainSite {
    pub layers: Vec<GemmSite>,
}
