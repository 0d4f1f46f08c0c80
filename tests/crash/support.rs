//! Test support that the harness shares with the tests.

#[path = "../support/disk.rs"]
pub(crate) mod disk;
#[allow(dead_code, unused_imports, reason = "the tests use all of it")]
#[path = "../support/forward/mod.rs"]
pub(crate) mod forward;
#[allow(dead_code, unused_imports, reason = "the tests use all of it")]
#[path = "../support/journal/mod.rs"]
pub(crate) mod journal;
#[path = "../support/json.rs"]
mod json;
#[path = "../support/skip.rs"]
pub(crate) mod skip;

pub(crate) use json::Json;
