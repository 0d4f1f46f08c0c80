//! Life as a service: what the host asks for through signals, and what it is told through the service manager and HTTP.

pub mod http;
pub mod notify;
pub mod prometheus;
pub mod signals;
pub mod status;
