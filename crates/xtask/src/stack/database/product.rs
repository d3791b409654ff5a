//! What MySQL and MariaDB differ in, as far as the stack is concerned.

use std::process::Command;

use super::{Server, home::Home};

/// How a server is found, installed and started.
pub(super) struct Product {
    /// Names the part, its folders and its logs.
    pub(super) name: &'static str,
    /// As people write it.
    pub(super) title: &'static str,
    /// Names a server to use in place of the stack's own.
    pub(super) url_variable: &'static str,
    /// The Debian release whose packages are taken.
    pub(super) suite: &'static str,
    pub(super) packages: &'static str,
    pub(super) server: &'static str,
    pub(super) client: &'static str,
    /// The program that makes an empty data folder, and its options.
    pub(super) initialize: (&'static str, &'static [&'static str]),
    /// Options of the server, besides those that both understand.
    pub(super) options: &'static [&'static str],
}

static MYSQL: Product = Product {
    name: "mysql",
    title: "MySQL",
    url_variable: "DOWNPIPE_TEST_MYSQL_URL",
    suite: "sid",
    packages: "mysql-server-core,mysql-client-core",
    server: "mysqld",
    client: "mysql",
    initialize: ("mysqld", &["--no-defaults", "--initialize-insecure"]),
    options: &[
        "--mysqlx=OFF",
        // The server neither reads nor writes other files; the compiled-in folder for that may not exist.
        "--secure-file-priv=NULL",
        "--innodb-buffer-pool-size=256M",
    ],
};

static MARIADB: Product = Product {
    name: "mariadb",
    title: "MariaDB",
    url_variable: "DOWNPIPE_TEST_MARIADB_URL",
    // Debian 12 has 10.11, whichever release this machine has.
    suite: "bookworm",
    packages: "mariadb-server-core,mariadb-client-core",
    server: "mariadbd",
    client: "mariadb",
    initialize: (
        "mariadb-install-db",
        &[
            "--no-defaults",
            "--auth-root-authentication-method=normal",
            "--skip-test-db",
            "--skip-name-resolve",
            // It looks for this machine's name, which a root of its own does not know.
            "--force",
        ],
    ),
    options: &["--innodb-buffer-pool-size=64M"],
};

impl Server {
    pub(super) fn product(self) -> &'static Product {
        match self {
            Self::MySql => &MYSQL,
            Self::MariaDb => &MARIADB,
        }
    }

    /// Whether a server or a program that names this version is of this kind.
    pub(super) fn is_meant_by(self, version: &str) -> bool {
        version.contains("MariaDB") == (self == Self::MariaDb)
    }
}

impl Product {
    /// The programs that a root of its own has to have.
    pub(super) fn programs(&self) -> [&'static str; 2] {
        [self.server, self.client]
    }

    /// Makes an empty data folder, at this path as the server sees it.
    pub(super) fn initialize(&self, home: &Home) -> Command {
        let (program, options) = self.initialize;
        let mut command = home.program(program);
        command.args(options);
        command
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_say_whose_they_are() {
        for mariadb in
            ["5.5.5-10.11.19-MariaDB-0+deb12u1", "mariadb  Ver 15.1 Distrib 10.11.19-MariaDB, for Linux"]
        {
            assert!(Server::MariaDb.is_meant_by(mariadb) && !Server::MySql.is_meant_by(mariadb));
        }
        assert!(Server::MySql.is_meant_by("9.7.4-2") && !Server::MariaDb.is_meant_by("9.7.4-2"));
    }
}
