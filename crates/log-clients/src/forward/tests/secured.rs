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
    Server::wrapped("forward+tls", session(identity, clients, versions), server::Peer::serve)
}

/// Returns the function that begins TLS on a stream.
fn session(
    identity: &KeyFiles,
    clients: Option<&Authority>,
    versions: &[&'static SupportedProtocolVersion],
) -> impl Fn(TcpStream) -> Option<Box<dyn server::Stream>> + Send + 'static {
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
    move |stream| {
        let session = ServerConnection::new(Arc::clone(&config)).ok()?;
        Some(Box::new(StreamOwned::new(session, stream)))
    }
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
    assert_eq!((client.counters().connections, client.counters().retries.total()), (1, 0));
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
fn an_ipv6_address_is_verified() {
    let authority = Authority::new("one");
    for (name, trusted) in [("::1", true), ("::2", false)] {
        let session = session(&authority.identity(name, 4000), None, rustls::ALL_VERSIONS);
        let Some(server) = Server::ipv6("forward+tls", session) else { return };
        let settings = trusting(&server, authority.ca());
        if trusted {
            delivers(settings);
        } else {
            assert!(matches!(refusal(settings), Cause::TlsRefused(_)));
        }
    }
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
        text(Path::new("/nowhere/ca.pem"), None, None)
            .contains("forward+tls://a:24224: cannot use certificates in \"/nowhere/ca.pem\": No such file")
    );
    assert!(text(&one.key, None, None).contains("there is none"));
    assert!(text(&ca, Some(&one.cert), None).contains("the client certificate has no key; write `key=FILE`"));
    assert!(text(&ca, Some(&one.cert), Some(&one.cert)).contains("a private key in"));
    assert!(text(&ca, Some(&one.cert), Some(&other.key)).contains("belong together"));
}

#[test]
fn files_in_an_address_are_for_its_server() {
    let (authority, other) = (Authority::new("one"), Authority::new("other"));
    let server = server(&authority.identity("localhost", 4000), None, rustls::ALL_VERSIONS);
    let with_own = |all: TlsSettings, own: &str| {
        let url = format!("{}?{own}", server.address());
        with(super::settings(&[]), |net| (net.servers, net.tls) = (vec![url.parse().unwrap()], all))
    };
    let all = |ca: Option<PathBuf>, insecure| TlsSettings { ca, insecure, ..TlsSettings::default() };
    let ca = |authority: &Authority| format!("ca={}", authority.ca().display());
    delivers(with_own(all(Some(other.ca()), false), &ca(&authority)));
    delivers(with_own(all(Some(other.ca()), false), "insecure"));
    // An authority, or `insecure=false`, turns off `insecure` of all servers.
    assert!(matches!(refusal(with_own(all(None, true), &ca(&other))), Cause::TlsRefused(_)));
    assert!(matches!(refusal(with_own(all(Some(other.ca()), true), "insecure=false")), Cause::TlsRefused(_)));

    let error = |own: &str| {
        let mut settings = with_own(all(Some(authority.ca()), false), own);
        settings.net.servers.insert(0, "forward+tls://first".parse().unwrap());
        let text = new_client(settings).unwrap_err().to_string();
        assert!(text.starts_with(server.address()), "{text}");
        text
    };
    let one = authority.identity("one", 4000);
    assert!(
        error("ca=/nowhere/ca%20file.pem").contains("cannot use certificates in \"/nowhere/ca file.pem\": No such")
    );
    assert!(error(&format!("cert={}", one.cert.display())).contains("no key; write `key=FILE` in the address"));
    assert!(error(&format!("key={}", one.key.display())).contains("no client certificate; write `cert=FILE`"));
}

#[test]
fn unchecked_certificates_are_reported_for_each_server() {
    let authority = Authority::new("one");
    let urls = ["forward+tls://a?insecure".to_owned(), format!("forward+tls://b?ca={}", authority.ca().display())];
    let seen = Arc::new(std::sync::Mutex::new(Vec::new()));
    let events = Arc::clone(&seen);
    let observer = Observer::new(move |event| events.lock().unwrap().push(event.to_string()));
    let servers = urls.iter().map(|url| url.parse().unwrap()).collect();
    ForwardClient::new(with(super::settings(&[]), |net| net.servers = servers), observer).unwrap();
    let seen = seen.lock().unwrap();
    assert!(seen.len() == 1 && seen[0].contains("the certificate of forward+tls://a:24224 is not checked"), "{seen:?}");
}

#[test]
fn a_host_without_authorities_is_told_what_to_write() {
    const TEST: &str = "forward::tests::secured::a_host_without_authorities_is_told_what_to_write";
    // The variable names the authorities of the system. Only a process of its own can have another value.
    if std::env::var_os("SSL_CERT_FILE").is_none_or(|path| path != *"/dev/null") {
        let mut child = std::process::Command::new(std::env::current_exe().unwrap());
        child.args(["--exact", TEST]).env("SSL_CERT_FILE", "/dev/null").env_remove("SSL_CERT_DIR");
        let output = child.output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && text.contains("1 passed"), "{text}");
        return;
    }
    let settings = with(super::settings(&[]), |net| net.servers = vec!["forward+tls://a".parse().unwrap()]);
    let text = new_client(settings).unwrap_err().to_string();
    assert!(text.starts_with("forward+tls://a:24224: this host has no certificate authority"), "{text}");
    assert!(text.contains("write `ca=FILE` in the address") && text.contains("setting for all servers"), "{text}");
}
