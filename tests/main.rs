//! One binary for all tests of the whole program, because linking dominates the build time.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod archives;
mod check;
mod cli;
mod delivery;
mod diagnostics;
mod exec_inputs;
mod filters;
mod golden;
mod inputs;
mod journal;
mod kubernetes;
mod lnav;
mod operator_files;
mod order;
mod outputs;
mod progress;
mod properties;
mod readme;
mod recipes;
mod secrets;
mod sort;
mod support;
mod syslog;
mod terminal;
mod tidy;
mod trust;
mod usage;
mod view;
