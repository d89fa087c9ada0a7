//! The examples that people copy.

use althing_contracts::{
    digest::Digest,
    document::{Action, ProposalDocument},
    rules::RuleId,
    testing::World,
};

fn root() -> std::path::PathBuf {
    env!("CARGO_MANIFEST_DIR").into()
}

fn example(name: &str) -> ProposalDocument {
    let text = std::fs::read_to_string(root().join("examples").join(name)).unwrap();
    toml::from_str(&text).unwrap()
}

#[test]
fn artefacts_of_the_examples_are_the_files_beside_them() {
    for name in ["roll-greeter-2.toml", "roll-greeter-3.toml", "residency-breach.toml"] {
        for (_, step) in example(name).steps() {
            let Action::Deploy { version, artefact, .. } = &step.action else { panic!("{name} deploys") };
            let file = format!("examples/artefacts/greeter-{version}.toml");
            let digest = Digest::of_artefact(&std::fs::read(root().join(&file)).unwrap());
            assert_eq!(*artefact, digest, "{name} names another {file}; its digest is {digest}");
        }
    }
}

#[test]
fn the_rolls_keep_every_hard_rule_and_the_breach_breaks_residency() {
    let world = World::new(4);
    for name in ["roll-greeter-2.toml", "roll-greeter-3.toml"] {
        let document = example(name);
        document.check().unwrap();
        assert_eq!(world.state.findings(&document), [], "{name}");
    }
    let findings = world.state.findings(&example("residency-breach.toml"));
    assert_eq!(findings.iter().map(|finding| finding.rule).collect::<Vec<_>>(), [RuleId::DataResidency]);
    assert_eq!(findings[0].message.as_str(), "class `personal` may be held in eu, acme-south is in us");
}

#[test]
fn the_drafts_template_has_a_sound_form() {
    let document: ProposalDocument =
        toml::from_str(&std::fs::read_to_string(root().join("src/cli/template.toml")).unwrap()).unwrap();
    document.check().unwrap();
}
