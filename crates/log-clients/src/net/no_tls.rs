//! Replaces the module `tls` in builds without the feature `tls`. The types here have no values.

use std::convert::Infallible;
use std::io;

use socket2::Socket;

use crate::error::{Cause, NetError};
use crate::settings::TlsSettings;

/// A stand-in for the TLS configuration. It has no values, because this build has no TLS.
#[derive(Clone, Debug)]
pub(crate) struct TlsContext(Infallible);

impl TlsContext {
    /// Returns the error that names the missing feature.
    pub(crate) fn new(_: &TlsSettings) -> Result<TlsContext, NetError> {
        Err(NetError::MissingFeature { what: "no server with TLS can be used".to_owned(), feature: "tls" })
    }
}

/// A stand-in for a TLS session. It has no values, because this build has no TLS.
#[derive(Debug)]
pub(crate) struct TlsSession(Infallible);

impl TlsSession {
    pub(crate) fn new(trust: &TlsContext, _: &str) -> Result<TlsSession, Cause> {
        match trust.0 {}
    }

    pub(crate) fn is_handshaking(&self) -> bool {
        match self.0 {}
    }

    pub(crate) fn wants_write(&self) -> bool {
        match self.0 {}
    }

    pub(crate) fn queue(&mut self, _: &[u8]) -> Result<(), Cause> {
        match self.0 {}
    }

    pub(crate) fn write_tls(&mut self, _: &mut Socket) -> io::Result<usize> {
        match self.0 {}
    }

    pub(crate) fn read_tls(&mut self, _: &mut Socket, _: &mut Vec<u8>) -> Result<bool, Cause> {
        match self.0 {}
    }

    pub(crate) fn close(&mut self) {
        match self.0 {}
    }
}
