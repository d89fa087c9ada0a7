//! Who decides changes by what was decided: a node that is seated votes from the next height on, one that is unseated stops.

use althing_contracts::{
    act::Act,
    quantity::Revision,
    stage::Stage,
    testing::{acts, member, organisation, record},
    transaction::{Choice, ReviewVerdict},
};

use super::*;

/// Four validators, and the node of an organisation that the genesis does not know.
struct Assembly {
    mesh: Mesh,
    ms: u64,
}

impl Assembly {
    fn new(disk: SimDisk) -> Self {
        let mut nodes: Vec<_> = (0..NODES).map(validator).collect();
        nodes.push(open_on(disk, node_id(NODES), LedgerRole::Validator(key(NODES))));
        let mut assembly = Self { mesh: Mesh::of(nodes), ms: 0 };
        for other in 0..NODES {
            assembly.mesh.step(0, NODES, LedgerInput::Connected(node_id(other)));
            assembly.mesh.step(0, other, LedgerInput::Connected(node_id(NODES)));
        }
        assembly
    }

    /// The ledger as the first node has it, for signing.
    fn world(&self) -> World {
        World { genesis: World::new(NODES).genesis, state: self.mesh.nodes[0].state().clone(), last: None }
    }

    fn call(&mut self, sender: &str, role: Role, call: Call) {
        self.ms += 1_000;
        let world = self.world();
        let transaction = pooled(&world.sign(sender, role, call), world.network());
        self.mesh.step(self.ms, 0, LedgerInput::Submit(transaction));
        self.mesh.all(self.ms, &LedgerInput::Timer);
    }

    /// Moves all clocks to the next deadline of the state.
    fn pass_to_deadline(&mut self) {
        let due = self.world().state.next_deadline().unwrap();
        self.ms = due.since(at(0).wall).get().max(self.ms) + 1;
        self.mesh.all(self.ms, &LedgerInput::Timer);
    }

    /// Has acts carried out.
    fn enact(&mut self, document: Vec<Act>) {
        let document = acts(document);
        let world = self.world();
        let plan = world.state.plan(&document).unwrap();
        let author = member("acme/author");
        let sequence = world.state.next_sequence(&author, Role::Author);
        let id = ProposalId::derive(world.network(), &author, sequence, plan.document);
        self.call("acme/author", Role::Author, Call::Submit { document, plan_hash: plan.hash() });
        for reviewer in ["birch/author", "cedar/author", "delta/author"] {
            let call = self.world().review_call(id, ReviewVerdict::Approve);
            self.call(reviewer, Role::Reviewer, call);
        }
        for voter in ["acme/author", "birch/author", "cedar/author", "delta/author"] {
            let call = self.world().vote_call(id, Choice::For);
            self.call(voter, Role::Voter, call);
        }
        let stage = |assembly: &Self| assembly.world().state.proposal(id).unwrap().stage;
        while stage(self) != Stage::Queued {
            self.pass_to_deadline();
        }
        for guardian in ["birch/guardian", "cedar/guardian"] {
            let (revision, plan_hash) = (Revision::new(1), plan.hash());
            self.call(guardian, Role::Guardian, Call::Cosign { proposal: id, revision, plan_hash });
        }
        self.pass_to_deadline();
        assert_eq!(stage(self), Stage::Auditing);
        // A node without a vote asks for a block that nobody sends it.
        self.ms += 1_000;
        self.mesh.all(self.ms, &LedgerInput::Timer);
    }

    /// The validators that precommitted to the last block.
    fn signers(&self) -> Vec<PublicKey> {
        self.mesh.nodes[0].certificate().unwrap().precommits.keys().copied().collect()
    }

    /// Makes blocks until one carries the precommit of a validator.
    fn make_blocks_until_signed_by(&mut self, index: usize) {
        for version in 0..16 {
            let world = self.world();
            let document = deploy(&format!("v{version}"), &[&["acme-north"]]);
            let plan_hash = world.state.plan(&document).unwrap().hash();
            let author = ["acme/author", "cedar/author", "delta/author"][version % 3];
            self.call(author, Role::Author, Call::Submit { document, plan_hash });
            if self.signers().contains(&key(index).public()) {
                return;
            }
        }
        panic!("no certificate has its precommit");
    }
}

fn seat(index: usize) -> Act {
    Act::SetOrganisation { organisation: org(index), record: organisation(&org(index)) }
}

#[test]
fn a_validator_votes_from_the_height_after_the_one_that_seats_it() {
    let disk = SimDisk::new();
    let mut assembly = Assembly::new(disk.clone());
    let new = |mesh: &Mesh| mesh.nodes[NODES].is_seated();
    assert!(!new(&assembly.mesh));
    let mut acts = vec![seat(NODES)];
    let author = member(&format!("{}/author", org(NODES)));
    let roles = [Role::Author, Role::Reviewer, Role::Voter];
    acts.push(Act::SetMember { record: record(&author, 100, &roles), member: author });
    assembly.enact(acts);
    assert!(assembly.mesh.nodes.iter().all(LedgerState::is_seated));
    let heights = assembly.mesh.heights();
    assert!(heights.iter().all(|height| *height == heights[0]), "{heights:?}");
    assert!(!assembly.signers().contains(&key(NODES).public()), "the block that seats it is of the old ones");
    assembly.make_blocks_until_signed_by(NODES);

    let target = |text: &str| Act::RemoveTarget { target: althing_contracts::testing::target(text) };
    let leaves = Act::RemoveOrganisation { organisation: org(1) };
    assembly.enact(vec![leaves, target("birch-north"), target("birch-south")]);
    assert!(!assembly.mesh.nodes[1].is_seated());
    assembly.make_blocks_until_signed_by(NODES);
    let heights = assembly.mesh.heights();
    assert!(heights[1] < heights[0], "nobody sends it votes any more: {heights:?}");
    let signed: Vec<_> = assembly.mesh.committed[NODES].iter().map(|block| block.digest).collect();
    let others: Vec<_> = assembly.mesh.committed[0].iter().map(|block| block.digest).collect();
    assert_eq!(signed, others);

    let reopened = open_on(disk.kill(), node_id(NODES), LedgerRole::Validator(key(NODES)));
    assert_eq!(reopened.state().roster(), assembly.mesh.nodes[0].state().roster());
    assert!(reopened.is_seated());
}
