//! Life as a service: what the host asks for through signals, and what it is told through the service manager and HTTP.

pub mod health;
pub mod metrics;
pub mod notify;
pub mod signals;
pub mod status;
