//! TLS against a server of our own: the trust store, `--cacert`, and a handshake that fails.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

use super::testing::unreachable_settings;
use super::*;

/// A certificate authority made for this test, valid from 2020 to 2119. Its key was thrown away.
const AUTHORITY: &str = "\
-----BEGIN CERTIFICATE-----
MIIBaDCCAQ2gAwIBAgIBATAKBggqhkjOPQQDAjAiMSAwHgYDVQQDDBdwYXRjaGN0
bCB0ZXN0IGF1dGhvcml0eTAgFw0yMDAxMDEwMDAwMDBaGA8yMTIwMDEwMTAwMDAw
MFowIjEgMB4GA1UEAwwXcGF0Y2hjdGwgdGVzdCBhdXRob3JpdHkwWTATBgcqhkjO
PQIBBggqhkjOPQMBBwNCAASEVTRvHZtY6tDPfR/sHElYVwpBhMLq073xg8dWDgAF
A8MDdSvBLH9g79iY9j6e+YG/XOnyNn/7ojOet5rvFygHozIwMDAPBgNVHRMBAf8E
BTADAQH/MB0GA1UdDgQWBBSWLsBP1wPy9UuAqyjvRW83WnQpDjAKBggqhkjOPQQD
AgNJADBGAiEA55tk+DSQ3C+WnOG60FVGkrYxMGZGZPZKUYELoUPxHVQCIQCTEeHB
e1bKwZ9NYHcqyNDj4fN2v9pDr7rsz/tzXtg0yA==
-----END CERTIFICATE-----
";

/// A certificate for `localhost` and `127.0.0.1` signed by it, in base64, and its key. They guard nothing.
const CERTIFICATE: &str = "MIIBpDCCAUugAwIBAgIBATAKBggqhkjOPQQDAjAiMSAwHgYDVQQDDBdwYXRjaGN0bCB0ZXN0IGF1dGhvcml0eTAgFw0yMDAxMDEw \
    MDAwMDBaGA8yMTIwMDEwMTAwMDAwMFowFDESMBAGA1UEAwwJbG9jYWxob3N0MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEsueu \
    LEHZGWivzFbFi7YEAwlfNMVUitdrv2g1xZfmP4g4SdYO4V6t3aw5Q2r9hEsKEfSugmm2vFSk9FOcix9QiaN+MHwwGgYDVR0RBBMw \
    EYIJbG9jYWxob3N0hwR/AAABMAkGA1UdEwQCMAAwEwYDVR0lBAwwCgYIKwYBBQUHAwEwHQYDVR0OBBYEFKzFIHNwgthBJ1i8508j \
    lvjjYYQyMB8GA1UdIwQYMBaAFJYuwE/XA/L1S4CrKO9FbzdadCkOMAoGCCqGSM49BAMCA0cAMEQCIBmGqGrWshb2YPx4r1901wGl \
    rmMEM0hO1nwDp6txI9eTAiAPmkM2POIcDb04Pv9NXyov48relbbpZETn54h9hQg3Xg==";
const KEY: &str = "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg0WLVXjs3cv6dn5GG6eX1v8x2HbDG9ffWos2S8EDFdF+hRANCAASy \
    564sQdkZaK/MVsWLtgQDCV80xVSK12u/aDXFl+Y/iDhJ1g7hXq3drDlDav2ESwoR9K6Caba8VKT0U5yLH1CJ";

/// Speaks TLS and answers every request with a token. Returns the port.
fn tls_server() -> u16 {
    let decoded = |text: &str| STANDARD.decode(text.replace(' ', "")).unwrap();
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(decoded(KEY)));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![CertificateDer::from(decoded(CERTIFICATE))], key)
        .unwrap();
    let config = Arc::new(config);
    serve(move |mut stream| {
        let mut session = rustls::ServerConnection::new(Arc::clone(&config)).unwrap();
        let mut tls = rustls::Stream::new(&mut session, &mut stream);
        // The whole of this small request comes in one record.
        if tls.read(&mut [0; 4096]).is_ok_and(|n_read| n_read > 0) {
            let _sent =
                tls.write_all(b"HTTP/1.1 201 X\r\nconnection: close\r\ncontent-length: 5\r\n\r\ntok-1");
            tls.conn.send_close_notify();
            let _flushed = tls.flush();
        }
    })
}

fn serve(answer: impl Fn(std::net::TcpStream) + Send + 'static) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || listener.incoming().map_while(Result::ok).for_each(answer));
    port
}

/// Logs in over TLS; the text is the error with its causes, and how many calls were made.
async fn log_in(port: u16, authorities: &[&str]) -> Result<(), String> {
    let mut settings = unreachable_settings();
    settings.gateway = Gateway::parse(&format!("https://localhost:{port}")).unwrap();
    let file = |pem: &&str| CaFile { name: "ca.pem".to_owned(), pem: pem.as_bytes().to_vec() };
    settings.ca_certificates = authorities.iter().map(file).collect();
    let client = Client::new(settings).map_err(|error| error.to_string())?;
    client.log_in().await.map_err(|error| {
        let mut text = format!("{} / {error}", client.calls());
        let mut next = std::error::Error::source(&error);
        while let Some(cause) = next {
            text.push_str(&format!(" / {cause}"));
            next = cause.source();
        }
        text
    })
}

#[tokio::test]
async fn an_authority_of_ones_own_is_trusted_when_named() {
    log_in(tls_server(), &[AUTHORITY]).await.unwrap();
}

#[tokio::test]
async fn a_stranger_is_refused_at_once() {
    let error = log_in(tls_server(), &[]).await.unwrap_err();
    let expected = "1 call (1 auth) / POST /auth failed / no secure connection could be made";
    assert!(error.starts_with(expected), "{error}");
}

#[tokio::test]
async fn a_server_without_tls_is_told_apart() {
    let port = serve(|mut stream| {
        let _sent = stream.write_all(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n");
    });
    let error = log_in(port, &[]).await.unwrap_err();
    assert!(error.contains("no secure connection could be made"), "{error}");
}

#[tokio::test]
async fn a_bad_authority_file_is_an_error() {
    let error =
        log_in(1, &["-----BEGIN CERTIFICATE-----\n!!\n-----END CERTIFICATE-----\n"]).await.unwrap_err();
    let damaged = "`ca.pem` holds a damaged certificate, and --cacert takes a PEM file with at least one";
    assert_eq!(error, damaged);
    // Well-formed text around something that is no certificate.
    let error =
        log_in(1, &["-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"]).await.unwrap_err();
    assert_eq!(error, damaged);
    // One that is good does not make up for one that is not.
    let both = format!("{AUTHORITY}-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
    assert_eq!(log_in(1, &[&both]).await.unwrap_err(), damaged);
    let key = format!("-----BEGIN PRIVATE KEY-----\n{KEY}\n-----END PRIVATE KEY-----\n");
    for none in ["", "junk", "\u{30}\u{82}\u{1}der", &key] {
        let error = log_in(1, &[AUTHORITY, none]).await.unwrap_err();
        assert_eq!(
            error,
            "`ca.pem` holds no certificate in PEM form, and --cacert takes a PEM file with at least one"
        );
    }
}
