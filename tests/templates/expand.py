"""Expands a CloudFormation template for given parameters, as CloudFormation does before it makes anything, and can lint what remains.

    expand.py TEMPLATE [--lint] < [{"Parameter": "value", …}, …]

Prints for each set of parameters `template` (its conditions decided and its parameters replaced by their values), `refused` (what its
rules say against these values) and, with `--lint`, `problems` (what cfn-lint says about the template that remains).
"""

import json
import re
import sys

import yaml


class Loader(yaml.SafeLoader):
    """Reads YAML with the short forms of CloudFormation's functions, such as `!Ref`."""


def function(loader, suffix, node):
    """Turns a short form into the long one."""
    if isinstance(node, yaml.ScalarNode):
        value = loader.construct_scalar(node)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        value = loader.construct_mapping(node, deep=True)
    if suffix == "GetAtt" and isinstance(value, str):
        value = value.split(".", 1)
    return {suffix if suffix in ("Ref", "Condition") else f"Fn::{suffix}": value}


Loader.add_multi_constructor("!", function)
NO_VALUE = {"Ref": "AWS::NoValue"}


class Expansion:
    """A template with a value for each of its parameters."""

    def __init__(self, template, given):
        self.template = template
        self.values = {}
        for name, parameter in template.get("Parameters", {}).items():
            self.values[name] = self.checked(name, parameter, given.get(name, parameter.get("Default")))
        unknown = given.keys() - self.values.keys()
        assert not unknown, f"the template has no parameter {unknown}"

    @staticmethod
    def checked(name, parameter, value):
        """Returns a value as its parameter has it, if the parameter admits it."""
        assert value is not None, f"{name} is required"
        members = str(value).split(",") if parameter["Type"] == "CommaDelimitedList" else [str(value)]
        for member in members:
            assert re.fullmatch(parameter.get("AllowedPattern", "(?s).*"), member), f"{name} does not admit {member!r}"
            allowed = [str(allowed) for allowed in parameter.get("AllowedValues", [member])]
            assert member in allowed, f"{name} admits {allowed}, got {member!r}"
        return members if parameter["Type"] == "CommaDelimitedList" else value

    def decide(self, test):
        """Decides a condition, or the assertion of a rule."""
        (name, value), = test.items()
        if name == "Condition":
            return self.decide(self.template["Conditions"][value])
        if name == "Fn::Not":
            return not self.decide(value[0])
        if name == "Fn::And":
            return all(self.decide(part) for part in value)
        if name == "Fn::Or":
            return any(self.decide(part) for part in value)
        first, second = (self.expand(part) for part in value)
        if name == "Fn::EachMemberEquals":
            return all(member == second for member in first)
        assert name == "Fn::Equals", f"{name} is not known here"
        return str(first) == str(second)

    def refused(self):
        """Returns what the rules say against the parameters."""
        for rule in self.template.get("Rules", {}).values():
            if "RuleCondition" not in rule or self.decide(rule["RuleCondition"]):
                for assertion in rule["Assertions"]:
                    if not self.decide(assertion["Assert"]):
                        yield assertion["AssertDescription"]

    def expand(self, node):
        """Returns a part of the template with conditions decided and parameters replaced."""
        if isinstance(node, list):
            parts = (self.expand(part) for part in node)
            return [part for part in parts if part != NO_VALUE]
        if not isinstance(node, dict):
            return node
        if len(node) == 1:
            (name, value), = node.items()
            if name == "Fn::If":
                return self.expand(value[1] if self.decide({"Condition": value[0]}) else value[2])
            if name == "Ref" and value in self.values:
                return self.values[value]
            if name == "Fn::Sub":
                return self.substitute(value)
            if name == "Fn::Select" and isinstance(self.expand(value[1]), list):
                return self.expand(value[1])[int(value[0])]
        parts = {key: self.expand(part) for key, part in node.items()}
        return {key: part for key, part in parts.items() if part != NO_VALUE}

    def substitute(self, value):
        """Puts values into a text, and leaves `Fn::Sub` only where something else remains to be put in."""
        text, own = value if isinstance(value, list) else (value, {})
        own = self.expand(own)
        for name, known in self.values.items():
            if name not in own and not isinstance(known, list):
                text = text.replace("${" + name + "}", str(known))
        if own:
            return {"Fn::Sub": [text, own]}
        return {"Fn::Sub": text} if "${" in text else text

    def there(self, section):
        """Returns the entries of a section whose condition holds."""
        entries = self.template.get(section, {})
        return {
            name: self.expand({key: part for key, part in entry.items() if key != "Condition"})
            for name, entry in entries.items()
            if "Condition" not in entry or self.decide({"Condition": entry["Condition"]})
        }

    def expanded(self):
        """Returns the template that remains."""
        kept = {key: self.template[key] for key in ("AWSTemplateFormatVersion", "Transform", "Description") if key in self.template}
        return kept | {section: self.there(section) for section in ("Resources", "Outputs")}


def problems(template):
    """Returns what cfn-lint says about a template."""
    from cfnlint.api import lint  # Here, because loading it takes longer than all the rest.

    return [f"{match.rule.id} {match.message} at {match.path}" for match in lint(json.dumps(template, indent=1))]


def main():
    """Expands the template of the command line for every set of parameters on standard input."""
    with open(sys.argv[1], encoding="utf-8") as file:
        template = yaml.load(file, Loader)
    answers = []
    for given in json.load(sys.stdin):
        expansion = Expansion(template, given)
        expanded = expansion.expanded()
        found = problems(expanded) if "--lint" in sys.argv[2:] else []
        answers.append({"template": expanded, "refused": list(expansion.refused()), "problems": found})
    json.dump(answers, sys.stdout)


main()
