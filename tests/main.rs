//! One binary for all tests of the whole program, because linking dominates the build time.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod archives;
mod bulk;
mod cli;
mod delivery;
mod exec;
mod golden;
mod journal;
mod kubernetes;
mod outputs;
mod properties;
mod readme;
mod recipes;
mod sort;
mod support;
mod syslog;
mod tidy;
mod units;
