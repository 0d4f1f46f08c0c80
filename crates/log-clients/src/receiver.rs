//! The choice between the protocols.

use crate::address::Address;
use crate::client::Client;
use crate::error::NetError;
use crate::event::Observer;
use crate::forward::{ForwardClient, ForwardClientSettings};
use crate::settings::ServerSettings;
use crate::syslog::{SyslogClient, SyslogClientSettings};

/// The protocol and settings of a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Receiver {
    /// Fluentd's forward protocol.
    Forward(ForwardClientSettings),
    /// Syslog.
    Syslog(SyslogClientSettings),
}

impl Receiver {
    /// Returns the servers, the preferred one first.
    #[must_use]
    pub fn servers(&self) -> &[Address] {
        match self {
            Receiver::Forward(settings) => &settings.net.servers,
            Receiver::Syslog(settings) => &settings.net.servers,
        }
    }

    /// Returns a receiver for each server, with these settings and that server alone.
    #[must_use]
    pub fn each_server(&self) -> Vec<Receiver> {
        let with =
            |server: &Address, net: &ServerSettings| ServerSettings { servers: vec![server.clone()], ..net.clone() };
        let one = |server: &Address| match self {
            Receiver::Forward(all) => {
                Receiver::Forward(ForwardClientSettings { net: with(server, &all.net), ..all.clone() })
            }
            Receiver::Syslog(all) => {
                Receiver::Syslog(SyslogClientSettings { net: with(server, &all.net), ..all.clone() })
            }
        };
        self.servers().iter().map(one).collect()
    }

    /// Creates the client. Checks the settings and reads the files that they name, but opens no connection.
    ///
    /// # Errors
    /// If the settings contradict each other, name unusable files, or need a feature that this build leaves out.
    pub fn client(self, observer: Observer) -> Result<Box<dyn Client>, NetError> {
        Ok(match self {
            Receiver::Forward(settings) => Box::new(ForwardClient::new(settings, observer)?),
            Receiver::Syslog(settings) => Box::new(SyslogClient::new(settings, observer)?),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_server_has_the_settings_of_all() {
        let servers = ["forward://a?mode=gzip", "forward://b:1"].map(|server| server.parse::<Address>().unwrap());
        let net = ServerSettings { one_shot: true, ..ServerSettings::new(servers.clone()) };
        let all = Receiver::Forward(ForwardClientSettings { net, ..ForwardClientSettings::default() });
        let each = all.each_server();
        assert_eq!(each.iter().flat_map(Receiver::servers).collect::<Vec<_>>(), servers.iter().collect::<Vec<_>>());
        for one in each {
            let Receiver::Forward(one) = one else { panic!("{one:?}") };
            assert!(one.net.one_shot && one.net.servers.len() == 1);
        }
    }
}
