//! The worker's role: its policies, without one of their actions, and a session of it.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use xtask::aws_cli::{AwsCli, Session};

/// The worker's role, as it was deployed.
pub(super) struct Role {
    /// The role's name.
    pub(super) name: String,
    /// Names and documents.
    policies: Vec<(String, Value)>,
}

impl Role {
    /// Reads the role of a stack.
    pub(super) fn of_stack(aws: AwsCli<'_>, stack: &str) -> Self {
        let args = ["cloudformation", "describe-stack-resource", "--stack-name", stack];
        let answer = aws.json(&[&args[..], &["--logical-resource-id", "Role"]].concat()).unwrap();
        let name = answer["StackResourceDetail"]["PhysicalResourceId"].as_str().unwrap().to_owned();
        let list = aws.json(&["iam", "list-role-policies", "--role-name", &name]).unwrap();
        let policies = list["PolicyNames"].as_array().unwrap().iter().map(|policy| {
            let policy = policy.as_str().unwrap();
            let args = ["iam", "get-role-policy", "--role-name", &name, "--policy-name", policy];
            (policy.to_owned(), aws.json(&args).unwrap()["PolicyDocument"].take())
        });
        Self { policies: policies.collect(), name }
    }

    /// Returns the actions that the role allows, in order.
    pub(super) fn actions(&self) -> BTreeSet<String> {
        let statements = self.policies.iter().flat_map(|(_, document)| statements(document));
        let allowed = statements.filter(|statement| statement["Effect"] == "Allow");
        allowed.flat_map(|statement| actions(&statement)).collect()
    }

    /// Sets the policies as the template has them.
    pub(super) fn allow_all(&self, aws: AwsCli<'_>) {
        for (name, document) in &self.policies {
            self.put(aws, name, document);
        }
    }

    /// Sets the policies without this action.
    pub(super) fn allow_all_but(&self, aws: AwsCli<'_>, action: &str) {
        for (name, document) in &self.policies {
            self.put(aws, name, &without(document, action));
        }
    }

    fn put(&self, aws: AwsCli<'_>, policy: &str, document: &Value) {
        let args = ["iam", "put-role-policy", "--role-name", &self.name, "--policy-name", policy];
        let document = document.to_string();
        aws.text(&[&args[..], &["--policy-document", &document]].concat()).unwrap();
    }

    /// Returns credentials of the role. MiniStack lets the root user take a role that on AWS only Lambda may take.
    pub(super) fn session(&self, aws: AwsCli<'_>) -> Session {
        let role = aws.json(&["iam", "get-role", "--role-name", &self.name]).unwrap();
        let arn = role["Role"]["Arn"].as_str().unwrap();
        let args = ["sts", "assume-role", "--role-arn", arn, "--role-session-name", "permissions"];
        let mut answer = aws.json(&args).unwrap();
        serde_json::from_value(answer["Credentials"].take()).unwrap()
    }
}

fn statements(document: &Value) -> Vec<Value> {
    document["Statement"].as_array().unwrap().clone()
}

fn actions(statement: &Value) -> Vec<String> {
    match &statement["Action"] {
        Value::String(action) => vec![action.clone()],
        actions => {
            actions.as_array().unwrap().iter().map(|action| action.as_str().unwrap().to_owned()).collect()
        }
    }
}

/// Returns a policy without an action. A statement that is left with no action goes, too.
fn without(document: &Value, action: &str) -> Value {
    let mut left = Vec::new();
    for mut statement in statements(document) {
        let mut actions = actions(&statement);
        actions.retain(|other| other != action);
        if !actions.is_empty() {
            statement["Action"] = json!(actions);
            left.push(statement);
        }
    }
    json!({ "Version": document["Version"], "Statement": left })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn policy_without_an_action_keeps_the_others() {
        let statement = |actions: Value| json!({ "Effect": "Allow", "Action": actions, "Resource": "*" });
        let document = json!({ "Version": "2012-10-17", "Statement": [
            statement(json!(["s3:GetObject", "s3:PutObject"])),
            statement(json!("s3:PutObject")),
            statement(json!("sns:Publish")),
        ] });
        let left = json!({ "Version": "2012-10-17", "Statement": [
            statement(json!(["s3:GetObject"])), statement(json!(["sns:Publish"])),
        ] });
        assert_eq!(without(&document, "s3:PutObject"), left);
    }
}
