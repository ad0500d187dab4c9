//! Connection strings and their sources, what is shown of them, and sessions with a real server.
#![allow(clippy::unwrap_used, reason = "where a test fails is what it says")]

mod support;

use lite2pg::Kind;
use lite2pg::postgres::{Environment, SslMode, Target};
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use support::told;

fn env() -> Environment {
    Environment::empty().with_user("me")
}

fn parsed(text: &str) -> Target {
    Target::parse(text, &env()).unwrap_or_else(|e| panic!("{text}: {}", told(&e)))
}

fn private_file(path: &Path, content: &str) {
    fs::write(path, content).unwrap();
    fs::set_permissions(path, Permissions::from_mode(0o600)).unwrap();
}

#[test]
fn every_form_of_a_connection_string_means_the_same_as_in_libpq() {
    for (text, shown) in [
        ("", "postgres://me@localhost:5432/me"),
        ("postgres://", "postgres://me@localhost:5432/me"),
        ("postgresql://db", "postgres://me@db:5432/me"),
        ("POSTGRES://db/app", "postgres://me@db:5432/app"),
        ("postgres://u@db:6000/app", "postgres://u@db:6000/app"),
        ("postgres://u:p@db/app", "postgres://u:***@db:5432/app"),
        ("postgres://u%40corp:p%3A%2F%40@db/a%20b", "postgres://u%40corp:***@db:5432/a%20b"),
        ("postgres://u@a:1,b,[::1]:3/app", "postgres://u@a:1,b:5432,[::1]:3/app"),
        ("postgres://u@a,b/app?port=7", "postgres://u@a:7,b:7/app"),
        ("postgres://%2Fvar%2Frun/app", "postgres://me@/app?host=/var/run"),
        ("postgres:///app?host=/var/run&port=5433", "postgres://me@/app?host=/var/run&port=5433"),
        ("postgres:///app?user=other&password=x", "postgres://other:***@localhost:5432/app"),
        ("postgres://db?sslmode=verify-ca&sslrootcert=x.crt", "postgres://me@db:5432/me?sslmode=verify-ca"),
        ("postgres://db?ssl=true", "postgres://me@db:5432/me?sslmode=require"),
        ("host=db", "postgres://me@db:5432/me"),
        ("  host = db  port= 6000 dbname=app ", "postgres://me@db:6000/app"),
        (r"host=db dbname='it\'s \\ two words'", r"postgres://me@db:5432/it%27s%20%5C%20two%20words"),
        (r"host=db dbname=two\ words", "postgres://me@db:5432/two%20words"),
        ("host=db password='' user=''", "postgres://me@db:5432/me"),
        ("host=a,/tmp,b port=1,,3", "postgres://me@a:1,%2Ftmp:5432,b:3/me"),
        ("hostaddr=10.0.0.1 host=db", "postgres://me@db:5432/me"),
        ("hostaddr=10.0.0.1", "postgres://me@10.0.0.1:5432/me"),
        ("host=db password=postgres://x", "postgres://me:***@db:5432/me"),
        ("host=db krbsrvname=x gssencmode=prefer sslcompression=0 client_encoding=latin1", "postgres://me@db:5432/me"),
        ("sslrootcert=system host=db", "postgres://me@db:5432/me?sslmode=verify-full"),
    ] {
        assert_eq!(parsed(text).redacted(), shown, "{text}");
    }
}

#[test]
fn what_cannot_be_read_is_a_usage_error_with_a_way_out() {
    for (text, message) in [
        ("mysql://db", "the target is a URL, but not one of PostgreSQL"),
        ("db", "the connection string has a word without `=` (at character 1)"),
        ("host=db 'x", "the connection string has a word without `=` (at character 9)"),
        ("host='db", "the connection string has a quote that does not end (at character 1)"),
        ("host=db databse=x", "the connection string has an unknown key `databse` (at character 9)"),
        ("host=db zzz=x", "the connection string has an unknown key (at character 9)"),
        ("postgres://db?sslmod=x", "the connection string has an unknown key `sslmod` (after the `?`)"),
        ("postgres://db/app?schema=x", "the connection string has the key `schema`, which is not PostgreSQL's"),
        ("host=db sslmode=on", "`sslmode` has a value that it does not know"),
        ("host=db port=0", "`port` is no number between 1 and 65535"),
        ("host=a,b port=1,2,3", "`port` has to have one entry, or as many as `host`: 2"),
        ("host=a,b hostaddr=1.1.1.1", "`hostaddr` has to have as many entries as `host`: 2"),
        ("hostaddr=db", "`hostaddr` is no IP address"),
        ("connect_timeout=soon", "`connect_timeout` is no number, or one out of its range"),
        ("host=db require_auth=scram-sha-256", "`require_auth` is a setting of libpq that lite2pg does not support"),
        ("host=db gssencmode=require", "`gssencmode` is a setting of libpq that lite2pg does not support"),
        ("sslrootcert=system sslmode=require", "`sslrootcert=system` is only safe together with the server's name"),
        ("sslnegotiation=direct", "`sslnegotiation=direct` contradicts `sslmode=prefer`"),
        ("postgres://db/%zz", "the database name of the connection URL has a `%` that starts no code"),
        ("postgres://[::1/db", "the connection URL has an IPv6 address without its closing `]`"),
        ("service=nowhere", "the service `nowhere` is defined nowhere"),
    ] {
        let error = Target::parse(text, &env().with_var("PGSYSCONFDIR", "/nonexistent")).expect_err(text);
        assert_eq!((error.kind(), error.message()), (Kind::Usage, message), "{text}");
    }
    assert_eq!(Target::parse("sslmod=x", &env()).unwrap_err().way_out(), Some("did you mean `sslmode`?"));
}

#[test]
fn no_part_of_a_password_is_ever_shown() {
    // Right and wrong strings; in each, every piece of the password is one of these words.
    let secrets = ["hunter", "topsecret", "sesame"];
    for text in [
        "postgres://u:hunter@db/app",
        "postgres://u:hunter%20topsecret@db:5/app?sslmode=require",
        "postgres://u:hunter@topsecret@db/app",
        "postgres://u:hunter/topsecret@db/app",
        "postgres://u:hunter?topsecret@db/app",
        "postgres://u:hunter?topsecret=sesame@db/app",
        "postgres://u:hunter#topsecret@db/app",
        "postgres://u:hunter%topsecret@db/app",
        "postgres://u:hunter:topsecret@db/app",
        "postgres://u:hunter@[topsecret/app",
        "postgres://db/app?password=hunter&topsecret=sesame",
        "postgres://db/app?password=hunter&topsecret",
        "host=db password=hunter",
        "host=db password=hunter topsecret",
        "host=db password=hunter topsecret=sesame",
        "host=db password='hunter topsecret",
        "host=db password='hunter' topsecret",
        "host=db password=hunter port=topsecret sslmode=sesame",
        "host=db password=hunter hostaddr=topsecret",
        "host=db password=hunter connect_timeout=topsecret",
        "mysql://u:hunter@db",
        "u:hunter@db/app",
    ] {
        let shown = match Target::parse(text, &env()) {
            Ok(target) => format!("{target} {target:?} {} {:?}", target.psql(), target.remarks()),
            Err(error) => told(&error),
        };
        for secret in secrets {
            assert!(!shown.contains(secret), "{text}: {shown}");
        }
    }
    let env = env().with_var("PGPASSWORD", "hunter");
    let target = Target::parse("", &env).unwrap();
    assert!(!format!("{env:?} {target:?} {target}").contains("hunter"));
    assert_eq!(target.redacted(), "postgres://me:***@localhost:5432/me");
}

#[test]
fn the_string_beats_the_service_which_beats_the_environment_which_beats_the_default() {
    let home = tempfile::tempdir().unwrap();
    fs::write(
        home.path().join(".pg_service.conf"),
        "# comment\n[other]\nhost=other\n\n[main]\nhost=service\nport=1111\ndbname=from service\n[main]\nport=2\n",
    )
    .unwrap();
    let env = env()
        .with_home(home.path())
        .with_var("PGHOST", "variable")
        .with_var("PGPORT", "2222")
        .with_var("PGUSER", "variable")
        .with_var("PGSSLMODE", "disable");
    let shown = |text: &str, env: &Environment| Target::parse(text, env).unwrap().redacted();
    assert_eq!(shown("", &env), "postgres://variable@variable:2222/variable?sslmode=disable");
    assert_eq!(shown("service=main", &env), "postgres://variable@service:1111/from%20service?sslmode=disable");
    assert_eq!(
        shown("service=main host=string sslmode=prefer", &env),
        "postgres://variable@string:1111/from%20service"
    );
    assert_eq!(shown("postgres://string/db?service=other", &env), "postgres://variable@string:2222/db?sslmode=disable");
    let env = env.with_var("PGSERVICE", "main");
    assert_eq!(shown("user=u", &env), "postgres://u@service:1111/from%20service?sslmode=disable");
    // An empty value asks for the default and hides the variable's.
    assert_eq!(shown("user='' service=other", &env), "postgres://me@other:2222/me?sslmode=disable");

    let error = Target::parse("service=mian", &env).unwrap_err();
    assert_eq!(error.way_out(), Some("did you mean `main`?"));
    let system = tempfile::tempdir().unwrap();
    fs::write(system.path().join("pg_service.conf"), "[far]\nhost=far\nbogus\n").unwrap();
    let env = env.with_var("PGSYSCONFDIR", system.path().to_str().unwrap());
    let error = Target::parse("service=far", &env).unwrap_err();
    assert!(error.message().ends_with("pg_service.conf:3)"), "{error}");
    let missing = Target::parse("service=far", &env.with_var("PGSERVICEFILE", "/nowhere")).unwrap_err();
    assert_eq!(missing.message(), "the service file `/nowhere` cannot be read");
}

#[test]
fn a_password_file_is_matched_as_libpq_matches_it() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join(".pgpass");
    private_file(
        &file,
        "# comment:*:*:*:no\nsome garbage\ndb:5432:app:u:first\ndb:*:*:u:second\nlocalhost:5432:*:me:socket\r\n\
         /srv/run:5432:*:me:dir\n*:5432:with\\:colon:*:a\\:b\\\\c:rest\n\\*:1:*:*:no\n",
    );
    let env = env().with_home(home.path()).with_socket_dir("/nonexistent/default");
    let has = |text: &str| Target::parse(text, &env).unwrap().redacted().contains(":***@");
    assert!(has("postgres://u@db/app") && has("postgres://u@db:99/app"));
    assert!(!has("postgres://other@db/app") && !has("postgres://u@elsewhere/app") && !has("host=db port=1"));
    assert!(has("host=/nonexistent/default") && has("host=/srv/run") && !has("host=/srv/else"));
    assert!(has("host=x dbname=with:colon") && !has("host=x dbname=with"));
    assert!(has("passfile=/nowhere password=p host=db") && !has("passfile=/nowhere user=u host=db"));

    fs::set_permissions(&file, Permissions::from_mode(0o640)).unwrap();
    let ignored = Target::parse("postgres://u@db/app", &env).unwrap();
    assert!(!ignored.redacted().contains("***"));
    assert!(ignored.remarks()[0].contains("others may read it"), "{:?}", ignored.remarks());
}

#[test]
fn the_default_host_is_a_socket_if_there_is_one() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join(".s.PGSQL.5433"), "").unwrap();
    let env = env().with_socket_dir("/nonexistent").with_socket_dir(dir.path());
    assert_eq!(Target::parse("", &env).unwrap().host(), "localhost");
    let target = Target::parse("port=5433", &env).unwrap();
    assert_eq!((target.host(), target.port()), (dir.path().display().to_string(), 5433));
}

#[test]
fn the_psql_command_can_be_pasted_into_a_shell() {
    for (text, command) in [
        ("host=/tmp/x user=postgres dbname=postgres", "psql -h /tmp/x -U postgres -d postgres"),
        ("postgres://u:secret@db:6000/app", "psql -h db -p 6000 -U u -d app"),
        (
            r"host=a,b port=1,2 user=u dbname='it\'s'",
            r"psql 'host=a,b port=1,2 user=u dbname='\''it\'\''s'\'' sslmode=prefer'",
        ),
        (
            "postgres://u@db/app?sslmode=verify-full&sslrootcert=/ca dir/x",
            r"psql 'host=db port=5432 user=u dbname=app sslmode=verify-full sslrootcert='\''/ca dir/x'\'''",
        ),
    ] {
        assert_eq!(parsed(text).psql(), command, "{text}");
    }
    assert_eq!(parsed("sslmode=require").ssl_mode(), SslMode::Require);
}

/// A server that takes passwords over TLS only, and the certificates around it.
mod tls {
    use super::{env, private_file, told};
    use crate::support::{eventually, session};
    use lite2pg::postgres::{Embedded, EmbeddedOptions, Pool, PoolSettings, Target};
    use lite2pg::{Error, Kind};
    use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
    use std::fs;
    use std::net::TcpListener;
    use std::path::Path;
    use std::sync::OnceLock;
    use tempfile::TempDir;

    const PASSWORD: &str = "pa:ss @wörd/";

    struct Guarded {
        server: Embedded,
        port: u16,
        /// The right authority, another one, and a client certificate.
        certificates: TempDir,
    }

    /// An authority; its certificate in PEM form beside it.
    fn authority() -> (Issuer<'static, KeyPair>, String) {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        (Issuer::new(params, key), pem)
    }

    fn guarded() -> &'static Guarded {
        static SERVER: OnceLock<Guarded> = OnceLock::new();
        SERVER.get_or_init(|| {
            let (issuer, ca_pem) = authority();
            let key = KeyPair::generate().unwrap();
            let names = vec!["localhost".to_owned()];
            let certificate = CertificateParams::new(names).unwrap().signed_by(&key, &issuer).unwrap();
            let certificates = tempfile::tempdir().unwrap();
            private_file(&certificates.path().join("ca.crt"), &ca_pem);
            private_file(&certificates.path().join("other.crt"), &authority().1);

            let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
            let settings = [
                ("listen_addresses", "127.0.0.1"),
                ("port", &port.to_string()),
                ("ssl", "on"),
                ("ssl_cert_file", "server.crt"),
                ("ssl_key_file", "server.key"),
                ("password_encryption", "scram-sha-256"),
            ];
            let server = Embedded::start(&EmbeddedOptions {
                settings: settings.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec(),
                hba: vec![
                    "hostnossl all plain 127.0.0.1/32 scram-sha-256".to_owned(),
                    "hostssl all guest 127.0.0.1/32 scram-sha-256".to_owned(),
                ],
                files: vec![
                    ("server.crt".to_owned(), certificate.pem()),
                    ("server.key".to_owned(), key.serialize_pem()),
                ],
                ..EmbeddedOptions::default()
            })
            .unwrap();
            let sql =
                format!("CREATE ROLE guest LOGIN PASSWORD '{PASSWORD}'; CREATE ROLE plain LOGIN PASSWORD 'plain'");
            session(&server.target()).batch(&sql).unwrap();
            Guarded { server, port, certificates }
        })
    }

    /// Connects as `guest` with these settings; the answer is whether TLS was used.
    fn connect(settings: &str) -> Result<bool, Error> {
        let Guarded { port, certificates, .. } = guarded();
        let settings = settings.replace("DIR", certificates.path().to_str().unwrap());
        let text = format!(
            "port={port} dbname=postgres user=guest password='{PASSWORD}' host=localhost hostaddr=127.0.0.1 {settings}"
        );
        let pool = Pool::connect(&Target::parse(&text, &env())?, 1, &PoolSettings::default())?;
        let session = pool.session()?;
        Ok(session.query_one("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()", &[])?.get(0))
    }

    #[track_caller]
    fn refused(settings: &str, message: &str, hint: &str) {
        let error = connect(settings).expect_err(settings);
        let message = message.replace("PLACE", &format!("localhost:{}", guarded().port));
        assert_eq!((error.kind(), error.message()), (Kind::Target, message.as_str()), "{settings}: {error:?}");
        assert!(error.way_out().unwrap_or_default().contains(hint), "{settings}: {error:?}");
        assert!(!told(&error).contains(PASSWORD) && !told(&error).contains("wrong"), "{settings}: {error:?}");
    }

    #[test]
    fn every_mode_but_disable_speaks_tls_with_a_server_that_insists() {
        for mode in ["allow", "prefer", "require"] {
            assert!(connect(&format!("sslmode={mode}")).unwrap(), "{mode}");
        }
        assert!(connect("sslmode=require channel_binding=require").unwrap());
        assert!(connect("sslmode=require ssl_min_protocol_version=TLSv1.3").unwrap());
        refused(
            "sslmode=disable",
            "the server at `PLACE` has no rule that lets `guest` into `postgres` this way",
            "sslmode=require",
        );
    }

    #[test]
    fn a_server_that_wants_no_tls_is_reached_by_allow_and_prefer() {
        for mode in ["disable", "allow", "prefer"] {
            assert!(!connect(&format!("sslmode={mode} user=plain password=plain")).unwrap(), "{mode}");
        }
        assert!(connect("sslmode=require user=plain password=plain").is_err());
    }

    #[test]
    fn verify_full_takes_the_right_name_and_authority_only() {
        assert!(connect("sslmode=verify-full sslrootcert=DIR/ca.crt").unwrap());
        refused(
            "sslmode=verify-full sslrootcert=DIR/ca.crt host=elsewhere.example",
            &format!(
                "the certificate of the server at `elsewhere.example:{}` is not for the name `elsewhere.example`",
                guarded().port
            ),
            "sslmode=verify-ca",
        );
        refused(
            "sslmode=verify-full sslrootcert=DIR/ca.crt host=127.0.0.1",
            &format!("the certificate of the server at `127.0.0.1:{}` is not for the name `127.0.0.1`", guarded().port),
            "sslmode=verify-ca",
        );
        refused(
            "sslmode=verify-full sslrootcert=DIR/other.crt",
            "the certificate of the server at `PLACE` does not come from a trusted authority",
            "sslrootcert=",
        );
    }

    #[test]
    fn verify_ca_looks_at_the_authority_and_not_at_the_name() {
        assert!(connect("sslmode=verify-ca sslrootcert=DIR/ca.crt host=elsewhere.example").unwrap());
        // With a root certificate at hand, `require` checks it too.
        for mode in ["verify-ca", "require"] {
            refused(
                &format!("sslmode={mode} sslrootcert=DIR/other.crt"),
                "the certificate of the server at `PLACE` does not come from a trusted authority",
                "sslrootcert=",
            );
        }
    }

    #[test]
    fn a_missing_root_certificate_is_said_before_anything_is_sent() {
        for settings in ["sslmode=verify-full", "sslmode=verify-ca sslrootcert=DIR/none.crt"] {
            let error = connect(settings).unwrap_err();
            assert_eq!(error.kind(), Kind::Usage, "{error:?}");
        }
    }

    #[test]
    fn a_wrong_or_missing_password_is_clear_and_not_repeated() {
        refused("password=wrong", "the server at `PLACE` refused the password of `guest`", "~/.pgpass");
        refused(
            "password=''",
            "the server at `PLACE` asks for the password of `guest` and none is known",
            "PGPASSWORD",
        );
    }

    #[test]
    fn a_role_or_database_that_is_missing_is_named() {
        refused("dbname=nowhere", "the server at `PLACE` has no database `nowhere`", "createdb");
        refused(
            "user=nobody",
            "the server at `PLACE` has no rule that lets `nobody` into `postgres` this way",
            "pg_hba.conf",
        );
    }

    #[test]
    fn the_next_host_is_tried_and_all_are_named_when_none_answers() {
        let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let port = guarded().port;
        let both =
            format!("host=localhost,localhost hostaddr=127.0.0.1,127.0.0.1 port={free},{port} connect_timeout=5");
        assert!(connect(&both).unwrap());
        let none = format!("host=localhost,/nonexistent hostaddr='' port={free} connect_timeout=5");
        let error = connect(&none).unwrap_err();
        assert_eq!(error.message(), format!("no server listens at the socket `/nonexistent/.s.PGSQL.{free}`"));
        assert_eq!(error.facts(), [format!("before: nothing listens at `localhost:{free}`")]);
    }

    #[test]
    fn a_name_that_nobody_knows_is_said_to_be_unknown() {
        let error = connect("host=nowhere.invalid hostaddr=''").unwrap_err();
        let message = format!("no machine is known by the name of `nowhere.invalid:{}`", guarded().port);
        assert_eq!((error.kind(), error.message()), (Kind::Target, message.as_str()));
    }

    #[test]
    fn both_ends_ask_by_tcp_whether_the_other_is_still_there() {
        // Of the kernel's timers, 02 is the one that asks an idle peer, and 00 is none.
        for (settings, server, timer) in [
            ("", "60 10 6", "02:"),
            ("keepalives_idle=30 keepalives_interval=5 keepalives_count=3", "30 5 3", "02:"),
            ("keepalives=0 options='-c tcp_keepalives_idle=77'", "77 ", "00:"),
        ] {
            let port = guarded().port;
            let text = format!(
                "host=127.0.0.1 port={port} dbname=postgres user=plain password=plain sslmode=disable {settings}"
            );
            let pool = Pool::connect(&Target::parse(&text, &env()).unwrap(), 1, &PoolSettings::default()).unwrap();
            let session = pool.session().unwrap();
            let sql = "SELECT concat_ws(' ', current_setting('tcp_keepalives_idle'), \
                       current_setting('tcp_keepalives_interval'), current_setting('tcp_keepalives_count')), \
                       inet_client_port()";
            let row = session.query_one(sql, &[]).unwrap();
            let told: String = row.get(0);
            assert!(told.starts_with(server), "{settings}: {told}");
            let sockets = Path::new("/proc/net/tcp");
            if !sockets.exists() {
                println!("skipped: this system does not tell the timers of its sockets");
                return;
            }
            let ends = format!(" 0100007F:{:04X} 0100007F:{port:04X} ", row.get::<_, i32>(1));
            // What was sent last may have to be acknowledged first.
            eventually("the timer of our end", || {
                let listed = fs::read_to_string(sockets).unwrap();
                let ours = listed.lines().find(|line| line.contains(&ends)).unwrap_or_default();
                ours.split_whitespace().nth(5).is_some_and(|told| told.starts_with(timer))
            });
        }
    }

    #[test]
    fn a_server_that_never_answers_is_given_up() {
        let silent = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = silent.local_addr().unwrap().port();
        let error = connect(&format!("port={port} connect_timeout=1")).unwrap_err();
        assert_eq!(
            (error.kind(), error.message()),
            (Kind::Target, format!("no answer from `localhost:{port}` in time").as_str())
        );
    }

    #[test]
    fn a_role_that_does_not_exist_is_named_with_the_way_to_make_it() {
        let place = guarded().server.target().host();
        let error = connect(&format!("host={place} hostaddr='' user=stranger")).unwrap_err();
        let message = format!("the server at `{place}/.s.PGSQL.{}` does not let `stranger` in", guarded().port);
        assert_eq!(error.message(), message);
        assert!(error.way_out().unwrap().contains("CREATE ROLE \"stranger\" LOGIN"));
    }

    #[test]
    fn a_socket_needs_no_tls_whatever_is_asked_for() {
        let text = format!(
            "host={} port={} user=postgres sslmode=verify-full",
            guarded().server.target().host(),
            guarded().port
        );
        let target = Target::parse(&text, &env()).unwrap();
        assert_eq!(session(&target).server_info().unwrap().user, "postgres");
    }

    /// A server without a certificate, or with one of its own: gives its port.
    fn other_server(certificate: Option<(String, String)>) -> (Embedded, u16) {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let ssl = if certificate.is_some() { "on" } else { "off" };
        let settings = [("listen_addresses", "127.0.0.1"), ("port", &port.to_string()), ("ssl", ssl)];
        let files = certificate
            .into_iter()
            .flat_map(|(certificate, key)| [("server.crt".to_owned(), certificate), ("server.key".to_owned(), key)]);
        let server = Embedded::start(&EmbeddedOptions {
            settings: settings.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec(),
            hba: vec!["host all postgres 127.0.0.1/32 trust".to_owned()],
            files: files.collect(),
            ..EmbeddedOptions::default()
        });
        (server.unwrap(), port)
    }

    #[test]
    fn an_expired_certificate_is_refused_wherever_certificates_are_looked_at() {
        let (issuer, ca_pem) = authority();
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        params.not_before = rcgen::date_time_ymd(2001, 1, 1);
        params.not_after = rcgen::date_time_ymd(2002, 1, 1);
        let certificate = params.signed_by(&key, &issuer).unwrap().pem();
        // And one that is not valid yet.
        params.not_before = rcgen::date_time_ymd(3001, 1, 1);
        params.not_after = rcgen::date_time_ymd(3002, 1, 1);
        let early = params.signed_by(&key, &issuer).unwrap().pem();
        let dir = tempfile::tempdir().unwrap();
        private_file(&dir.path().join("ca.crt"), &ca_pem);
        for (certificate, word) in [(certificate, "has expired"), (early, "is not valid yet")] {
            let (_server, port) = other_server(Some((certificate, key.serialize_pem())));
            let root = format!("port={port} user=postgres sslrootcert={}/ca.crt", dir.path().display());
            for mode in ["require", "verify-ca", "verify-full"] {
                let error = connect(&format!("{root} sslmode={mode}")).expect_err(mode);
                assert!(error.kind() == Kind::Target && error.message().contains(word), "{mode}: {error:?}");
            }
            // Without an authority to ask, nothing is looked at, as in libpq.
            assert!(connect(&format!("port={port} user=postgres sslmode=require")).unwrap());
        }
    }

    #[test]
    fn a_server_without_tls_is_refused_where_tls_is_asked_for() {
        let (_server, port) = other_server(None);
        for mode in ["disable", "allow", "prefer"] {
            assert!(!connect(&format!("port={port} user=postgres sslmode={mode}")).unwrap(), "{mode}");
        }
        let ca = format!("port={port} user=postgres sslrootcert=DIR/ca.crt");
        for mode in ["require", "verify-ca", "verify-full"] {
            let error = connect(&format!("{ca} sslmode={mode}")).expect_err(mode);
            let message = format!("the server at `localhost:{port}` does not speak TLS");
            assert_eq!((error.kind(), error.message()), (Kind::Target, message.as_str()));
            assert!(error.facts().iter().any(|f| f == &format!("sslmode={mode} asks for it")), "{error:?}");
        }
    }

    #[test]
    fn a_self_signed_certificate_that_is_named_as_trusted_is_trusted() {
        let (issuer, pem) = authority();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let settings = [("listen_addresses", "127.0.0.1"), ("port", &port.to_string()), ("ssl", "on")];
        let _server = Embedded::start(&EmbeddedOptions {
            settings: settings.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec(),
            hba: vec!["hostssl all postgres 127.0.0.1/32 trust".to_owned()],
            files: vec![
                ("server.crt".to_owned(), pem.clone()),
                ("server.key".to_owned(), issuer.key().serialize_pem()),
            ],
            ..EmbeddedOptions::default()
        })
        .unwrap();
        let dir = tempfile::tempdir().unwrap();
        private_file(&dir.path().join("own.crt"), &pem);
        let own = format!("sslrootcert={}/own.crt host=localhost hostaddr=127.0.0.1", dir.path().display());
        assert!(connect(&format!("port={port} user=postgres sslmode=verify-ca {own}")).unwrap());
        // It is trusted, but it still names no host.
        let error = connect(&format!("port={port} user=postgres sslmode=verify-full {own}")).unwrap_err();
        assert!(error.message().contains("is not for the name `localhost`"), "{error:?}");
    }
}
