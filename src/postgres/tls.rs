//! TLS as libpq does it, by rustls (<https://www.postgresql.org/docs/current/libpq-ssl.html>).
//!
//! Owns which certificates are read and how a server's one is checked for each `sslmode`. Does not
//! open connections.

use super::target::{Endpoint, Roots, SslMode, Target, TlsSettings};
use crate::error::{Error, Kind, Result};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use std::fs;
use std::path::Path;
use std::sync::Arc;
use tokio_postgres::config::SslNegotiation;
use tokio_postgres_rustls::MakeRustlsConnect;

/// What is checked of a server's certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Depth {
    Nothing,
    Chain,
    ChainAndName,
}

/// The connector for one target. Reads the certificates that its settings name, unless it has sockets only.
pub(super) fn connector(target: &Target) -> Result<MakeRustlsConnect> {
    let is_on_network = target.endpoints().any(|endpoint| matches!(endpoint, Endpoint::Tcp { .. }));
    let mut settings = target.tls.clone();
    if !is_on_network {
        settings.mode = SslMode::Disable;
    }
    configured(&settings)
}

fn configured(settings: &TlsSettings) -> Result<MakeRustlsConnect> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let (depth, trusted) = trusted(settings)?;
    let versions: &[&rustls::SupportedProtocolVersion] =
        if settings.only_tls13 { &[&rustls::version::TLS13] } else { rustls::ALL_VERSIONS };
    let builder = ClientConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(versions)
        .map_err(|e| Error::new(Kind::Bug, "the TLS library lacks its own protocol versions").cause(e))?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Verifier { depth, trusted, provider }));
    let mut config = match client_certificate(settings)? {
        Some((chain, key)) => builder.with_client_auth_cert(chain, key).map_err(|e| {
            Error::new(Kind::Usage, "the client certificate and its key do not belong together").cause(e)
        })?,
        None => builder.with_no_client_auth(),
    };
    if settings.negotiation == SslNegotiation::Direct {
        config.alpn_protocols = vec![b"postgresql".to_vec()];
    }
    Ok(MakeRustlsConnect::new(config))
}

/// The certificates that are trusted.
#[derive(Debug)]
struct Trusted {
    roots: RootCertStore,
    /// Those of a file, whole: a server may show one of them as its own.
    named: Vec<CertificateDer<'static>>,
}

impl Default for Trusted {
    fn default() -> Self {
        Self { roots: RootCertStore::empty(), named: Vec::new() }
    }
}

/// How deep to check, and against which roots.
fn trusted(settings: &TlsSettings) -> Result<(Depth, Trusted)> {
    let depth = match settings.mode {
        SslMode::Disable | SslMode::Allow | SslMode::Prefer => return Ok((Depth::Nothing, Trusted::default())),
        SslMode::Require | SslMode::VerifyCa => Depth::Chain,
        SslMode::VerifyFull => Depth::ChainAndName,
    };
    match &settings.roots {
        Roots::System => Ok((depth, Trusted { roots: system_roots()?, named: Vec::new() })),
        // libpq takes `require` with a missing file as "do not check"; a misspelt path should not do that.
        Roots::Named(path) => Ok((depth, roots_in(path)?)),
        Roots::Default(Some(path)) if path.exists() => Ok((depth, roots_in(path)?)),
        Roots::Default(_) if settings.mode == SslMode::Require => Ok((Depth::Nothing, Trusted::default())),
        Roots::Default(path) => Err(Error::new(
            Kind::Usage,
            format!("`sslmode={}` needs a root certificate and there is none", settings.mode.word()),
        )
        .fact(path.as_ref().map_or_else(|| "no home directory".to_owned(), |p| format!("no file `{}`", p.display())))
        .hint("sslrootcert=/path/to/ca.crt, or sslrootcert=system for a certificate of a public authority")),
    }
}

fn system_roots() -> Result<RootCertStore> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    let (added, _) = roots.add_parsable_certificates(found.certs);
    if added > 0 {
        return Ok(roots);
    }
    let error = Error::new(Kind::Usage, "the system has no trusted certificates for `sslrootcert=system`")
        .hint("install them (Debian: apt install ca-certificates), or name a file with sslrootcert=");
    Err(match found.errors.into_iter().next() {
        Some(cause) => error.cause(cause),
        None => error,
    })
}

fn roots_in(path: &Path) -> Result<Trusted> {
    let named = certificates(path, "root certificate")?;
    let mut roots = RootCertStore::empty();
    for certificate in &named {
        roots.add(certificate.clone()).map_err(|e| {
            Error::new(Kind::Usage, format!("`{}` holds something that is no root certificate", path.display()))
                .cause(e)
        })?;
    }
    Ok(Trusted { roots, named })
}

/// All certificates of a PEM file; at least one.
fn certificates(path: &Path, what: &str) -> Result<Vec<CertificateDer<'static>>> {
    let unreadable = |e| Error::new(Kind::Usage, format!("the {what} `{}` cannot be read", path.display())).cause(e);
    let certificates: Vec<_> = CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect::<std::result::Result<_, _>>)
        .map_err(|e: rustls::pki_types::pem::Error| unreadable(e))?;
    if certificates.is_empty() {
        return Err(Error::new(
            Kind::Usage,
            format!("the {what} `{}` holds no certificate in PEM form", path.display()),
        ));
    }
    Ok(certificates)
}

type ClientCertificate = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

fn client_certificate(settings: &TlsSettings) -> Result<Option<ClientCertificate>> {
    let Some(cert) = settings.cert.as_deref().filter(|cert| settings.cert_is_named || cert.exists()) else {
        return Ok(None);
    };
    if settings.mode == SslMode::Disable {
        return Ok(None);
    }
    let chain = certificates(cert, "client certificate")?;
    let key = settings.key.as_deref().ok_or_else(|| {
        Error::new(Kind::Usage, format!("the client certificate `{}` has no key", cert.display())).hint("sslkey=PATH")
    })?;
    check_private(key)?;
    let key = PrivateKeyDer::from_pem_file(key).map_err(|e| {
        Error::new(Kind::Usage, format!("the private key `{}` cannot be read", key.display()))
            .cause(e)
            .hint("a key with a passphrase has to be decrypted first: openssl pkey -in KEY -out PLAIN")
    })?;
    Ok(Some((chain, key)))
}

/// libpq's rule: a key that others may read is not used. One that root owns may be readable to its group.
#[cfg(unix)]
fn check_private(key: &Path) -> Result<()> {
    use std::os::unix::fs::MetadataExt;
    let Ok(metadata) = fs::metadata(key) else { return Ok(()) };
    let open = if metadata.uid() == 0 { 0o037 } else { 0o077 };
    if metadata.mode() & open == 0 {
        return Ok(());
    }
    Err(Error::new(Kind::Usage, format!("others may read the private key `{}`", key.display()))
        .hint(format!("chmod 600 {}", key.display())))
}

#[cfg(not(unix))]
fn check_private(_: &Path) -> Result<()> {
    Ok(())
}

/// Checks a server's certificate as deep as the `sslmode` asks.
#[derive(Debug)]
struct Verifier {
    depth: Depth,
    trusted: Trusted,
    provider: Arc<CryptoProvider>,
}

impl Verifier {
    fn chain(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> std::result::Result<(), rustls::Error> {
        let parsed = ParsedCertificate::try_from(certificate)?;
        let algorithms = self.provider.signature_verification_algorithms;
        let roots = &self.trusted.roots;
        match verify_server_cert_signed_by_trust_anchor(&parsed, roots, intermediates, now, algorithms.all) {
            // `openssl req -x509`, as in PostgreSQL's manual, makes an authority's certificate, and servers show
            // it as their own. The library finds that wrong only after its dates were found right; libpq
            // takes it, and a certificate that was named as trusted is one.
            Err(e) if is_authority_as_server(&e) && self.trusted.named.iter().any(|c| c == certificate) => Ok(()),
            result => result,
        }
    }
}

/// The case has no name of its own among the library's public errors.
fn is_authority_as_server(error: &rustls::Error) -> bool {
    matches!(error, rustls::Error::InvalidCertificate(CertificateError::Other(e)) if e.to_string().contains("CaUsedAsEndEntity"))
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> std::result::Result<ServerCertVerified, rustls::Error> {
        if self.depth != Depth::Nothing {
            self.chain(certificate, intermediates, now)?;
        }
        if self.depth == Depth::ChainAndName {
            verify_server_name(&ParsedCertificate::try_from(certificate)?, server_name)?;
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
