//! A MySQL user whose password is in a secret, and can be rotated.

use aws_config::SdkConfig;

use crate::database::TestDatabase;
use crate::{aws, unique};

/// A MySQL user whose password is in a secret.
#[derive(Debug)]
pub struct SecretUser<'a> {
    /// The user's name.
    pub name: String,
    /// The secret's ARN.
    pub secret: String,
    database: &'a TestDatabase,
    config: SdkConfig,
    host: String,
    port: u16,
}

impl<'a> SecretUser<'a> {
    /// Creates a user with every privilege on a database, and a secret that names this host and port.
    pub async fn create(database: &'a TestDatabase, config: &SdkConfig, (host, port): (&str, u16)) -> Self {
        let name = unique("u").replace('-', "");
        database.execute(&format!("CREATE USER '{name}'@'%' IDENTIFIED BY 'old'")).await;
        let mut user = Self {
            name,
            secret: String::new(),
            database,
            config: config.clone(),
            host: host.to_owned(),
            port,
        };
        user.grant("ALL", &database.name).await;
        user.secret = aws::secret(config, &user.secret_json("old")).await;
        user
    }

    /// Grants a privilege on all tables of a database.
    pub async fn grant(&self, privilege: &str, database: &str) {
        self.database.execute(&format!("GRANT {privilege} ON {database}.* TO '{}'@'%'", self.name)).await;
    }

    /// Rotates the password as Secrets Manager does. The old one is invalid at once.
    pub async fn rotate(&self) {
        self.database.execute(&format!("ALTER USER '{}'@'%' IDENTIFIED BY 'new'", self.name)).await;
        let client = aws_sdk_secretsmanager::Client::new(&self.config);
        let value = self.secret_json("new");
        client.put_secret_value().secret_id(&self.secret).secret_string(value).send().await.unwrap();
    }

    /// Drops the user.
    pub async fn drop(self) {
        self.database.execute(&format!("DROP USER '{}'@'%'", self.name)).await;
    }

    fn secret_json(&self, password: &str) -> String {
        let Self { name, host, port, database, .. } = self;
        let database = &database.name;
        format!(
            r#"{{"host":"{host}","port":{port},"username":"{name}","password":"{password}","dbname":"{database}"}}"#
        )
    }
}
