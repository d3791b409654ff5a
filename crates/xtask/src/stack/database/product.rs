//! The two kinds of servers, and what they differ in as far as the stack is concerned.

use crate::stack::home::Package;

/// A database server of the stack.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Server {
    /// What Downpipe is made for.
    MySql,
    /// Its relative, for the tests.
    MariaDb,
}

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
    /// Both programs, which a root of its own has to have.
    programs: &'static [&'static str],
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
    programs: &["mysqld", "mysql"],
    // A small log: the folder is copied for every private server.
    initialize: ("mysqld", &["--no-defaults", "--initialize-insecure", "--innodb-redo-log-capacity=8M"]),
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
    programs: &["mariadbd", "mariadb"],
    initialize: (
        "mariadb-install-db",
        &[
            "--no-defaults",
            "--auth-root-authentication-method=normal",
            "--skip-test-db",
            "--skip-name-resolve",
            // It looks for this machine's name, which a root of its own does not know.
            "--force",
            "--innodb-log-file-size=8M",
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

    /// Returns the variable that names a server to use in place of the stack's own.
    pub(in crate::stack) fn url_variable(self) -> &'static str {
        self.product().url_variable
    }

    /// Returns the packages that bring the server and its client.
    pub(in crate::stack) fn package(self) -> Package {
        let Product { name, title, url_variable, suite, packages, server, programs, .. } = *self.product();
        let is_meant_by: fn(&str) -> bool = match self {
            Self::MySql => |version: &str| Self::MySql.is_meant_by(version),
            Self::MariaDb => |version: &str| Self::MariaDb.is_meant_by(version),
        };
        let alternatives = format!(
            "or install {server} so that it is on the path\n\
             or name a server of yours: {url_variable}=mysql://USER:PASSWORD@HOST:PORT\n\
             or use Docker: docker compose up --wait {name} (compose.yaml says what to set)"
        );
        Package { name, title, suite, packages, programs, is_meant_by, alternatives }
    }

    /// Returns whether a server or a program that names this version is of this kind.
    pub(super) fn is_meant_by(self, version: &str) -> bool {
        version.contains("MariaDB") == (self == Self::MariaDb)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn version_tells_the_product() {
        for mariadb in
            ["5.5.5-10.11.19-MariaDB-0+deb12u1", "mariadb  Ver 15.1 Distrib 10.11.19-MariaDB, for Linux"]
        {
            assert!(Server::MariaDb.is_meant_by(mariadb) && !Server::MySql.is_meant_by(mariadb));
        }
        assert!(Server::MySql.is_meant_by("9.7.4-2") && !Server::MariaDb.is_meant_by("9.7.4-2"));
    }
}
