//! What the fuzz targets check. The code is that of the tests, which run every saved input again.

pub mod check;
#[path = "../../support/pipeline.rs"]
pub mod pipeline;
