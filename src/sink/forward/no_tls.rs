//! What stands in for TLS where it was left out of the build: nothing of it can be made.

use std::convert::Infallible;
use std::io;

use socket2::Socket;

use super::error::{Cause, ForwardError};
use super::reply::Replies;
use super::settings::TlsSettings;

/// Who is trusted.
#[derive(Debug)]
pub(super) struct Trust(Infallible);

impl Trust {
    /// Says what is missing.
    pub(super) fn new(_: &TlsSettings) -> Result<Trust, ForwardError> {
        Err(ForwardError::MissingFeature { what: "a server with forward+tls://".to_owned(), feature: "tls" })
    }
}

/// One TLS session.
#[derive(Debug)]
pub(super) struct Session(Infallible);

impl Session {
    pub(super) fn new(trust: &Trust, _: &str) -> Result<Session, Cause> {
        match trust.0 {}
    }

    pub(super) fn is_handshaking(&self) -> bool {
        match self.0 {}
    }

    pub(super) fn wants_write(&self) -> bool {
        match self.0 {}
    }

    pub(super) fn queue(&mut self, _: &[u8]) -> Result<(), Cause> {
        match self.0 {}
    }

    pub(super) fn push(&mut self, _: &mut Socket) -> io::Result<usize> {
        match self.0 {}
    }

    pub(super) fn pull(&mut self, _: &mut Socket, _: &mut Replies) -> Result<bool, Cause> {
        match self.0 {}
    }

    pub(super) fn close(&mut self) {
        match self.0 {}
    }
}
