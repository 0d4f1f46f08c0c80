//! Tests of the forward client, against servers that keep to the protocol and servers that do not.

mod acks;
mod batches;
mod handshakes;
mod health;
mod options;
mod poison;
#[cfg(feature = "tls")]
mod secured;
mod server;

use std::time::{Duration, Instant};

use super::*;
use crate::address::Address;
use crate::chunk::Chunk;
use crate::client::Client;
use crate::error::{Cause, NetError};
use crate::event::Observer;
use crate::server_options::ForwardMode;
use crate::settings::{ServerSettings, Spread, TlsSettings};
use crate::status::{Counters, RetryReason};
use server::Server;

/// A challenge with nonce 00…0f and auth 10…1f. Its answer has key `secret`, client `client.example`, user `kata` and
/// password `s3cret`.
pub(super) const HELO: &str = "92a448454c4f83a56e6f6e6365c410000102030405060708090a0b0c0d0e0fa461757\
                               468c4101011121314151617\
                               18191a1b1c1d1e1fa96b656570616c697665c3";
/// The challenge as Fluent Bit writes it.
pub(super) const HELO_STR: &str = "92a448454c4f82a56e6f6e6365b0000102030405060708090a0b0c0d0e0fa4617\
                                   57468b01011121314151617\
                                   18191a1b1c1d1e1f";
/// The challenge of a server without users.
pub(super) const HELO_NO_AUTH: &str = "92a448454c4f83a56e6f6e6365c410000102030405060708090a0b0c0d0e0\
                                       fa461757468a0a96b6565\
                                       70616c697665c3";
/// The salt of the client.
pub(super) const SALT: &str = "00112233445566778899aabbccddeeff";

pub(super) fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().map(|digit| char::from(digit).to_digit(16).unwrap() as u8).collect();
    digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}

/// Builds a chunk from entries in hexadecimal digits.
pub(super) fn chunk(entries: &[&str]) -> Chunk {
    let mut chunk = Chunk::new("kata.runtime");
    entries.iter().for_each(|entry| chunk.push_message(&hex(entry)));
    chunk
}

/// Builds a chunk of entries `{"m": text}`.
fn texts(texts: &[&str]) -> Chunk {
    let entry = |text: &&str| {
        let letters: String = text.bytes().map(|byte| format!("{byte:02x}")).collect();
        format!("92d7005e4fb17f30538bcf81a16d{:02x}{letters}", 0xa0 + text.len())
    };
    let entries: Vec<String> = texts.iter().map(entry).collect();
    chunk(&entries.iter().map(String::as_str).collect::<Vec<_>>())
}

/// Builds a chunk that is larger than any socket buffer.
fn large() -> Chunk {
    let length = 16 << 20;
    let mut entries = hex("92d7005e4fb17f30538bcf81a16ddb");
    entries.extend_from_slice(&u32::try_from(length).unwrap().to_be_bytes());
    entries.resize(entries.len() + length, b'x');
    let ends = vec![entries.len()];
    Chunk::from_encoded("kata.runtime", entries, ends)
}

/// Returns settings with short backoffs and the default timeouts.
fn settings(servers: &[&Server]) -> ForwardClientSettings {
    let net = ServerSettings {
        servers: servers.iter().map(|server| server.address().parse().unwrap()).collect(),
        first_backoff: Duration::from_millis(1),
        last_backoff: Duration::from_millis(10),
        ..ServerSettings::default()
    };
    ForwardClientSettings { net, hostname: Some("client.example".to_owned()), ..ForwardClientSettings::default() }
}

/// Changes the server settings.
fn with(mut settings: ForwardClientSettings, change: impl FnOnce(&mut ServerSettings)) -> ForwardClientSettings {
    change(&mut settings.net);
    settings
}

/// Returns a deadline beyond the length of any test, so that a test that hangs fails.
fn far_deadline() -> Instant {
    Instant::now() + Duration::from_secs(30)
}

fn new_client(settings: ForwardClientSettings) -> Result<ForwardClient, NetError> {
    ForwardClient::new(settings, Observer::default())
}

/// Delivers in a one-shot run, and returns the cause of the refusal.
fn refusal(mut settings: ForwardClientSettings) -> Cause {
    settings.net.one_shot = true;
    match new_client(settings).unwrap().deliver(&texts(&["a"]), &far_deadline()) {
        Err(error @ NetError::Refused { .. }) => {
            assert!(error.is_configuration() && error.to_string().contains("forward"), "{error}");
            let NetError::Refused { cause, .. } = error else { unreachable!() };
            cause
        }
        other => panic!("{other:?}"),
    }
}
