//! Delivery over TLS: certificates, versions of TLS, and a server that does not speak TLS.

use std::io::Write as _;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, date_time_ymd};
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, ServerConnection, StreamOwned, SupportedProtocolVersion};

use super::*;

impl server::Stream for StreamOwned<ServerConnection, TcpStream> {
    fn finish(&mut self) {
        self.conn.send_close_notify();
        let _ = self.flush();
    }
}

/// A certificate authority, and the files that it issued.
struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    directory: tempfile::TempDir,
}

/// The files of a certificate and its key.
struct KeyFiles {
    cert: PathBuf,
    key: PathBuf,
}

impl Authority {
    fn new(name: &str) -> Authority {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(rcgen::DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("ca.pem"), issuer.pem()).unwrap();
        Authority { issuer, directory }
    }

    fn ca(&self) -> PathBuf {
        self.directory.path().join("ca.pem")
    }

    fn identity(&self, name: &str, last_year: i32) -> KeyFiles {
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.not_after = date_time_ymd(last_year, 1, 1);
        let key = KeyPair::generate().unwrap();
        let cert = params.signed_by(&key, &self.issuer).unwrap();
        write_files(self.directory.path(), name, &cert.pem(), &key.serialize_pem())
    }
}

fn write_files(directory: &Path, name: &str, cert: &str, key: &str) -> KeyFiles {
    let identity = KeyFiles { cert: directory.join(format!("{name}.pem")), key: directory.join(format!("{name}.key")) };
    std::fs::write(&identity.cert, cert).unwrap();
    std::fs::write(&identity.key, key).unwrap();
    identity
}

/// Starts a server with a certificate. It may require client certificates of an authority.
fn server(identity: &KeyFiles, clients: Option<&Authority>, versions: &[&'static SupportedProtocolVersion]) -> Server {
    let builder = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(versions)
        .unwrap();
    let builder = match clients {
        None => builder.with_no_client_auth(),
        Some(authority) => {
            let mut roots = RootCertStore::empty();
            roots.add(CertificateDer::from_pem_file(authority.ca()).unwrap()).unwrap();
            let provider = Arc::new(ring::default_provider());
            builder.with_client_cert_verifier(
                WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build().unwrap(),
            )
        }
    };
    let chain = vec![CertificateDer::from_pem_file(&identity.cert).unwrap()];
    let config = builder.with_single_cert(chain, PrivateKeyDer::from_pem_file(&identity.key).unwrap()).unwrap();
    let config = Arc::new(config);
    let wrap = move |stream| -> Option<Box<dyn server::Stream>> {
        let session = ServerConnection::new(Arc::clone(&config)).ok()?;
        Some(Box::new(StreamOwned::new(session, stream)))
    };
    Server::wrapped("forward+tls", wrap, server::Peer::serve)
}

fn trusting(server: &Server, ca: PathBuf) -> ForwardClientSettings {
    with(settings(&[server]), |net| net.tls.ca = Some(ca))
}

fn delivers(settings: ForwardClientSettings) -> ForwardClient {
    let mut client = new_client(settings).unwrap();
    // More bytes than one TLS record holds.
    let large = texts(&vec!["abcdefghijklmnopqrstuvwxyz"; 20_000]);
    assert_eq!(client.deliver(&large, &far_deadline()).unwrap(), []);
    assert_eq!(client.deliver(&texts(&["a"]), &far_deadline()).unwrap(), []);
    assert_eq!((client.counters().connections, client.counters().retries), (1, 0));
    client
}

#[test]
fn both_versions_of_tls_deliver() {
    let authority = Authority::new("one");
    let identity = authority.identity("localhost", 4000);
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let server = server(&identity, None, &[version]);
        delivers(trusting(&server, authority.ca()));
        assert_eq!(server.texts().len(), 20_001);
    }
}

#[test]
fn the_identity_of_servers_is_verified() {
    let (authority, other) = (Authority::new("one"), Authority::new("other"));
    let refused = |server: &Server, ca| match refusal(trusting(server, ca)) {
        Cause::TlsRefused(text) => text,
        cause => panic!("{cause:?}"),
    };
    let named = server(&authority.identity("log.example", 4000), None, rustls::ALL_VERSIONS);
    let text = refused(&named, authority.ca());
    assert!(text.contains("log.example"), "{text}");
    let expired = server(&authority.identity("localhost", 2001), None, rustls::ALL_VERSIONS);
    let text = refused(&expired, authority.ca());
    assert!(text.contains("expired"), "{text}");
    let strange = server(&other.identity("localhost", 4000), None, rustls::ALL_VERSIONS);
    let text = refused(&strange, authority.ca());
    assert!(text.contains("UnknownIssuer"), "{text}");
    assert!(named.texts().is_empty() && expired.texts().is_empty() && strange.texts().is_empty());

    // The name may differ from the host, and verification may be off.
    let mut settings = trusting(&named, authority.ca());
    settings.net.servers = vec![format!("{}?server-name=log.example", named.address()).parse().unwrap()];
    delivers(settings);
    delivers(with(super::settings(&[&expired]), |net| net.tls.insecure = true));
}

#[test]
fn a_self_signed_certificate_can_be_trusted() {
    let directory = tempfile::tempdir().unwrap();
    let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    let cert = params.self_signed(&key).unwrap();
    let identity = write_files(directory.path(), "localhost", &cert.pem(), &key.serialize_pem());
    let server = server(&identity, None, rustls::ALL_VERSIONS);
    delivers(trusting(&server, identity.cert.clone()));
    let mut settings = trusting(&server, identity.cert);
    settings.net.servers = vec![server.address().replace("localhost", "127.0.0.1").parse().unwrap()];
    assert!(matches!(refusal(settings), Cause::TlsRefused(_)));
}

#[test]
fn client_certificates_work() {
    let authority = Authority::new("one");
    let client = authority.identity("client.example", 4000);
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let server = server(&authority.identity("localhost", 4000), Some(&authority), &[version]);
        let mut settings = trusting(&server, authority.ca());
        assert!(matches!(refusal(settings.clone()), Cause::TlsRefused(_)));
        settings.net.tls.cert = Some(client.cert.clone());
        settings.net.tls.key = Some(client.key.clone());
        delivers(settings);
    }
}

#[test]
fn a_server_without_tls_gets_nothing() {
    let plain = Server::start(|peer| {
        peer.send(b"\x80");
        peer.serve();
    });
    let authority = Authority::new("one");
    let mut settings = trusting(&plain, authority.ca());
    settings.net.servers = vec![plain.address().replace("forward:", "forward+tls:").parse().unwrap()];
    assert!(matches!(refusal(settings), Cause::TlsRefused(_)));
    assert!(plain.texts().is_empty());
}

#[test]
fn unusable_files_are_named() {
    let authority = Authority::new("one");
    let one = authority.identity("one", 4000);
    let other = authority.identity("other", 4000);
    let text = |ca: &Path, cert: Option<&Path>, key: Option<&Path>| {
        let owned = |path: Option<&Path>| path.map(Path::to_owned);
        let tls = TlsSettings { ca: Some(ca.to_owned()), cert: owned(cert), key: owned(key), insecure: false };
        let servers = vec!["forward+tls://a".parse().unwrap()];
        let settings = with(ForwardClientSettings::default(), |net| (net.servers, net.tls) = (servers, tls));
        let error = new_client(settings).unwrap_err();
        assert!(error.is_configuration());
        error.to_string()
    };
    let ca = authority.ca();
    assert!(
        text(Path::new("/nowhere/ca.pem"), None, None).contains("certificates in \"/nowhere/ca.pem\": No such file")
    );
    assert!(text(&one.key, None, None).contains("there is none"));
    assert!(text(&ca, Some(&one.cert), None).contains("given together"));
    assert!(text(&ca, Some(&one.cert), Some(&one.cert)).contains("a private key in"));
    assert!(text(&ca, Some(&one.cert), Some(&other.key)).contains("belong together"));
}
