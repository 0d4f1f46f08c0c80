//! TLS configuration and sessions. The owner of the socket drives the session.

use std::io::{self, ErrorKind, Read as _, Write as _};
use std::path::Path;
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::verify_server_name;
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::{Error as PemError, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{
    AlertDescription, CertificateError, ClientConfig, ClientConnection, DigitallySignedStruct, Error, RootCertStore,
    SignatureScheme,
};
use socket2::Socket;

use crate::error::{Cause, NetError};
use crate::settings::TlsSettings;

/// The trusted authorities and the client certificate.
#[derive(Clone, Debug)]
pub(crate) struct TlsContext(Arc<ClientConfig>);

impl TlsContext {
    /// Loads the certificates and the key from the files that the settings name.
    pub(crate) fn new(settings: &TlsSettings) -> Result<TlsContext, NetError> {
        let provider = Arc::new(ring::default_provider());
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(|_| NetError::Settings("this build offers no version of TLS"))?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Verifier::new(settings, provider)?));
        let config = match (&settings.cert, &settings.key) {
            (None, None) => builder.with_no_client_auth(),
            (Some(cert), Some(key)) => {
                let chain = certificates(cert)?;
                let key = PrivateKeyDer::from_pem_file(key).map_err(|error| pem_error("a private key", key, &error))?;
                builder
                    .with_client_auth_cert(chain, key)
                    .map_err(|error| NetError::ClientCertificate(error.to_string()))?
            }
            (Some(_), None) => {
                return Err(NetError::Settings(
                    "the client certificate has no key; write `key=FILE` in the address, or set the key for all servers",
                ));
            }
            (None, Some(_)) => {
                return Err(NetError::Settings(
                    "the key has no client certificate; write `cert=FILE` in the address, or set the certificate for \
                     all servers",
                ));
            }
        };
        Ok(TlsContext(Arc::new(config)))
    }
}

/// Reads the certificates of a PEM file. An empty file is an error.
fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, NetError> {
    let wrong = |error: &PemError| pem_error("certificates", path, error);
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_file_iter(path).map_err(|error| wrong(&error))?.collect();
    match certificates {
        Ok(certificates) if certificates.is_empty() => Err(wrong(&PemError::NoItemsFound)),
        Ok(certificates) => Ok(certificates),
        Err(error) => Err(wrong(&error)),
    }
}

fn pem_error(what: &'static str, path: &Path, error: &PemError) -> NetError {
    let cause = match error {
        PemError::Io(error) => error.to_string(),
        PemError::NoItemsFound => "there is none".to_owned(),
        other => other.to_string(),
    };
    NetError::Pem { what, path: path.to_owned(), cause }
}

/// Verifies the certificates of servers.
#[derive(Debug)]
struct Verifier {
    provider: Arc<CryptoProvider>,
    /// The verifier by WebPKI rules; `None` if verification is off.
    webpki: Option<Arc<WebPkiServerVerifier>>,
    /// The authorities that the user named.
    trusted: Vec<CertificateDer<'static>>,
}

impl Verifier {
    fn new(settings: &TlsSettings, provider: Arc<CryptoProvider>) -> Result<Verifier, NetError> {
        if settings.insecure {
            return Ok(Verifier { provider, webpki: None, trusted: Vec::new() });
        }
        let mut roots = RootCertStore::empty();
        let mut trusted = Vec::new();
        let mut cause = String::new();
        if let Some(path) = &settings.ca {
            trusted = certificates(path)?;
            roots.add_parsable_certificates(trusted.iter().cloned());
            if roots.is_empty() {
                return Err(pem_error("certificates", path, &PemError::NoItemsFound));
            }
        } else {
            let found = rustls_native_certs::load_native_certs();
            roots.add_parsable_certificates(found.certs);
            if let Some(error) = found.errors.first() {
                cause = format!(": {error}");
            }
        }
        let webpki = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
            .build()
            .map_err(|_| NetError::NoAuthorities { cause })?;
        Ok(Verifier { provider, webpki: Some(webpki), trusted })
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let Some(webpki) = &self.webpki else { return Ok(ServerCertVerified::assertion()) };
        match webpki.verify_server_cert(certificate, others, name, ocsp, now) {
            // WebPKI refuses a self-signed certificate as a server's, because it claims to be an authority. If the user
            // named this very certificate, only its name is left to verify: WebPKI has checked the dates before.
            Err(Error::InvalidCertificate(CertificateError::Other(_)))
                if self.trusted.iter().any(|trusted| trusted == certificate) =>
            {
                verify_server_name(&ParsedCertificate::try_from(certificate)?, name)?;
                Ok(ServerCertVerified::assertion())
            }
            result => result,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

/// One TLS session.
#[derive(Debug)]
pub(crate) struct TlsSession(ClientConnection);

impl TlsSession {
    /// Creates a session with a server of this name or IP address.
    pub(crate) fn new(trust: &TlsContext, name: &str) -> Result<TlsSession, Cause> {
        // Certificates do not name the link of a link-local address.
        let name = name.split_once('%').map_or(name, |(address, _)| address);
        let name = ServerName::try_from(name.to_owned()).map_err(|error| Cause::TlsRefused(error.to_string()))?;
        let mut session = ClientConnection::new(Arc::clone(&trust.0), name).map_err(tls_cause)?;
        // The session queues each request whole.
        session.set_buffer_limit(None);
        Ok(TlsSession(session))
    }

    /// Returns whether the handshake is in progress.
    pub(crate) fn is_handshaking(&self) -> bool {
        self.0.is_handshaking()
    }

    /// Returns whether encrypted bytes are pending.
    pub(crate) fn wants_write(&self) -> bool {
        self.0.wants_write()
    }

    /// Queues bytes for encryption.
    pub(crate) fn queue(&mut self, bytes: &[u8]) -> Result<(), Cause> {
        self.0.writer().write_all(bytes).map_err(Cause::Broken)
    }

    /// Writes encrypted bytes to the socket, and returns their number.
    pub(crate) fn write_tls(&mut self, socket: &mut Socket) -> io::Result<usize> {
        if self.0.wants_write() { self.0.write_tls(socket) } else { Ok(0) }
    }

    /// Reads from the socket, and appends decrypted bytes to `input`. Returns whether anything arrived.
    pub(crate) fn read_tls(&mut self, socket: &mut Socket, input: &mut Vec<u8>) -> Result<bool, Cause> {
        match self.0.read_tls(socket) {
            Ok(_) => {}
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => return Ok(false),
            Err(error) => return Err(Cause::Broken(error)),
        }
        if let Err(error) = self.0.process_new_packets() {
            // Sends the alert with the reason, if the server still reads.
            let _ = self.write_tls(socket);
            return Err(tls_cause(error));
        }
        let mut buffer = [0; 4096];
        let mut arrived = false;
        loop {
            match self.0.reader().read(&mut buffer) {
                Ok(count) if count > 0 => {
                    input.extend_from_slice(buffer.get(..count).unwrap_or_default());
                    arrived = true;
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(true),
                // The peer has closed, with or without an alert. Earlier bytes count.
                _ if arrived => return Ok(true),
                _ => return Err(Cause::Closed),
            }
        }
    }

    /// Queues the end of the session.
    pub(crate) fn close(&mut self) {
        self.0.send_close_notify();
    }
}

/// Classifies an error. Certificates, names and versions need a change of the configuration; other errors may pass.
fn tls_cause(error: Error) -> Cause {
    use AlertDescription as Alert;
    match error {
        Error::InvalidCertificate(_)
        | Error::PeerIncompatible(_)
        | Error::InvalidMessage(_)
        | Error::UnsupportedNameType
        | Error::AlertReceived(
            Alert::HandshakeFailure
            | Alert::NoCertificate
            | Alert::BadCertificate
            | Alert::UnsupportedCertificate
            | Alert::CertificateRevoked
            | Alert::CertificateExpired
            | Alert::CertificateUnknown
            | Alert::CertificateRequired
            | Alert::UnknownCA
            | Alert::AccessDenied
            | Alert::ProtocolVersion
            | Alert::InsufficientSecurity
            | Alert::UnrecognisedName,
        ) => Cause::TlsRefused(error.to_string()),
        _ => Cause::Tls(error.to_string()),
    }
}
