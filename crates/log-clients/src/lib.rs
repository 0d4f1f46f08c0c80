//! Clients of log servers: Fluentd's forward protocol and syslog, with acknowledgement, TLS and failover.
//!
//! ```text
//!  Chunk ─► Client: forward or syslog ─► net: server selection, connections, TLS ─► bytes out, bytes in
//! ```
//!
//! A client delivers a [`Chunk`] at least once. It prints nothing and reads no clock but the monotonic one: an
//! [`Observer`] receives its [`Event`]s, and a [`Shutdown`] limits how long it may deliver.
//!
//! # Example
//!
//! Deliver two records, and wait until the server has acknowledged both:
//!
//! ```
//! use std::time::{Duration, Instant, SystemTime};
//!
//! use log_clients::{Chunk, ForwardClientSettings, Observer, Receiver, ServerSettings};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let address = "forward://127.0.0.1:24224";
//! # let (loopback, requests) = loopback_server()?;
//! # let address = loopback.as_str();
//! let net = ServerSettings::new([address.parse()?]);
//! let settings = ForwardClientSettings { net, ..ForwardClientSettings::default() };
//! let mut client = Receiver::Forward(settings).client(Observer::default())?;
//!
//! let mut chunk = Chunk::new("shop.orders");
//! chunk.push(SystemTime::now(), [("level", "info"), ("message", "order 17 paid")]);
//! chunk.push(SystemTime::now(), [("level", "warn"), ("message", "order 18 has no address")]);
//!
//! let deadline = Instant::now() + Duration::from_secs(30);
//! let refused = client.deliver(&chunk, &deadline)?;
//! assert!(refused.is_empty());
//! client.finish(&deadline)?;
//! # let request = requests.recv()?;
//! # assert_eq!(request[0].as_str(), Some("shop.orders"));
//! # assert_eq!(request[2]["size"].as_u64(), Some(2));
//! # Ok(())
//! # }
//! #
//! # /// Starts a server that acknowledges each request, and returns its address and the requests.
//! # fn loopback_server() -> std::io::Result<(String, std::sync::mpsc::Receiver<rmpv::Value>)> {
//! #     use rmpv::{Value, decode::read_value, encode::write_value};
//! #     let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
//! #     let address = format!("forward://{}", listener.local_addr()?);
//! #     let (sender, requests) = std::sync::mpsc::channel();
//! #     std::thread::spawn(move || {
//! #         let (mut stream, _) = listener.accept().unwrap();
//! #         while let Ok(request) = read_value(&mut stream) {
//! #             let ack = Value::Map(vec![("ack".into(), request[2]["chunk"].clone())]);
//! #             write_value(&mut stream, &ack).unwrap();
//! #             sender.send(request).unwrap();
//! #         }
//! #     });
//! #     Ok((address, requests))
//! # }
//! ```

// A protocol is a `Client`, a scheme in `address`, and an arm in `receiver`. A module imports only modules above it.
mod named_enum;
mod shutdown;
mod server_options;
mod address;
mod settings;
mod error;
mod event;
mod chunk;
mod status;
mod client;
mod net;
mod forward;
mod syslog;
mod receiver;

pub use address::{Address, AddressError, Protocol, Transport};
pub use chunk::{Chunk, Refused};
pub use client::Client;
pub use error::{Cause, NetError};
pub use event::{Event, Observer};
pub use forward::{ForwardClientSettings, Secret};
pub use named_enum::UnknownName;
pub use receiver::Receiver;
pub use server_options::{ForwardMode, Framing, ServerOptions};
pub use settings::{ServerSettings, Spread, TlsSettings};
pub use shutdown::Shutdown;
pub use status::{ClientStatus, Counters, Retries, RetryReason, ServerStatus, StatusHandle};
pub use syslog::SyslogClientSettings;
