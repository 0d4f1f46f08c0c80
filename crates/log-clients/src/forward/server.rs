//! The settings for one server: those of all servers, and the options of its address that override them.

use std::fs;
use std::path::Path;

use super::handshake::ClientIdentity;
use super::settings::{ForwardClientSettings, Secret};
use crate::address::Address;
use crate::error::NetError;
use crate::server_options::ForwardMode;

/// The form of the requests to one server, and the identity to prove there.
#[derive(Debug)]
pub(super) struct ForwardServer {
    pub(super) mode: ForwardMode,
    pub(super) time_as_integer: bool,
    /// The identity for the handshake; `None` for a server without one.
    pub(super) identity: Option<ClientIdentity>,
}

impl ForwardServer {
    /// Merges the settings for each server, and reads the files that the addresses name.
    pub(super) fn all(settings: &ForwardClientSettings) -> Result<Vec<ForwardServer>, NetError> {
        let servers = &settings.net.servers;
        // A password for all servers may be meant for some: those that have a user.
        let any_user = settings.user.is_some() || servers.iter().any(|server| server.options.user.is_some());
        let new =
            |address: &Address| ForwardServer::new(settings, address, any_user).map_err(|error| error.at(address));
        servers.iter().map(new).collect()
    }

    fn new(settings: &ForwardClientSettings, address: &Address, any_user: bool) -> Result<ForwardServer, NetError> {
        let options = &address.options;
        let mode = options.mode.unwrap_or(settings.mode);
        check_codec(mode)?;
        let mut own = settings.clone();
        own.user = options.user.clone().or(own.user);
        if own.user.is_none() && any_user {
            own.password = None;
        }
        if let Some(path) = &options.shared_key_file {
            own.shared_key = Some(read_secret("shared key", path)?);
        }
        if let Some(path) = &options.password_file {
            own.password = Some(read_secret("password", path)?);
        }
        let identity = ClientIdentity::new(&own)?;
        let time_as_integer = options.time_as_integer.unwrap_or(settings.time_as_integer);
        Ok(ForwardServer { mode, time_as_integer, identity })
    }
}

/// Refuses a mode whose codec this build leaves out.
fn check_codec(mode: ForwardMode) -> Result<(), NetError> {
    let (available, feature) = match mode {
        ForwardMode::Gzip => (cfg!(feature = "gzip"), "gzip"),
        ForwardMode::Zstd => (cfg!(feature = "zstd"), "zstd"),
        ForwardMode::Packed | ForwardMode::Forward | ForwardMode::Message => return Ok(()),
    };
    let missing = || NetError::MissingFeature { what: format!("no chunk can be sent with {feature}"), feature };
    if available { Ok(()) } else { Err(missing()) }
}

/// Reads a secret from a file, without a line end after it.
fn read_secret(what: &'static str, path: &Path) -> Result<Secret, NetError> {
    match fs::read(path) {
        Ok(bytes) => Ok(Secret::from_file_content(bytes)),
        Err(cause) => Err(NetError::SecretFile { what, path: path.to_owned(), cause }),
    }
}
