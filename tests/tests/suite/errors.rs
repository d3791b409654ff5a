//! Tests that a chain of errors says each thing once, for errors of every crate.

use std::error::Error;
use std::io;

use downpipe_app::services::{DatabaseError, ServiceError};
use downpipe_core::catalog::{Catalog, DefinitionFile};
use downpipe_core::error_chain::error_chain;
use downpipe_core::login::LoginError;
use downpipe_core::notice::NotifyError;
use downpipe_core::queue::QueueError;
use downpipe_core::source::SourceError;
use downpipe_core::store::StoreError;
use downpipe_mysql::{ConnectError, MigrateError};

/// Checks that no error's message contains that of its cause, and that the chain has each message
/// once.
fn assert_says_once(error: &dyn Error) {
    let words: Vec<String> = std::iter::successors(Some(error), |error: &&dyn Error| (*error).source())
        .map(ToString::to_string)
        .collect();
    for pair in words.windows(2) {
        assert!(!pair[0].contains(&pair[1]), "{words:?}");
    }
    let line = error_chain(error);
    for words in words {
        assert_eq!(line.matches(words.as_str()).count(), 1, "{line}");
    }
}

fn cause() -> Box<io::Error> {
    Box::new(io::Error::other("the cause"))
}

fn wrong_catalog() -> ServiceError {
    let file = DefinitionFile { file: "exports/a.toml".to_owned(), text: "title = 1".to_owned() };
    ServiceError::Catalog(Catalog::parse(&[file]).unwrap_err())
}

#[test]
fn nested_errors_of_every_crate_say_each_thing_once() {
    let refused = || ConnectError::Refused(sqlx::Error::Protocol("no".to_owned()));
    let errors: Vec<Box<dyn Error>> = vec![
        Box::new(wrong_catalog()),
        Box::new(ServiceError::Empty("exports".to_owned())),
        Box::new(ServiceError::Folder {
            folder: "exports".to_owned(),
            source: io::Error::other("the cause"),
        }),
        Box::new(ServiceError::Database(DatabaseError::CaFile {
            file: "ca.pem".to_owned(),
            source: io::Error::other("the cause"),
        })),
        Box::new(refused()),
        Box::new(ConnectError::Login(LoginError::Unavailable(cause()))),
        Box::new(MigrateError::Connect(refused())),
        Box::new(SourceError::from(refused())),
        Box::new(SourceError::from(LoginError::Unavailable(cause()))),
        Box::new(NotifyError::Unavailable(cause())),
        Box::new(NotifyError::Refused(cause())),
        Box::new(QueueError { operation: "sending", source: cause() }),
        Box::new(StoreError::Refused { operation: "storing a part", source: cause() }),
    ];
    for error in errors {
        assert_says_once(error.as_ref());
    }
}

/// sqlx includes the cause's message in its own, and also returns the cause as its source.
#[test]
fn chain_of_a_database_error_says_the_cause_once() {
    let broken = sqlx::Error::Io(io::Error::other("connection reset by peer"));
    let line = error_chain(&ConnectError::Unreachable(broken));
    assert_eq!(line.matches("connection reset by peer").count(), 1, "{line}");
}
