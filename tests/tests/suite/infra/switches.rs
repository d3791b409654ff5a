//! `infra/template.yaml` with each of its optional parameters: that the result is sound, and what the role then allows.

use serde_json::{Value, json};

use super::expansion::{Expansion, Parameters, parameters};

const TEMPLATE: &str = "template.yaml";
const KEY: &str = "arn:aws:kms:us-east-1:123456789012:key/0a1b2c3d-0000-4000-8000-000000000000";
const CACHE: &str = "arn:aws:elasticache:us-east-1:123456789012:serverlesscache:downpipe-0a1b2c3d";
const CACHE_USER: &str = "arn:aws:elasticache:us-east-1:123456789012:user:downpipe-worker-0a1b2c3d";
const VALKEY: &str = "valkey://downpipe-worker-0a1b2c3d@downpipe-0a1b2c3d.serverless.use1.cache.amazonaws.com:6379/downpipe-0a1b2c3d?serverless";
const MEMCACHED: &str = "memcached://cache.abcdef.cfg.use1.cache.amazonaws.com:11211";

const SIGNING: &str = "arn:aws:secretsmanager:us-east-1:123456789012:secret:signing-AbCdEf";
const LINKS: &str = "arn:aws:secretsmanager:us-east-1:123456789012:secret:links-AbCdEf";

/// The parameters that have no default.
fn required() -> Parameters {
    parameters([
        ("CodeBucket", "code"),
        ("CodeKey", "downpipe-1.zip"),
        ("DatabaseSecretArn", "arn:aws:secretsmanager:us-east-1:123456789012:secret:database-AbCdEf"),
    ])
}

fn vpc() -> Parameters {
    parameters([
        ("SubnetIds", "subnet-0123456789abcdef0,subnet-0123456789abcdef1"),
        ("SecurityGroupIds", "sg-0123456789abcdef0"),
    ])
}

/// A cache of this address in the network, with the secret that signs.
fn signed(url: &str) -> Parameters {
    with(&vpc(), &parameters([("CacheUrl", url), ("SigningSecretArn", SIGNING)]))
}

fn valkey() -> Parameters {
    with(&signed(VALKEY), &parameters([("CacheArn", CACHE), ("CacheUserArn", CACHE_USER)]))
}

/// Mail in place of a topic.
fn mail() -> Parameters {
    parameters([
        ("Notice", "ses"),
        ("MailFrom", "exports@example.com"),
        ("Operators", "a@example.com,b@example.com"),
        ("Language", "ja"),
    ])
}

fn with(first: &Parameters, second: &Parameters) -> Parameters {
    first.iter().chain(second).map(|(name, value)| (*name, value.clone())).collect()
}

/// What may be switched on, each with all that it needs.
fn options() -> Vec<Parameters> {
    let user = "arn:aws:rds-db:us-east-1:123456789012:dbuser:db-ABCDEFGHIJKL/downpipe";
    vec![
        vpc(),
        valkey(),
        signed(MEMCACHED),
        with(&valkey(), &parameters([("CacheCa", "/opt/cache-ca.pem")])),
        parameters([("LedgerTable", "downpipe-ledger")]),
        parameters([("LedgerTable", "downpipe-ledger"), ("LedgerKeyArn", KEY)]),
        parameters([("DatabaseAuth", "iam"), ("DatabaseUserArn", user)]),
        parameters([("DatabaseSecretKeyArn", KEY), ("DatabaseCa", "/opt/ca.pem"), ("Architecture", "arm64")]),
        parameters([
            ("SigningSecretArn", SIGNING),
            ("PortalUrl", "https://downloads.example.com"),
            ("LinkSecretArn", LINKS),
        ]),
        mail(),
        parameters([
            ("CatalogBucket", "catalog"),
            ("AlarmTopicArn", "arn:aws:sns:us-east-1:123456789012:alarms"),
        ]),
    ]
}

/// Returns all statements of the role.
fn statements(expansion: &Expansion) -> Vec<&Value> {
    let policies = expansion.properties("Role")["Policies"].as_array().unwrap();
    policies.iter().flat_map(|policy| policy["PolicyDocument"]["Statement"].as_array().unwrap()).collect()
}

/// Returns the statements of the role that allow an action of a service.
fn of_service<'a>(expansion: &'a Expansion, service: &str) -> Vec<&'a Value> {
    let prefix = format!("\"{service}:");
    statements(expansion)
        .into_iter()
        .filter(|statement| statement["Action"].to_string().contains(&prefix))
        .collect()
}

fn variables(expansion: &Expansion) -> &Value {
    &expansion.properties("Function")["Environment"]["Variables"]
}

#[test]
fn template_of_every_switch_is_clean() {
    let options = options();
    let mut sets = vec![required()];
    sets.extend(options.iter().map(|option| with(&required(), option)));
    sets.push(options.iter().fold(required(), |set, option| with(&set, option)));
    Expansion::clean(TEMPLATE, &sets);
}

#[test]
fn ledger_with_each_sort_of_key_is_clean() {
    Expansion::clean("ledger.yaml", &[parameters([]), parameters([("KeyArn", KEY)])]);
}

#[test]
fn cache_of_the_template_may_be_entered_by_one_user_and_pages_no_topic() {
    let alarms = parameters([("AlarmTopicArn", "arn:aws:sns:us-east-1:123456789012:alarms")]);
    let set = with(&with(&required(), &valkey()), &alarms);
    let worker = Expansion::of(TEMPLATE, set);
    assert_eq!(variables(&worker)["DOWNPIPE_CACHE"], VALKEY);
    let statement = json!({
        "Sid": "Cache", "Effect": "Allow", "Action": "elasticache:Connect", "Resource": [CACHE, CACHE_USER]
    });
    assert_eq!(of_service(&worker, "elasticache"), [&statement]);
    let alarm = worker.properties("CacheFaultsAlarm");
    assert!(alarm["AlarmActions"].is_null(), "an export needs no cache, so it wakes no operator: {alarm}");
    assert!(!worker.properties("FailedJobsAlarm")["AlarmActions"].is_null());
}

#[test]
fn memcached_of_the_template_needs_no_right_and_no_cache_is_none() {
    let memcached = with(&required(), &signed(MEMCACHED));
    let [memcached, none] = [memcached, required()].map(|set| Expansion::of(TEMPLATE, set));
    assert_eq!(variables(&memcached)["DOWNPIPE_CACHE"], MEMCACHED);
    assert_eq!(variables(&none)["DOWNPIPE_CACHE"], "none");
    assert!(of_service(&memcached, "elasticache").is_empty());
    assert!(!none.names().contains("CacheFaultsAlarm") && !none.names().contains("CacheFaults"));
}

#[test]
fn mail_of_the_template_is_sent_from_one_address() {
    let [mail, none] = [with(&required(), &mail()), required()].map(|set| Expansion::of(TEMPLATE, set));
    let variable = |expansion: &Expansion, name: &str| variables(expansion)[name].clone();
    for (name, value) in [
        ("DOWNPIPE_NOTICE", "ses"),
        ("DOWNPIPE_MAIL_FROM", "exports@example.com"),
        ("DOWNPIPE_OPERATORS", "a@example.com,b@example.com"),
        ("DOWNPIPE_LANGUAGE", "ja"),
    ] {
        assert_eq!(variable(&mail, name), value);
    }
    let mails = of_service(&mail, "ses");
    assert_eq!((mails.len(), &mails[0]["Action"]), (1, &json!("ses:SendEmail")));
    let from = json!({ "StringEquals": { "ses:FromAddress": "exports@example.com" } });
    assert_eq!(mails[0]["Condition"], from);
    assert!(of_service(&none, "ses").is_empty());
    assert_eq!(
        (variable(&none, "DOWNPIPE_NOTICE"), variable(&none, "DOWNPIPE_LANGUAGE")),
        (json!("sns"), json!("en"))
    );
    assert!(variables(&none).get("DOWNPIPE_MAIL_FROM").is_none_or(|value| value.is_null()));
}

#[test]
fn ledger_table_of_the_template_is_the_only_one_that_the_role_reaches() {
    let set = with(&required(), &parameters([("LedgerTable", "downpipe-ledger"), ("LedgerKeyArn", KEY)]));
    let [table, none] = [set, required()].map(|set| Expansion::of(TEMPLATE, set));
    assert_eq!(variables(&table)["DOWNPIPE_LEDGER"], "dynamodb:downpipe-ledger");
    assert_eq!(variables(&none)["DOWNPIPE_LEDGER"], "mysql");
    let arn = "arn:${AWS::Partition}:dynamodb:${AWS::Region}:${AWS::AccountId}:table/downpipe-ledger";
    let reached: Vec<&Value> =
        of_service(&table, "dynamodb").iter().map(|statement| &statement["Resource"]["Fn::Sub"]).collect();
    assert_eq!(reached, [&json!(arn), &json!(format!("{arn}/index/*"))]);
    let key = of_service(&table, "kms");
    assert_eq!(key.len(), 1, "{key:?}");
    assert_eq!((&key[0]["Action"], &key[0]["Resource"]), (&json!("kms:Decrypt"), &json!(KEY)));
    assert!(of_service(&none, "dynamodb").is_empty());
}

#[test]
fn switch_without_what_it_needs_is_refused() {
    let sets = [
        parameters([("CacheUrl", MEMCACHED), ("SigningSecretArn", SIGNING)]),
        with(&vpc(), &parameters([("CacheUrl", MEMCACHED)])),
        with(&signed(VALKEY), &parameters([("CacheArn", CACHE)])),
        with(&signed(VALKEY), &parameters([("CacheUserArn", CACHE_USER)])),
        parameters([("LedgerKeyArn", KEY)]),
        parameters([("Notice", "ses")]),
        parameters([("MailFrom", "exports@example.com")]),
        parameters([("Operators", "a@example.com")]),
    ];
    let refusals = [
        "CacheUrl is given, so SubnetIds must be given too; a cache is reached only from its network.",
        "CacheUrl is given, so SigningSecretArn must be given too; the worker signs what it keeps in a cache.",
        "CacheArn is given, so CacheUrl and CacheUserArn must be given too.",
        "CacheUserArn is given, so CacheArn must name the cache of that user.",
        "LedgerKeyArn is given, so LedgerTable must name the table that it encrypts.",
        "Notice is ses, so MailFrom must be given too.",
        "MailFrom is given, so Notice must be ses; SNS has a sender of its own.",
        "Operators is given, so Notice must be ses; with sns the operator subscribes to the topic.",
    ];
    let sets = sets.map(|set| with(&required(), &set));
    for (expansion, refusal) in Expansion::each(TEMPLATE, &sets).iter().zip(refusals) {
        assert_eq!(expansion.refused, [refusal]);
    }
}
