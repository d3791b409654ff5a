//! Faults of the login: a secret that is rotated during a run, and a wrong certificate authority.

use std::process::Command;
use std::time::Duration;

use xtask::faults::Outcome;

use super::harness::WorkerHarness;
use super::scene::{ExportOptions, WorkerScene};
use crate::database::root_certificates_file;
use crate::eventually_within;
use crate::faults::fault_run::{FaultRun, Plan};
use crate::secret_user::SecretUser;
use crate::test_stack::WorkerProcess;
use crate::tls::CertificateAuthority;

/// The time limit of every wait here.
const TIME_LIMIT: Duration = Duration::from_secs(120);

/// Creates a user for the worker. Its secret names the proxy's address, which the server's
/// certificate covers.
async fn create_user<'a>(harness: &WorkerHarness, scene: &'a WorkerScene<'_>) -> SecretUser<'a> {
    let database = &scene.test_stack.database;
    let url = url::Url::parse(&scene.mysql.url(&database.url)).unwrap();
    let address = (url.host_str().unwrap(), url.port().unwrap());
    let user = SecretUser::create(database, &scene.test_stack.config, address).await;
    user.grant("SELECT", harness.rows_database()).await;
    user
}

/// Returns the worker's command, with this login and behind the proxy.
fn command(scene: &WorkerScene<'_>, user: &SecretUser<'_>) -> Command {
    let mut command = scene.command(&[]);
    command.env_remove("DATABASE_URL").env("DOWNPIPE_DATABASE_SECRET", &user.secret);
    command.env("DOWNPIPE_DATABASE_CA", root_certificates_file());
    command
}

/// Rotates the password after the first part, and then cuts all connections.
pub async fn rotated(fault_run: &FaultRun, plan: &Plan) -> Outcome {
    let harness = fault_run.harness().await;
    fault_run
        .inject("worker: secret rotated mid-run", plan.times, 2, async |k| {
            let options = ExportOptions::few_parts(k % 2 == 0);
            harness.undisturbed(options).await;
            // The export takes 8 s, so that the rotation comes before its last row on a busy machine, too.
            let scene = WorkerScene::new(harness, ExportOptions { pause: 20_000, ..options }).await;
            let user = create_user(harness, &scene).await;
            let job = scene.send_request().await;
            let mut worker = WorkerProcess::start(&mut command(&scene, &user));
            eventually_within(TIME_LIMIT, "a part", async || {
                (scene.aws.count("UploadPart") > 0).then_some(())
            })
            .await;
            user.rotate().await;
            let connections = scene.mysql.answered().len();
            scene.mysql.go_down();
            eventually_within(TIME_LIMIT, "the worker finds the server down", async || {
                (scene.mysql.answered().len() > connections).then_some(())
            })
            .await;
            scene.mysql.recover();
            scene.wait_for_success(&mut worker).await;
            let fetched = scene.aws.count("GetSecretValue");
            user.drop().await;
            let run = scene.inspect(&job, 1, 1..=1).await.must_be_ready();
            // The ledger and the query fetch the secret once each, and once more after the
            // rotation.
            run.wrong_if(fetched < 4, format!("the secret was fetched {fetched} times"))
        })
        .await
}

/// Starts a worker that trusts another authority, which must do nothing. A worker with the right
/// authority then does the job.
pub async fn wrong_authority(fault_run: &FaultRun, plan: &Plan) -> Outcome {
    let harness = fault_run.harness().await;
    fault_run
        .inject("worker: wrong certificate authority", plan.times, 2, async |_| {
            let options = ExportOptions::FEW_PARTS;
            harness.undisturbed(options).await;
            let scene = WorkerScene::new(harness, options).await;
            let user = create_user(harness, &scene).await;
            let folder = tempfile::tempdir().unwrap();
            let file = folder.path().join("ca.pem");
            std::fs::write(&file, CertificateAuthority::new().pem).unwrap();
            let job = scene.send_request().await;
            let mut wrong = WorkerProcess::start(command(&scene, &user).env("DOWNPIPE_DATABASE_CA", &file));
            eventually_within(TIME_LIMIT, "the message is put back", async || {
                wrong.log().contains("the ledger could not record the job").then_some(())
            })
            .await;
            let begun = scene.find(&job).await.is_some();
            wrong.kill();
            let said = wrong.log().contains("expected a certificate of a trusted authority");
            let mut right = WorkerProcess::start(&mut command(&scene, &user));
            scene.wait_for_success(&mut right).await;
            user.drop().await;
            let run = scene.inspect(&job, 1, 1..=1).await.must_be_ready();
            run.wrong_if(begun, "the job was begun all the same")
                .wrong_if(!said, format!("the log does not say what is wrong: {}", wrong.log()))
        })
        .await
}
