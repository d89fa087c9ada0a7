//! Owns what nodes testify about the use of their keys, against the ledger: every transaction that a testifying node's
//! key signed has exactly one use, and every use without a decision is named.

use std::collections::{BTreeMap, BTreeSet, btree_map};

use althing_contracts::{
    act::Act,
    canonical,
    digest::{Digest, Purpose},
    genesis::{Genesis, MemberRecord, OrganisationRecord},
    name::{MemberId, OrgId},
    quantity::{Sequence, TimeMs},
    role::Role,
    signature::PublicKey,
    transaction::{TransactionId, VerifiedTransaction},
};
use borsh::{BorshDeserialize, BorshSerialize};
use serde::Serialize;

use crate::{
    journal::Tip,
    signer::{
        journal::{KeyUse, KeyUseRecord},
        testimony::{KeyUseStatement, SignedKeyUses},
    },
};

/// Most uses in one record, so that it stays below its bound: a use takes up to 213 bytes.
pub const KEY_USES_PER_RECORD_MAX: usize = 256;
/// Most uses without a decision that a report names for one node; the rest are counted.
pub const UNDECIDED_NAMED_MAX: usize = 100;

/// Some uses in the order of their journal. The variant is the version of the layout.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum KeyUsePage {
    /// Version 1.
    V1(Vec<KeyUseRecord>),
}

/// What a bundle says of one node's keys.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NodeKeyUses {
    /// The node that testifies, by its key on the mesh.
    pub node: PublicKey,
    /// Its organisation.
    pub org: OrgId,
    /// Keys that it holds.
    pub keys: u64,
    /// Uses in its journal.
    pub uses: u64,
    /// Uses of which the transaction is in the ledger.
    pub decided: u64,
    /// Uses of which no transaction is in this ledger; at most [`UNDECIDED_NAMED_MAX`] of them.
    pub undecided: Vec<UndecidedUse>,
}

/// A signature that was given and is in no block of the bundle: refused, lost, expired, not final yet, or kept back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct UndecidedUse {
    /// Its place in the journal, from 1.
    pub number: u64,
    /// By the node's clock.
    pub time: TimeMs,
    /// What for.
    pub purpose: &'static str,
    /// Whose key.
    pub member: MemberId,
    /// Which key.
    pub role: Role,
    /// The transaction's sequence.
    pub sequence: Sequence,
    /// What was signed.
    pub transaction: TransactionId,
}

/// Why a testimony does not hold.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyUseFlaw {
    /// Nobody stated anything before.
    #[error("the uses follow no statement of a node: the statement was dropped")]
    NoStatement,
    /// Not of this network.
    #[error("{node} is no node of this network: what it states proves nothing")]
    Stranger {
        /// As given.
        node: PublicKey,
    },
    /// A node states twice.
    #[error("node {node} states the uses of its keys twice: a bundle holds one statement of a node")]
    Twice {
        /// Which.
        node: PublicKey,
    },
    /// A forged statement.
    #[error("node {node} did not sign the statement about its keys: it is forged or was changed")]
    Signature {
        /// Which.
        node: PublicKey,
    },
    /// A key that the node cannot hold.
    #[error(
        "node {node} of {org} states to hold the {role} key of {member}, which that organisation has not"
    )]
    ForeignKey {
        /// Which node.
        node: PublicKey,
        /// Its organisation.
        org: OrgId,
        /// Whose key.
        member: MemberId,
        /// Which key.
        role: Role,
    },
    /// The uses are not those of the statement.
    #[error(
        "the {found} uses of node {node} end in {head}, its statement covers {stated} that end in {stated_head}: a use was \
         changed, dropped, added or moved after the node had signed"
    )]
    Chain {
        /// Which node.
        node: PublicKey,
        /// Uses in the bundle.
        found: u64,
        /// Digest over them.
        head: Digest,
        /// Uses that were stated.
        stated: u64,
        /// Digest that was stated.
        stated_head: Digest,
    },
    /// A use of a key that was not stated.
    #[error("use {number} of node {node} is of the {role} key of {member}, which its statement leaves out")]
    OtherKey {
        /// Which node.
        node: PublicKey,
        /// Which use.
        number: u64,
        /// Whose key.
        member: MemberId,
        /// Which key.
        role: Role,
    },
    /// Two uses of one transaction that are not of the same signature.
    #[error("use {number} of node {node} is of transaction {transaction}, which has another use already")]
    Doubled {
        /// Which node.
        node: PublicKey,
        /// Which use.
        number: u64,
        /// Of what.
        transaction: TransactionId,
    },
    /// A signature without a use.
    #[error(
        "transaction {transaction} is signed with the {role} key of {member}, and node {node}, which holds it, has no use \
         for it: the key was used outside its signer, or the journal is not whole"
    )]
    Unrecorded {
        /// What was signed.
        transaction: TransactionId,
        /// Whose key.
        member: MemberId,
        /// Which key.
        role: Role,
        /// A node that holds it.
        node: PublicKey,
    },
    /// A use that says something else than the transaction.
    #[error(
        "use {number} of node {node} says another {field} than transaction {transaction}: the journal was falsified"
    )]
    Differs {
        /// Which node.
        node: PublicKey,
        /// Which use.
        number: u64,
        /// Which field.
        field: &'static str,
        /// Of what.
        transaction: TransactionId,
    },
}

/// What is known of the uses after some records.
#[derive(Debug, Default)]
pub(super) struct KeyUses {
    /// Every node that the network has or had, with its organisation.
    known: BTreeMap<PublicKey, OrgId>,
    /// Every role that a member has or had a key for.
    members: BTreeSet<(MemberId, Role)>,
    nodes: Vec<Testimony>,
    /// Those of them, to find again: a bundle may state as many as it has room for.
    stated: BTreeSet<PublicKey>,
    /// Which node testifies about a key; the first when several hold it.
    holders: BTreeMap<(MemberId, Role), usize>,
    open: BTreeMap<TransactionId, OpenUse>,
}

/// One node's testimony.
#[derive(Debug)]
struct Testimony {
    node: PublicKey,
    keys: BTreeSet<(MemberId, Role)>,
    stated: Tip,
    read: Tip,
    decided: u64,
}

/// A use whose transaction has not come yet.
#[derive(Debug)]
struct OpenUse {
    node: usize,
    number: u64,
    record: KeyUseRecord,
}

impl OpenUse {
    /// Whether another record of the same node is of the same signature.
    fn is_repeated_by(&self, node: usize, record: &KeyUseRecord) -> bool {
        let KeyUseRecord::V1 { time, .. } = &self.record;
        let mut same = record.clone();
        let KeyUseRecord::V1 { time: later, .. } = &mut same;
        *later = *time;
        self.node == node && self.record == same
    }
}

impl KeyUses {
    pub(super) fn new(genesis: &Genesis) -> Self {
        let mut uses = Self::default();
        for (org, record) in &genesis.organisations {
            uses.learn_organisation(org, record);
        }
        for record in genesis.observers.values() {
            uses.known.insert(record.node, record.org.clone());
        }
        for (member, record) in &genesis.members {
            uses.learn_member(member, record);
        }
        uses
    }

    fn learn_organisation(&mut self, org: &OrgId, record: &OrganisationRecord) {
        self.known.insert(record.validator.node, org.clone());
    }

    fn learn_member(&mut self, member: &MemberId, record: &MemberRecord) {
        self.members.extend(record.keys.keys().map(|role| (member.clone(), *role)));
    }

    /// Learns who joined by what a block carried out.
    pub(super) fn learn(&mut self, acts: &[Act]) {
        for act in acts {
            match act {
                Act::SetOrganisation { organisation, record } => {
                    self.learn_organisation(organisation, record);
                }
                Act::SetObserver { record, .. } => {
                    self.known.insert(record.node, record.org.clone());
                }
                Act::SetMember { member, record } => self.learn_member(member, record),
                Act::Amend { .. }
                | Act::Ratify { .. }
                | Act::Reinstate { .. }
                | Act::Awaken { .. }
                | Act::RemoveOrganisation { .. }
                | Act::RemoveMember { .. }
                | Act::RemoveObserver { .. }
                | Act::SetTarget { .. }
                | Act::RemoveTarget { .. } => {}
            }
        }
    }

    /// Takes a node's statement; its uses follow. Whether the network has such a node, and its organisation such keys, shows
    /// at the latest when every block was read.
    pub(super) fn state(&mut self, network: Digest, signed: SignedKeyUses) -> Result<(), KeyUseFlaw> {
        self.close()?;
        let is_signed = signed.signed(network).verify().is_ok();
        let KeyUseStatement::V1 { node, keys, uses, head } = signed.statement;
        if !self.stated.insert(node) {
            return Err(KeyUseFlaw::Twice { node });
        }
        if !is_signed {
            return Err(KeyUseFlaw::Signature { node });
        }
        for key in &keys {
            self.holders.entry(key.clone()).or_insert(self.nodes.len());
        }
        let stated = Tip { records: uses, head };
        self.nodes.push(Testimony { node, keys, stated, read: Tip::START, decided: 0 });
        Ok(())
    }

    /// The organisation of a node, if its statement is of that organisation's members alone.
    fn org_of(&self, testimony: &Testimony) -> Result<OrgId, KeyUseFlaw> {
        let node = testimony.node;
        let org = self.known.get(&node).cloned().ok_or(KeyUseFlaw::Stranger { node })?;
        let is_foreign = |key: &&(MemberId, Role)| key.0.org() != org || !self.members.contains(*key);
        match testimony.keys.iter().find(is_foreign).cloned() {
            Some((member, role)) => Err(KeyUseFlaw::ForeignKey { node, org, member, role }),
            None => Ok(org),
        }
    }

    /// Takes some uses of the node that stated last.
    pub(super) fn page(&mut self, KeyUsePage::V1(uses): KeyUsePage) -> Result<(), KeyUseFlaw> {
        let index = self.nodes.len().checked_sub(1).ok_or(KeyUseFlaw::NoStatement)?;
        let Testimony { node, keys, read, .. } = &mut self.nodes[index];
        let node = *node;
        for record in uses {
            *read = read.after(&record);
            let number = read.records;
            let KeyUseRecord::V1 { member, role, transaction, .. } = &record;
            if !keys.contains(&(member.clone(), *role)) {
                return Err(KeyUseFlaw::OtherKey { node, number, member: member.clone(), role: *role });
            }
            let transaction = *transaction;
            match self.open.entry(transaction) {
                btree_map::Entry::Vacant(open) => drop(open.insert(OpenUse { node: index, number, record })),
                // A signer that stopped before it gave a signature out makes the same one again.
                btree_map::Entry::Occupied(open) if open.get().is_repeated_by(index, &record) => {}
                btree_map::Entry::Occupied(_) => {
                    return Err(KeyUseFlaw::Doubled { node, number, transaction });
                }
            }
        }
        Ok(())
    }

    /// Ends the uses of the node that stated last: they are those that it signed.
    pub(super) fn close(&self) -> Result<(), KeyUseFlaw> {
        match self.nodes.last() {
            Some(Testimony { node, stated, read, .. }) if stated != read => Err(KeyUseFlaw::Chain {
                node: *node,
                found: read.records,
                head: read.head,
                stated: stated.records,
                stated_head: stated.head,
            }),
            _ => Ok(()),
        }
    }

    /// Ties the transactions of a block to their uses.
    pub(super) fn decide(&mut self, transactions: &[VerifiedTransaction]) -> Result<(), KeyUseFlaw> {
        transactions.iter().try_for_each(|transaction| self.decide_one(transaction))
    }

    fn decide_one(&mut self, transaction: &VerifiedTransaction) -> Result<(), KeyUseFlaw> {
        let (id, body) = (transaction.id(), transaction.body());
        let Some(used) = self.open.remove(&id) else {
            return match self.holders.get(&(body.sender.clone(), body.role)) {
                None => Ok(()),
                Some(holder) => Err(KeyUseFlaw::Unrecorded {
                    transaction: id,
                    member: body.sender.clone(),
                    role: body.role,
                    node: self.nodes[*holder].node,
                }),
            };
        };
        let by = &mut self.nodes[used.node];
        let differs =
            |field| KeyUseFlaw::Differs { node: by.node, number: used.number, field, transaction: id };
        let KeyUseRecord::V1 { purpose, member, role, sequence, body: digest, .. } = used.record;
        let checks = [
            ("member", member == body.sender),
            ("role", role == body.role),
            ("sequence", sequence == body.sequence),
            ("purpose", purpose == KeyUse::of(&body.call)),
            ("body", digest == Digest::of(Purpose::Journal, &canonical::encode(body))),
        ];
        if let Some((field, _)) = checks.into_iter().find(|(_, holds)| !holds) {
            return Err(differs(field));
        }
        by.decided += 1;
        Ok(())
    }

    /// What there is to say of each node that testified, in the order of the bundle, once every block was read.
    pub(super) fn report(self) -> Result<Vec<NodeKeyUses>, KeyUseFlaw> {
        let orgs = self.nodes.iter().map(|testimony| self.org_of(testimony));
        let orgs = orgs.collect::<Result<Vec<_>, _>>()?;
        let mut undecided: Vec<Vec<UndecidedUse>> = self.nodes.iter().map(|_| Vec::new()).collect();
        for (transaction, OpenUse { node, number, record }) in self.open {
            let KeyUseRecord::V1 { time, purpose, member, role, sequence, .. } = record;
            let purpose = purpose.name();
            undecided[node].push(UndecidedUse { number, time, purpose, member, role, sequence, transaction });
        }
        let nodes = self.nodes.into_iter().zip(orgs).zip(undecided);
        let report = |((by, org), mut undecided): ((Testimony, OrgId), Vec<UndecidedUse>)| {
            undecided.sort_by_key(|used| used.number);
            undecided.truncate(UNDECIDED_NAMED_MAX);
            let (node, keys) = (by.node, by.keys.len() as u64);
            NodeKeyUses { node, org, keys, uses: by.read.records, decided: by.decided, undecided }
        };
        Ok(nodes.map(report).collect())
    }
}
