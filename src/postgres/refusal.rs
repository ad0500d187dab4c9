//! The driver's errors in our words.
//!
//! Owns the way from a `tokio_postgres::Error` to an [`Error`]: what the server said, with the values of
//! rows taken out, and why a connection could not be made. Does not know what was being done.

use super::target::{Endpoint, SslMode, Target};
use crate::error::{Error, Kind};
use std::error::Error as StdError;
use std::io;
use tokio_postgres::error::{DbError, ErrorPosition};

/// Characters of a statement that a message shows.
const STATEMENT_CHARS_MAX: usize = 100;

/// What to do when a connection is gone.
pub(super) const AGAIN: &str = "the server's log says why; when it takes connections again, run the same command again";

/// Whether the error says that the server stopped answering, so that a new connection may help.
#[must_use]
pub fn is_server_gone(error: &Error) -> bool {
    error.kind() == Kind::Target
}

/// Whether the server refused what was asked, so that asking again gets the same answer. Not so where it lacked
/// room (class 53), was busy or deadlocked (40, 55), was told to stop (57), or failed itself (58, XX)
/// (<https://www.postgresql.org/docs/current/errcodes-appendix.html>).
#[must_use]
pub fn is_answer(error: &Error) -> bool {
    let of_the_moment = |code: &str| ["53", "40", "55", "57", "58", "XX"].iter().any(|class| code.starts_with(class));
    error.kind() == Kind::Failed && error.sqlstate().is_some_and(|code| !of_the_moment(code))
}

/// The same of a text that the server was asked to read as a value of some type: some extensions say that it is none by an
/// internal error, `hstore` before PostgreSQL 16 among them (`elog` in `hstore_io.c`).
#[must_use]
pub fn is_answer_of_a_type(error: &Error) -> bool {
    is_answer(error) || error.kind() == Kind::Failed && error.sqlstate() == Some("XX000")
}

/// The column whose value the server refused in a COPY, where it tells one: its context ends in
/// `COPY t, line 3, column c` (`CopyFromErrorCallback` in copyfrom.c).
#[must_use]
pub fn refused_column(error: &Error) -> Option<String> {
    let place = error.facts().iter().find_map(|f| f.strip_prefix("where: COPY "))?;
    let (_, column) = place.lines().next()?.split_once(", column ")?;
    Some(column.split_once(':').map_or(column, |(name, _)| name).to_owned())
}

/// The line of a COPY, from 1, at which the server refused it, where it tells one: its context has `COPY t, line 3`.
/// In the binary format a line is a row.
#[must_use]
pub fn refused_line(error: &Error) -> Option<usize> {
    let place =
        error.facts().iter().find_map(|f| f.split_once("COPY ")).filter(|(head, _)| head.starts_with("where: "));
    let (_, line) = place?.1.rsplit_once(", line ")?;
    line.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

/// An error of a statement. `sql` is shown by its first line; it never holds values of rows.
pub(super) fn refused(error: tokio_postgres::Error, sql: &str) -> Error {
    let Some(db) = error.as_db_error() else { return not_said_by_the_server(error, sql) };
    let code = db.code().code();
    let kind = if says_goodbye(code) { Kind::Target } else { Kind::Failed };
    let mut out = Error::new(kind, format!("the server refused a statement: {}", message_of(db))).with_sqlstate(code);
    for fact in facts(db, sql) {
        out = out.fact(fact);
    }
    for words in withheld(db) {
        out = out.withheld(words);
    }
    match db.hint().filter(|_| !is_of_a_function(db)) {
        // The server's own hint is to check.
        _ if code == "53100" => out.hint("make room on the server's disk, then run the same command again"),
        Some(hint) => out.hint(hint),
        None if kind == Kind::Target => out.hint(AGAIN),
        None => out,
    }
}

fn not_said_by_the_server(error: tokio_postgres::Error, sql: &str) -> Error {
    let text = error.to_string();
    let is_io = error.source().is_some_and(<dyn StdError>::is::<io::Error>);
    if error.is_closed() || is_io && !text.starts_with("error deserializing") {
        return Error::new(Kind::Target, "the connection to the server was lost").hint(AGAIN).cause(error);
    }
    let out = Error::new(Kind::Failed, format!("a statement could not be carried out: {text}")).cause(error);
    match shown(sql) {
        Some(line) => out.fact(line),
        None => out,
    }
}

/// SQLSTATEs after which the connection is of no more use: connection exceptions (08), a server that
/// shuts down or starts up (57P0x), crashed or is out of slots.
fn says_goodbye(code: &str) -> bool {
    code.starts_with("08") || (code.starts_with("57P") && code != "57P04") || code == "53300"
}

/// Lines of facts: severity and code, the statement, and all that the server added.
fn facts(db: &DbError, sql: &str) -> Vec<String> {
    let mut facts = vec![format!("{} {}", db.severity(), db.code().code())];
    facts.extend(shown(sql));
    match db.position() {
        Some(ErrorPosition::Original(at)) => facts.push(format!("at character {at} of the statement")),
        Some(ErrorPosition::Internal { position, query }) => {
            // Statements of functions may be put together from values.
            facts.push(format!("at character {position} of a statement of {} characters", query.chars().count()));
        }
        None => {}
    }
    let place = [("schema", db.schema()), ("table", db.table()), ("column", db.column())];
    let rest = [("type", db.datatype()), ("constraint", db.constraint())];
    let named: Vec<_> =
        place.iter().chain(&rest).filter_map(|(what, name)| Some(format!("{what} `{}`", (*name)?))).collect();
    if !named.is_empty() {
        facts.push(named.join(", "));
    }
    let detail = db.detail().filter(|_| !is_of_a_function(db));
    facts.extend(detail.map(|detail| format!("detail: {}", without_row(detail, db.code().code()))));
    let place = db.where_().map(without_data).filter(|place| !place.is_empty());
    facts.extend(place.map(|place| format!("where: {place}")));
    facts
}

fn shown(sql: &str) -> Option<String> {
    let hides = |word: &str| sql.to_ascii_lowercase().contains(word);
    if sql.is_empty() || hides("password") {
        return None;
    }
    // What follows are a row's values.
    let sql = sql.split_once(" VALUES ").map_or(sql, |(head, _)| head);
    Some(format!("statement: {}", first_line(sql)))
}

fn first_line(sql: &str) -> String {
    let line = sql.trim_start().lines().next().unwrap_or_default();
    match line.char_indices().nth(STATEMENT_CHARS_MAX) {
        Some((end, _)) => format!("{} …", &line[..end]),
        None => line.to_owned(),
    }
}

/// All that the server said where it may have quoted a row.
fn withheld(db: &DbError) -> Vec<String> {
    let code = db.code().code();
    if !["22", "23"].iter().any(|class| code.starts_with(class)) && !is_of_a_function(db) {
        return Vec::new();
    }
    let parts = [("message", Some(db.message())), ("detail", db.detail()), ("hint", db.hint()), ("where", db.where_())];
    parts.iter().filter_map(|(what, words)| Some(format!("{what}, as the server wrote it: {}", (*words)?))).collect()
}

/// Whether somebody's own trigger or function had the word: it may put any value into what it raises.
fn is_of_a_function(db: &DbError) -> bool {
    // The routine's name is not translated, the context is.
    let raises =
        ["exec_stmt_raise", "exec_stmt_assert", "PLy_elog_impl", "PLy_output", "do_util_elog", "plperl_spi_prepare"];
    db.code().code().starts_with("P0")
        || db.routine().is_some_and(|routine| raises.contains(&routine))
        || db.where_().is_some_and(|context| context.lines().any(is_in_a_function))
}

// A person's DDL is run from within a block without a name (`script`): its refusals speak of that text, not of rows.
fn is_in_a_function(context: &str) -> bool {
    let is_block = context.contains("PL/pgSQL") && context.contains("inline_code_block");
    !is_block && (context.contains(" function ") || context.contains("PL/"))
}

/// The quotes that the server's translations put around values.
const QUOTES: [char; 12] = ['"', '«', '»', '„', '“', '”', '‘', '’', '「', '『', '‹', '›'];

/// The server's message. Class 22 (data exceptions) quotes the value that it stumbled over, in the server's language.
fn message_of(db: &DbError) -> String {
    let message = db.message();
    if is_of_a_function(db) {
        return "a trigger or function of the database raised an error (its words may hold values: hidden)".to_owned();
    }
    if db.code().code().starts_with("22") { without_value(message) } else { message.to_owned() }
}

fn without_value(message: &str) -> String {
    if let Some(at) = message.find(": \"") {
        return format!("{}: (value hidden)", &message[..at]);
    }
    if let (Some(start), Some(end)) = (message.find("value \""), message.rfind('"'))
        && end > start + 6
    {
        return format!("{}value (hidden){}", &message[..start], &message[end + 1..]);
    }
    // A name of a type stands in quotes too where the server does not speak English: less is said then.
    match message.find(QUOTES) {
        Some(at) if !message.is_ascii() => format!("{}(value hidden)", &message[..at]),
        _ => message.to_owned(),
    }
}

/// A detail without the row's values: `Key (id)=(42) already exists.` and `Failing row contains (…).`
fn without_row(detail: &str, code: &str) -> String {
    if !code.starts_with("22") && !code.starts_with("23") {
        return detail.to_owned();
    }
    // In every language the row stands in brackets: `enthält (…)`.
    let opening = detail.find(")=(").map(|at| at + 3).or_else(|| detail.find('(').map(|at| at + 1));
    if let Some(start) = opening {
        let end = detail.rfind(')').filter(|end| *end >= start).unwrap_or(detail.len());
        return format!("{}values hidden{}", &detail[..start], &detail[end..]);
    }
    let last = detail.char_indices().rfind(|(_, c)| QUOTES.contains(c));
    match (detail.find(QUOTES), last) {
        (Some(start), Some((end, c))) if end > start => {
            format!("{}(hidden){}", &detail[..start], &detail[end + c.len_utf8()..])
        }
        _ => detail.to_owned(),
    }
}

/// Beginnings of lines of a context; others are the rest of a value or statement that holds line breaks.
const PLACES: [&str; 5] = ["COPY ", "JSON data", "PL/", "SQL ", "parallel worker"];

/// A context without the data that COPY and the JSON reader quote after a colon, and functions in their statements.
fn without_data(context: &str) -> String {
    let mut places = Vec::new();
    for line in context.lines().filter(|line| PLACES.iter().any(|place| line.starts_with(place))) {
        let is_copy = line.starts_with("COPY ");
        let end = if is_copy { line.find(": ") } else { line.find(": ").or_else(|| line.find(QUOTES)) };
        places.push(line[..end.unwrap_or(line.len())].trim_end());
        // Ours is the outermost place: what follows is the value that it quotes.
        if is_copy {
            break;
        }
    }
    places.join("; ")
}

/// A server that could not be reached, or did not let us in.
pub(super) fn unreachable(error: tokio_postgres::Error, target: &Target, endpoint: &Endpoint) -> Error {
    if let Some(db) = error.as_db_error() {
        return not_let_in(db, target, endpoint);
    }
    let text = error.to_string();
    if text.starts_with("error performing TLS") {
        return no_tls(error, target, endpoint);
    }
    if text.starts_with("authentication error") || text.starts_with("invalid configuration") {
        return no_password(error, target, endpoint);
    }
    let Some(kind) = io_kind(&error) else {
        return Error::new(Kind::Target, format!("the server at `{endpoint}` cannot be spoken with: {text}"))
            .hint("is this a PostgreSQL server? Its log says why it hung up")
            .cause(error);
    };
    let described = |what: &str, hint: &str| Error::new(Kind::Target, format!("{what} `{endpoint}`")).hint(hint);
    let is_unresolved = text.starts_with("error connecting") && {
        let cause = error.source().map(ToString::to_string).unwrap_or_default();
        cause.contains("failed to lookup address") || cause.contains("could not resolve")
    };
    if is_unresolved {
        return described("no machine is known by the name of", "check the host name in the connection string")
            .cause(error);
    }
    match (kind, endpoint) {
        (io::ErrorKind::ConnectionRefused, Endpoint::Tcp { .. }) => described(
            "nothing listens at",
            "is the server running, is the port right, and does listen_addresses include this interface?",
        ),
        (io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused, Endpoint::Socket { .. }) => {
            described("no server listens at the socket", "is the server running, and is this its socket directory?")
        }
        (io::ErrorKind::PermissionDenied, Endpoint::Socket { .. }) => {
            described("this user may not use the socket", "run as a user who may, or connect by host=localhost")
        }
        (io::ErrorKind::PermissionDenied, _) => {
            described("the session is not of the kind that `target_session_attrs` asks for at", "name another host")
        }
        (io::ErrorKind::TimedOut, _) => {
            described("no answer from", "is a firewall in between? connect_timeout=SECONDS waits longer")
        }
        (io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset, _) => described(
            "the connection was closed while it was being made at",
            "is this a PostgreSQL server? Its log says why it hung up",
        ),
        _ => described("there is no way to", "check host, port and network"),
    }
    .cause(error)
}

fn not_let_in(db: &DbError, target: &Target, endpoint: &Endpoint) -> Error {
    let (user, dbname) = (target.user(), target.dbname());
    let code = db.code().code();
    let (message, hint) = match code {
        "28P01" => (
            format!("the server at `{endpoint}` refused the password of `{user}`"),
            "check the password in the connection string, PGPASSWORD or ~/.pgpass".to_owned(),
        ),
        "28000" if db.message().contains("encryption") || db.message().contains("SSL") => (
            format!("the server at `{endpoint}` has no rule that lets `{user}` into `{dbname}` this way"),
            if target.ssl_mode() == SslMode::Disable {
                "the server may insist on TLS: sslmode=require".to_owned()
            } else {
                "pg_hba.conf on the server decides by user, database, address and TLS".to_owned()
            },
        ),
        "28000" if db.message().starts_with("Peer authentication") => (
            format!("the server at `{endpoint}` lets `{user}` in only for the system's user of that name"),
            format!("sudo -u {user} …, or connect by host=localhost with a password"),
        ),
        "28000" => (
            format!("the server at `{endpoint}` does not let `{user}` in"),
            format!("does the role exist? psql: CREATE ROLE \"{user}\" LOGIN"),
        ),
        "3D000" => (
            format!("the server at `{endpoint}` has no database `{dbname}`"),
            format!("createdb -h {} -p {} -U {user} {dbname}", endpoint.host(), endpoint.port()),
        ),
        "53300" => (
            format!("the server at `{endpoint}` has no connection left"),
            "fewer lanes need fewer connections: --jobs 2; or raise max_connections".to_owned(),
        ),
        "57P03" => {
            (format!("the server at `{endpoint}` is starting up or shutting down"), "try again in a moment".to_owned())
        }
        _ => (
            format!("the server at `{endpoint}` refused the connection: {}", db.message()),
            db.hint().unwrap_or("the server's log says more").to_owned(),
        ),
    };
    let mut error = Error::new(Kind::Target, message).with_sqlstate(code);
    for fact in [Some(format!("{} {code}: {}", db.severity(), db.message())), db.detail().map(str::to_owned)] {
        error = fact.into_iter().fold(error, Error::fact);
    }
    error.hint(hint)
}

fn no_password(error: tokio_postgres::Error, target: &Target, endpoint: &Endpoint) -> Error {
    let cause = error.source().map(ToString::to_string).unwrap_or_default();
    if cause.contains("password missing") {
        return Error::new(
            Kind::Target,
            format!("the server at `{endpoint}` asks for the password of `{}` and none is known", target.user()),
        )
        .hint("set PGPASSWORD, or add a line to ~/.pgpass: host:port:database:user:password");
    }
    Error::new(Kind::Target, format!("`{}` could not be authenticated at `{endpoint}`", target.user()))
        .hint("password, md5 and SCRAM are supported; Kerberos, LDAP peers and OAuth are not")
        .cause(error)
}

fn no_tls(error: tokio_postgres::Error, target: &Target, endpoint: &Endpoint) -> Error {
    use rustls::CertificateError as C;
    let host = endpoint.host();
    let cause = error.source().map(ToString::to_string).unwrap_or_default();
    if cause.contains("server does not support TLS") {
        return Error::new(Kind::Target, format!("the server at `{endpoint}` does not speak TLS"))
            .fact(format!("sslmode={} asks for it", target.ssl_mode().word()))
            .hint("sslmode=prefer connects without; ssl=on in postgresql.conf turns it on");
    }
    let described = |what: String, hint: &str| Error::new(Kind::Target, what).hint(hint);
    match rustls_error(&error) {
        Some(rustls::Error::InvalidCertificate(C::NotValidForName | C::NotValidForNameContext { .. })) => described(
            format!("the certificate of the server at `{endpoint}` is not for the name `{host}`"),
            "connect by a name in its subjectAltName (the common name is not looked at), or use sslmode=verify-ca",
        ),
        Some(rustls::Error::InvalidCertificate(C::UnknownIssuer | C::BadSignature)) => described(
            format!("the certificate of the server at `{endpoint}` does not come from a trusted authority"),
            "sslrootcert=PATH names the certificate of the authority that signed it",
        ),
        Some(rustls::Error::InvalidCertificate(C::Expired | C::ExpiredContext { .. })) => described(
            format!("the certificate of the server at `{endpoint}` has expired"),
            "renew it on the server, and check this machine's clock",
        ),
        Some(rustls::Error::InvalidCertificate(C::NotValidYet | C::NotValidYetContext { .. })) => described(
            format!("the certificate of the server at `{endpoint}` is not valid yet"),
            "check this machine's clock, and the certificate's dates",
        ),
        Some(rustls::Error::AlertReceived(_)) => described(
            format!("the server at `{endpoint}` broke off the TLS handshake"),
            "does it ask for a client certificate? sslcert=PATH sslkey=PATH",
        ),
        _ => described(
            format!("TLS with the server at `{endpoint}` did not come about"),
            "the causes above say what the two could not agree on",
        ),
    }
    .cause(error)
}

/// The first I/O error among the causes.
fn io_kind(error: &tokio_postgres::Error) -> Option<io::ErrorKind> {
    causes(error).find_map(|cause| cause.downcast_ref::<io::Error>()).map(io::Error::kind)
}

/// The TLS library's own error; it comes wrapped in an I/O error.
fn rustls_error(error: &tokio_postgres::Error) -> Option<&rustls::Error> {
    causes(error).find_map(|cause| {
        cause.downcast_ref::<rustls::Error>().or_else(|| {
            let inner = cause.downcast_ref::<io::Error>()?.get_ref()?;
            inner.downcast_ref::<rustls::Error>()
        })
    })
}

fn causes<'a>(error: &'a (dyn StdError + 'static)) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    std::iter::successors(Some(error), |e: &&'a (dyn StdError + 'static)| (*e).source())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_hidden_in_every_language_of_the_server() {
        for (message, shown) in [
            (
                "invalid input syntax for type integer: \"secret\"",
                "invalid input syntax for type integer: (value hidden)",
            ),
            ("value \"99\" is out of range for type smallint", "value (hidden) is out of range for type smallint"),
            ("invalid byte sequence for encoding \"UTF8\": 0x00", "invalid byte sequence for encoding \"UTF8\": 0x00"),
            ("value too long for type character varying(3)", "value too long for type character varying(3)"),
            (
                "ungültige Eingabesyntax für Typ integer: »secret«",
                "ungültige Eingabesyntax für Typ integer: (value hidden)",
            ),
            (
                "la sintaxis de entrada no es válida para tipo integer: «secret»",
                "la sintaxis de entrada no es válida para tipo integer: (value hidden)",
            ),
            ("値\"99\"は型integerの範囲外です", "値(value hidden)"),
        ] {
            assert_eq!(without_value(message), shown);
        }
    }

    #[test]
    fn a_row_is_hidden_in_every_language_of_the_server() {
        for (code, detail, shown) in [
            ("23505", "Key (id)=(secret) already exists.", "Key (id)=(values hidden) already exists."),
            ("23514", "Failing row contains (1, secret, (x).", "Failing row contains (values hidden)."),
            ("23502", "Fehlgeschlagene Zeile enthält (1, secret).", "Fehlgeschlagene Zeile enthält (values hidden)."),
            ("23514", "Failing row contains (1, secret", "Failing row contains (values hidden"),
            ("22P02", "Token \"secret\" is invalid.", "Token (hidden) is invalid."),
            ("22P02", "Token »secret« ist ungültig.", "Token (hidden) ist ungültig."),
            ("42P01", "it (is) \"shown\"", "it (is) \"shown\""),
        ] {
            assert_eq!(without_row(detail, code), shown);
        }
    }

    #[test]
    fn a_context_tells_places_and_no_data() {
        for (context, shown) in [
            ("COPY t, line 1, column c: \"secret\"", "COPY t, line 1, column c"),
            ("COPY t, line 1, column c: \"first\nsecret\nCOPY secret\"", "COPY t, line 1, column c"),
            ("JSON data, line 1: {secret\nCOPY t, line 7, column j", "JSON data, line 1; COPY t, line 7, column j"),
            (
                "PL/pgSQL function f() line 3 at RAISE\nCOPY t, line 1",
                "PL/pgSQL function f() line 3 at RAISE; COPY t, line 1",
            ),
            (
                "SQL statement \"INSERT INTO x\n VALUES ('secret')\"\nPL/pgSQL function f() line 1",
                "SQL statement; PL/pgSQL function f() line 1",
            ),
            ("COPY t, Zeile 1, Spalte c: »secret«", "COPY t, Zeile 1, Spalte c"),
            ("secret", ""),
        ] {
            assert_eq!(without_data(context), shown);
        }
    }

    #[test]
    fn a_statement_is_shown_without_its_values() {
        assert_eq!(shown("INSERT INTO t (a) VALUES ('secret')").as_deref(), Some("statement: INSERT INTO t (a)"));
        assert_eq!(shown("ALTER ROLE x PASSWORD 'secret'"), None);
    }
}
