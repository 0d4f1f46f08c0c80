//! The checks of the fuzz targets. The code belongs to the tests, which replay every saved input.

pub mod check;
#[path = "../../support/pipeline.rs"]
pub mod pipeline;
