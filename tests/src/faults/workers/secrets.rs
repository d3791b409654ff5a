//! Workers whose login is in a secret: it is changed under them, or they trust the wrong authority.

use std::process::Command;
use std::time::Duration;

use xtask::faults::Outcome;

use super::scene::{Ask, WorkerScene};
use super::works::Works;
use crate::database::authorities_file;
use crate::faults::lab::{Lab, Plan};
use crate::site::WorkerProcess;
use crate::tls::Authority;
use crate::{aws, eventually_within, unique};

/// Longer than anything here takes.
const MOST: Duration = Duration::from_secs(120);

/// A user of MySQL's whose password is in a secret.
struct User<'a> {
    name: String,
    scene: &'a WorkerScene<'a>,
    secret: String,
}

impl<'a> User<'a> {
    async fn new(works: &'a Works, scene: &'a WorkerScene<'a>) -> Self {
        let name = unique("u").replace('-', "");
        let (own, rows) = (&scene.site.database.name, works.rows_in());
        scene
            .site
            .database
            .execute(&format!(
                "CREATE USER '{name}'@'%' IDENTIFIED BY 'old'; GRANT ALL ON {own}.* TO '{name}'@'%'; \
                 GRANT SELECT ON {rows}.* TO '{name}'@'%'"
            ))
            .await;
        let secret = aws::secret(&scene.site.config, &value(&name, "old", scene)).await;
        Self { name, scene, secret }
    }

    /// The worker's command, with this login behind the proxy.
    fn command(&self) -> Command {
        let mut command = self.scene.command(&[]);
        command.env_remove("DATABASE_URL").env("DOWNPIPE_DATABASE_SECRET", &self.secret);
        command.env("DOWNPIPE_DATABASE_CA", authorities_file());
        command
    }

    /// From one moment to the next, the old password is worth nothing.
    async fn rotate(&self) {
        let sql = format!("ALTER USER '{}'@'%' IDENTIFIED BY 'new'", self.name);
        self.scene.site.database.execute(&sql).await;
        let client = aws_sdk_secretsmanager::Client::new(&self.scene.site.config);
        let value = value(&self.name, "new", self.scene);
        client.put_secret_value().secret_id(&self.secret).secret_string(value).send().await.unwrap();
    }

    async fn drop(self) {
        self.scene.site.database.execute(&format!("DROP USER '{}'@'%'", self.name)).await;
    }
}

/// The secret's JSON. The proxy is at an address that is in the server's certificate.
fn value(user: &str, password: &str, scene: &WorkerScene<'_>) -> String {
    let url = url::Url::parse(&scene.mysql.url(&scene.site.database.url)).unwrap();
    let (host, port) = (url.host_str().unwrap(), url.port().unwrap());
    let name = &scene.site.database.name;
    format!(
        r#"{{"host":"{host}","port":{port},"username":"{user}","password":"{password}","dbname":"{name}"}}"#
    )
}

/// The password is another from the first part on, and then all connections are cut.
pub async fn rotated(lab: &Lab, plan: &Plan) -> Outcome {
    let works = lab.works().await;
    lab.inject("worker: secret rotated mid-run", plan.times, 2, async |k| {
        let ask = if k % 2 == 0 { Ask::FEW_PARTS } else { Ask::FEW_PARTS.once() };
        works.undisturbed(ask).await;
        // Some seconds, so that the password is another before the last row.
        let scene = WorkerScene::set(works, Ask { pause: 8_000, ..ask }).await;
        let user = User::new(works, &scene).await;
        let job = scene.ask().await;
        let mut worker = WorkerProcess::start(&mut user.command());
        eventually_within(MOST, "a part", async || (scene.aws.count("UploadPart") > 0).then_some(())).await;
        user.rotate().await;
        let connections = scene.mysql.answered().len();
        scene.mysql.go_down();
        eventually_within(MOST, "somebody finds the server away", async || {
            (scene.mysql.answered().len() > connections).then_some(())
        })
        .await;
        scene.mysql.recover();
        scene.ended(&mut worker).await;
        let fetched = scene.aws.count("GetSecretValue");
        user.drop().await;
        let run = scene.look(&job, 1, 1..=1).await.must_be_ready();
        // Once each for the ledger and for the query, and once more each since.
        run.wrong_if(fetched < 4, format!("the secret was fetched {fetched} times"))
    })
    .await
}

/// A worker that trusts somebody else: it can do nothing, and harms nothing; one that trusts the right authority does the job.
pub async fn wrong_authority(lab: &Lab, plan: &Plan) -> Outcome {
    let works = lab.works().await;
    lab.inject("worker: wrong certificate authority", plan.times, 2, async |_| {
        let ask = Ask::FEW_PARTS;
        works.undisturbed(ask).await;
        let scene = WorkerScene::set(works, ask).await;
        let user = User::new(works, &scene).await;
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("ca.pem");
        std::fs::write(&file, Authority::new().pem).unwrap();
        let job = scene.ask().await;
        let mut wrong = WorkerProcess::start(user.command().env("DOWNPIPE_DATABASE_CA", &file));
        eventually_within(MOST, "the message is put back", async || {
            wrong.log().contains("the ledger could not record the job").then_some(())
        })
        .await;
        let begun = scene.find(&job).await.is_some();
        wrong.kill();
        let said = wrong.log().contains("expected a certificate of a trusted authority");
        let mut right = WorkerProcess::start(&mut user.command());
        scene.ended(&mut right).await;
        user.drop().await;
        let run = scene.look(&job, 1, 1..=1).await.must_be_ready();
        run.wrong_if(begun, "the job was begun all the same")
            .wrong_if(!said, format!("it does not say what is wrong: {}", wrong.log()))
    })
    .await
}
