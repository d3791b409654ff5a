//! The documents held against the program: commands, definitions, and the tables of the reference.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use downpipe_core::catalog::Definition;
use downpipe_core::message::Message;
use xtask::lint::documents::{Documents, Fault, Grammar};
use xtask::workspace;

use super::Shell;

const README: &str = include_str!("../../../../README.md");
const DEFINITIONS: &str = include_str!("../../../../docs/definitions.md");
const OPERATE: &str = include_str!("../../../../docs/operate.md");
const AWS: &str = include_str!("../../../../docs/aws.md");
const TEMPLATE: &str = include_str!("../../../../infra/template.yaml");
const FAILURE: &str = include_str!("../../../../crates/downpipe-core/src/failure.rs");

/// The keys below a heading of a document: what stands in backticks in the first cells of its tables.
fn keys(document: &str, heading: &str) -> BTreeSet<String> {
    let section = document.split(&format!("\n{heading}\n")).nth(1).unwrap_or_else(|| panic!("{heading}"));
    let level = heading.split(' ').next().unwrap_or_default();
    let section = section.split(&format!("\n{level} ")).next().unwrap_or_default();
    let cells = section.lines().filter_map(|line| line.strip_prefix("| ")?.split(" | ").next());
    cells.flat_map(|cell| cell.split('`').skip(1).step_by(2).map(str::to_owned)).collect()
}

/// The keys that are known where this text has an unknown one, as the refusal names them.
fn known_keys(text: &str) -> BTreeSet<String> {
    let refusal = Definition::parse("a.toml", text).unwrap_err().reason;
    let (_, known) = refusal.split_once("expected ").unwrap_or_else(|| panic!("{refusal}"));
    known.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

#[test]
fn documents_name_only_commands_and_options_that_the_program_has() {
    let shell = Shell::new();
    let grammar = Grammar::of_help(&|path: &[&str]| {
        let args: Vec<&str> = path.iter().copied().chain(["--help"]).collect();
        shell.run(&args).printed()
    });
    let faults = Documents::read(workspace::root()).unwrap().wrong_commands("downpipe", &grammar);
    assert_eq!(faults.iter().map(Fault::to_string).collect::<Vec<_>>(), [""; 0]);
    // A grammar that knows nothing would find nothing.
    assert_eq!(grammar.check_line("downpipe", "downpipe run orders --param a=b --to - --json"), Ok(()));
    grammar.check_line("downpipe", "downpipe run orders --no-such-option").unwrap_err();
}

#[test]
fn definitions_in_the_documents_are_right() {
    let examples: Vec<&str> = [README, DEFINITIONS]
        .iter()
        .flat_map(|document| document.split("```toml\n").skip(1))
        .filter_map(|rest| rest.split("```").next())
        .filter(|example| example.starts_with("title"))
        .collect();
    assert_eq!(examples.len(), 2);
    for example in examples {
        let definition = Definition::parse("orders.toml", example).unwrap();
        assert!(definition.warnings().is_empty(), "{:?}", definition.warnings());
    }
}

#[test]
fn every_key_of_a_definition_is_documented() {
    let nested = ["params", "resume", "columns", "profiles", "limits", "throttle", "access", "output", "ja"];
    let mut top = keys(DEFINITIONS, "### Top level");
    top.extend(nested.map(str::to_owned));
    assert_eq!(known_keys("unknown = 1"), top);
    for section in nested {
        let text = match section {
            "params" => "[params.a]\ntype = \"string\"\nunknown = 1".to_owned(),
            // It has keys of other sections, which the text lists.
            "ja" => continue,
            "columns" | "profiles" => format!("[{section}.a]\nunknown = 1"),
            _ => format!("[{section}]\nunknown = 1"),
        };
        let documented = keys(DEFINITIONS, &format!("### {section}"));
        let missing: Vec<String> = known_keys(&text).difference(&documented).cloned().collect();
        assert_eq!(missing, [""; 0], "{section}");
    }
}

#[test]
fn every_field_of_a_message_is_documented() {
    let refusal = Message::parse(r#"{"export":"a","unknown":1}"#).unwrap_err().to_string();
    let (_, fields) = refusal.split_once("one of the fields ").unwrap();
    let (fields, _) = fields.split_once(", got").unwrap();
    let fields: BTreeSet<String> = fields.split(", ").map(str::to_owned).collect();
    assert_eq!(fields, keys(DEFINITIONS, "## The message"));
}

/// Reads the Rust files below a folder.
fn sources(folder: &Path) -> String {
    let paths = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let text = |path: PathBuf| match path.extension() {
        _ if path.is_dir() => sources(&path),
        Some(extension) if extension == "rs" => std::fs::read_to_string(path).unwrap(),
        _ => String::new(),
    };
    paths.map(text).collect()
}

#[test]
fn every_variable_is_documented() {
    let code = sources(&workspace::path("crates/downpipe-app/src"));
    let rows = code.lines().filter_map(|line| line.strip_prefix("//! | `")?.split('`').next());
    let read: BTreeSet<String> = rows.map(str::to_owned).collect();
    assert_eq!(read, keys(OPERATE, "## Environment"));
}

#[test]
fn every_failure_code_is_documented() {
    let places = ["Failure::new(", "for_operator(", "REJECTED: &str ="];
    let texts = places.iter().flat_map(|place| FAILURE.split(place).skip(1));
    let texts = texts.filter_map(|rest| rest.trim_start().strip_prefix('"')?.split('"').next());
    let is_code = |text: &&str| text.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
    let codes: BTreeSet<String> = texts.filter(is_code).map(str::to_owned).collect();
    assert!(codes.len() > 20, "{codes:?}");
    assert_eq!(codes, keys(OPERATE, "## Failure codes"));
}

#[test]
fn every_parameter_of_the_template_is_documented() {
    let parameters = TEMPLATE.split("\nParameters:\n").nth(1).unwrap().split("\nRules:\n").next().unwrap();
    let names = parameters.lines().filter_map(|line| line.strip_prefix("  ")?.strip_suffix(':'));
    let names: BTreeSet<String> = names.filter(|name| !name.starts_with(' ')).map(str::to_owned).collect();
    assert!(names.contains("CodeBucket"), "{names:?}");
    assert_eq!(names, keys(AWS, "## Parameters"));
}
