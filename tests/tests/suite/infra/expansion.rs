//! Templates as CloudFormation would make them: with a value for each parameter, conditions decided, and linted.
//!
//! `tests/templates/expand.py` does the work, because cfn-lint is a library of Python.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use downpipe_tests::STACK;
use serde::Deserialize;
use serde_json::{Map, Value};
use xtask::workspace;

/// The values of some parameters; the others have their defaults.
pub(super) type Parameters = BTreeMap<&'static str, String>;

/// A template for given values of its parameters.
#[derive(Deserialize)]
pub(super) struct Expansion {
    /// What remains of it, with resources and outputs.
    pub(super) template: Value,
    /// What its rules say against these values.
    pub(super) refused: Vec<String>,
    /// What cfn-lint says.
    problems: Vec<String>,
}

impl Expansion {
    /// Expands a template of `infra/` for each of these sets of values, and lints nothing.
    pub(super) fn each(template: &str, parameters: &[Parameters]) -> Vec<Self> {
        Self::run(template, parameters, &[])
    }

    /// Expands a template that takes these values without a word from its rules.
    pub(super) fn of(template: &str, values: Parameters) -> Self {
        let expansion = Self::each(template, std::slice::from_ref(&values)).remove(0);
        assert_eq!(expansion.refused, [""; 0], "{template} with {values:?}");
        expansion
    }

    fn run(template: &str, parameters: &[Parameters], options: &[&str]) -> Vec<Self> {
        let mut python = Command::new(STACK.cfn_lint_python());
        // Writes no compiled files beside the sources, and ignores the person's own Python packages.
        python.args(["-B", "-s"]).env_remove("PYTHONPATH").env("PYTHONUTF8", "1");
        python.env("AWS_DEFAULT_REGION", "us-east-1");
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("templates/expand.py");
        python.arg(script).arg(workspace::path(&format!("infra/{template}"))).args(options);
        let child = python.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        let mut child = child.unwrap();
        let input = serde_json::to_vec(parameters).unwrap();
        child.stdin.take().unwrap().write_all(&input).unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{template}: {}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// Expands and lints a template for values that neither its rules nor cfn-lint have a word against.
    pub(super) fn clean(template: &str, parameters: &[Parameters]) -> Vec<Self> {
        let expansions = Self::run(template, parameters, &["--lint"]);
        for (expansion, values) in expansions.iter().zip(parameters) {
            assert_eq!(expansion.refused, [""; 0], "{template} with {values:?}");
            assert_eq!(expansion.problems, [""; 0], "{template} with {values:?}");
        }
        expansions
    }

    /// Returns all resources by their names.
    pub(super) fn resources(&self) -> &Map<String, Value> {
        self.template["Resources"].as_object().unwrap()
    }

    /// Returns the names of all resources.
    pub(super) fn names(&self) -> BTreeSet<&str> {
        self.resources().keys().map(String::as_str).collect()
    }

    /// Returns the names of the resources of one type.
    pub(super) fn of_type(&self, kind: &str) -> BTreeSet<&str> {
        let is_of_type = |(_, resource): &(&String, &Value)| resource["Type"] == kind;
        self.resources().iter().filter(is_of_type).map(|(name, _)| name.as_str()).collect()
    }

    /// Returns the properties of a resource; null when there is no such resource.
    pub(super) fn properties(&self, name: &str) -> &Value {
        &self.template["Resources"][name]["Properties"]
    }

    /// Removes the resources of these types, which the local CloudFormation does not know.
    pub(super) fn without_types(mut self, kinds: &[&str]) -> Self {
        let resources = self.template["Resources"].as_object_mut().unwrap();
        resources.retain(|_, resource| !kinds.contains(&resource["Type"].as_str().unwrap()));
        self
    }
}

/// Returns values of parameters.
pub(super) fn parameters<const N: usize>(values: [(&'static str, &str); N]) -> Parameters {
    values.into_iter().map(|(name, value)| (name, value.to_owned())).collect()
}

/// Returns every combination of the values of some parameters.
pub(super) fn combinations(switches: &[(&'static str, &[&str])]) -> Vec<Parameters> {
    switches.iter().fold(vec![Parameters::new()], |sets, (name, values)| {
        let with = |set: &Parameters, value: &str| {
            let mut set = set.clone();
            set.insert(name, value.to_owned());
            set
        };
        sets.iter().flat_map(|set| values.iter().map(|value| with(set, value)).collect::<Vec<_>>()).collect()
    })
}
