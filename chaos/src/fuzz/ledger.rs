//! Owns the fuzzing of a whole ledger: arbitrary requests for its blocks, and arbitrary words of three peers, all of
//! whom may lie under their own keys.

use std::cell::RefCell;

use althing_actors::{
    disk::sim::SimDisk,
    ledger::{
        consensus::{ConsensusKey, Verdicts},
        log::Log,
        mempool::PooledTransaction,
        message::CertifiedBlock,
        state::{
            LedgerInput, LedgerOutput, LedgerRole, LedgerSettings, LedgerState, LedgerTiming, Now,
            REMEMBERED_MAX,
        },
        wire::{
            BlockMessage, LedgerMessage, Message, PolkaCertificate, RoundCertificate, RoundCertificateKind,
            RoundVote, SignedVote, Status,
        },
    },
    port::NodeId,
    sync::{SYNC_RESPONSE_LEN_MAX, SyncRequest, SyncResponse},
};
use althing_contracts::{
    block::{Block, Header},
    certificate::{Certificate, ProposalStatement, VoteKind, VoteStatement},
    digest::Digest,
    genesis::Genesis,
    ledger::{self, BlockContext},
    quantity::{DurationMs, Height, Round, Sequence, TimeMs, Weight},
    role::Role,
    testing::{GENESIS_TIME, World, consensus_key, deploy, genesis, member, node_key},
    transaction::{Call, TransactionBody, UnverifiedTransaction},
};
use bytes::Bytes;

use super::spoken::Spoken;

/// Inputs of one run.
const STEPS_MAX: usize = 128;
const ORGS: [&str; 4] = ["acme", "birch", "cedar", "delta"];
/// Blocks of the ledger that answers requests.
const SERVED: u64 = 5;

thread_local! {
    static SERVING: RefCell<Peer> = RefCell::new({
        let mut peer = Peer::new(&alone());
        for number in 1..=SERVED {
            peer.submit(number);
            peer.run_timers(8);
        }
        assert!(peer.ledger.height() >= Height::new(1), "a validator alone decides");
        peer
    });
}

/// A request for blocks: it is answered within the bound, with blocks from the height asked for, or not at all.
pub fn sync_responder(bytes: &[u8]) {
    SERVING.with_borrow(|peer| {
        let Some(response) = peer.ledger.serve(bytes) else { return };
        assert!(response.len() <= SYNC_RESPONSE_LEN_MAX, "an answer is bounded");
        let request = SyncRequest::decode(bytes).expect("what is answered is a request");
        let blocks = SyncResponse::decode(&response).expect("an answer is one");
        let has = (Height::new(1)..=peer.ledger.height()).contains(&request.from());
        assert_eq!(!blocks.is_empty(), has, "what it has it hands out");
        for (CertifiedBlock { block, certificate }, offset) in blocks.iter().zip(0..) {
            let block = Block::decode(block).expect("its own block");
            assert_eq!(block.header().height.get(), request.from().get() + offset);
            assert_eq!(certificate.block, block.digest());
        }
    });
}

/// Everything that three peers can say to a validator: it never stops, never goes back, and never signs twice.
pub fn consensus(bytes: &[u8]) {
    let mut spoken = Spoken::new(bytes);
    let mut peer = Peer::new(&genesis(4));
    for _ in 0..STEPS_MAX {
        if spoken.is_over() {
            return;
        }
        let input = peer.input(&mut spoken);
        peer.take(input);
    }
}

/// A validator under test with what it has heard of.
struct Peer {
    ledger: LedgerState<SimDisk>,
    now: Now,
    wake_us: u64,
    requests: Vec<u64>,
    /// Blocks that were made for it, with their digests.
    blocks: Vec<Block>,
    /// What it signed, by height, round and kind.
    votes: Vec<SignedVote>,
    world: World,
}

impl Peer {
    fn new(genesis: &Genesis) -> Self {
        let settings = LedgerSettings {
            genesis: genesis.clone(),
            node: node_key(ORGS[0]).public(),
            role: LedgerRole::Validator(ConsensusKey::from_seed(consensus_key(ORGS[0]).secret())),
            timing: LedgerTiming::default(),
            remembered_max: REMEMBERED_MAX,
            verdicts: Verdicts::default(),
        };
        let now = Now { wall: GENESIS_TIME.after(DurationMs::new(1_000)), monotonic_us: 0 };
        let (log, _) = Log::open(SimDisk::new(), genesis.network()).expect("a new log");
        let opened = LedgerState::open(settings, log, None, now, &mut |_| ()).expect("a new ledger");
        let mut peer = Self {
            ledger: opened.ledger,
            now,
            wake_us: 0,
            requests: Vec::new(),
            blocks: Vec::new(),
            votes: Vec::new(),
            world: World::with(genesis.clone()),
        };
        peer.watch(opened.outputs);
        peer
    }

    fn take(&mut self, input: LedgerInput) {
        let before = self.ledger.height();
        match self.ledger.step(self.now, input) {
            Ok(outputs) => self.watch(outputs),
            Err(fatal) => panic!("a peer's words stopped the process: {fatal}"),
        }
        assert!(self.ledger.height() >= before, "a ledger never goes back");
    }

    /// What leaves the validator is decodable, and it never contradicts itself.
    fn watch(&mut self, outputs: Vec<LedgerOutput>) {
        for output in outputs {
            match output {
                LedgerOutput::Wake { at_us } => self.wake_us = at_us,
                LedgerOutput::RequestBlocks { id, .. } => self.requests.push(id),
                LedgerOutput::Send { message, .. } => match LedgerMessage::decode(&message) {
                    Ok(Message::Vote(vote)) if vote.voter == consensus_key(ORGS[0]).public() => {
                        self.signed(vote);
                    }
                    Ok(Message::Block(block)) => self.blocks.extend(Block::decode(&block.bytes)),
                    Ok(_) => {}
                    Err(error) => panic!("it sent what it would not take: {error}"),
                },
                _ => {}
            }
        }
    }

    fn signed(&mut self, vote: SignedVote) {
        let place = |vote: &SignedVote| {
            let VoteStatement { kind, height, round, .. } = vote.statement;
            (kind, height, round)
        };
        let other = self.votes.iter().find(|signed| place(signed) == place(&vote) && **signed != vote);
        assert!(other.is_none(), "it signed twice: {vote:?} and {other:?}");
        self.votes.push(vote);
    }

    fn submit(&mut self, number: u64) {
        let document = deploy(&format!("v{number}"), &[&["acme-north"]]);
        let plan_hash = self.ledger.state().plan(&document).expect("a sound document").hash();
        let body = TransactionBody {
            sender: member("acme/author"),
            role: Role::Author,
            sequence: Sequence::new(number),
            not_after: TimeMs::MAX,
            call: Call::Submit { document, plan_hash },
        };
        let bytes = self.world.sign_as(body).encode();
        let decoded = UnverifiedTransaction::decode(&bytes, self.world.network()).expect("just encoded");
        let verified = decoded.assume_verified();
        self.take(LedgerInput::Submit(PooledTransaction { bytes: Bytes::from(bytes), verified }));
    }

    fn run_timers(&mut self, count: usize) {
        for _ in 0..count {
            self.pass(self.wake_us.max(self.now.monotonic_us + 1_000));
            self.take(LedgerInput::Timer);
        }
    }

    fn pass(&mut self, to_us: u64) {
        let later_us = to_us.saturating_sub(self.now.monotonic_us);
        self.now.monotonic_us = to_us;
        self.now.wall = self.now.wall.after(DurationMs::new(later_us / 1_000));
    }

    fn input(&mut self, spoken: &mut Spoken<'_>) -> LedgerInput {
        let from = node(spoken);
        match spoken.byte() % 16 {
            0 => LedgerInput::Direct { from, message: Bytes::from(spoken.bytes()) },
            1 => {
                let message = self.message(spoken);
                LedgerInput::Gossip { from, token: spoken.small(), message: LedgerMessage::encode(message) }
            }
            2 => LedgerInput::Connected(from),
            3 => LedgerInput::Disconnected(from),
            4 => {
                let id = self.requests.pop().unwrap_or_else(|| spoken.small());
                LedgerInput::Blocks { id, from, response: self.response(spoken) }
            }
            5 | 6 => {
                let now_us = self.now.monotonic_us;
                let later_us = |ms: u64| now_us.saturating_add(ms.saturating_mul(1_000));
                let to_us = if spoken.is() { self.wake_us } else { later_us(spoken.small()) };
                self.pass(to_us.clamp(now_us, now_us + 3_600_000_000));
                LedgerInput::Timer
            }
            _ => LedgerInput::Direct { from, message: LedgerMessage::encode(self.message(spoken)) },
        }
    }

    fn response(&mut self, spoken: &mut Spoken<'_>) -> Option<Bytes> {
        match spoken.byte() % 3 {
            0 => None,
            1 => Some(Bytes::from(spoken.bytes())),
            _ => {
                let block = self.make_block(spoken);
                let certificate = self.certify(spoken, &block);
                let blocks = vec![CertifiedBlock { block: block.encode(), certificate }];
                Some(SyncResponse::V1 { blocks }.encode())
            }
        }
    }

    /// A message that a validator could send, about a height and round near those of this node.
    fn message(&mut self, spoken: &mut Spoken<'_>) -> Message {
        let height = Height::new(
            (self.ledger.height().get() + 1 + spoken.small() % 4).saturating_sub(u64::from(spoken.is())),
        );
        let round = Round::new(u32::try_from(spoken.small()).unwrap_or(u32::MAX));
        let org = spoken.one(&ORGS[1..]);
        let (key, network) = (key(org), self.world.network());
        match spoken.byte() % 12 {
            0..=3 => {
                let kind = if spoken.is() { VoteKind::Prevote } else { VoteKind::Precommit };
                let block = self.named(spoken);
                Message::Vote(key.sign_vote(VoteStatement { kind, height, round, block }, network))
            }
            4 => {
                let block = self.named(spoken).unwrap_or(Digest::ZERO);
                let polka_round = spoken.is().then(|| Round::new(u32::from(spoken.byte() % 4)));
                let statement = ProposalStatement { height, round, block, polka_round };
                Message::Proposal(key.sign_proposal(statement, network))
            }
            5 | 6 => {
                let block = self.make_block(spoken);
                let mut bytes = block.encode();
                if spoken.byte() == 0 {
                    bytes.extend(spoken.bytes());
                }
                Message::Block(BlockMessage { height: block.header().height, round, bytes })
            }
            7 => {
                let block = self.make_block(spoken);
                Message::Decided(self.certify(spoken, &block))
            }
            8 => Message::Status(Status { height: Height::new(spoken.small()), block: Digest::ZERO }),
            9 => Message::Transactions((0..spoken.byte() % 4).map(|_| spoken.bytes()).collect()),
            10 => {
                let block = self.named(spoken).unwrap_or(Digest::ZERO);
                let statement = VoteStatement { kind: VoteKind::Prevote, height, round, block: Some(block) };
                let prevotes = ORGS[1..].iter().map(|org| sign(org, statement, network)).collect();
                Message::PolkaCertificate(PolkaCertificate { height, round, block, prevotes })
            }
            _ => {
                let kind =
                    if spoken.is() { RoundCertificateKind::Skip } else { RoundCertificateKind::Precommit };
                let vote_kind = if spoken.is() { VoteKind::Prevote } else { VoteKind::Precommit };
                let votes = ORGS[1..].iter().map(|org| {
                    let statement = VoteStatement { kind: vote_kind, height, round, block: None };
                    let (voter, signature) = sign(org, statement, network);
                    RoundVote { kind: vote_kind, block: None, voter, signature }
                });
                Message::RoundCertificate(RoundCertificate { height, round, kind, votes: votes.collect() })
            }
        }
    }

    /// Nil, a block that was made, or one that nobody has.
    fn named(&self, spoken: &mut Spoken<'_>) -> Option<Digest> {
        match spoken.byte() % 4 {
            0 => None,
            1 => Some(Digest::from_bytes([spoken.byte(); 32])),
            _ if self.blocks.is_empty() => None,
            _ => Some(self.blocks[usize::from(spoken.byte()) % self.blocks.len()].digest()),
        }
    }

    /// The next block of the ledger, sound or with one field of its header changed.
    fn make_block(&mut self, spoken: &mut Spoken<'_>) -> Block {
        if !self.blocks.is_empty() && spoken.is() {
            return self.blocks[usize::from(spoken.byte()) % self.blocks.len()].clone();
        }
        let context = BlockContext {
            height: self.ledger.height().next(),
            round: Round::new(u32::from(spoken.byte() % 4)),
            time: self.ledger.state().time().after(DurationMs::new(spoken.small().saturating_add(1))),
            parent: self.ledger.header().map_or_else(|| self.ledger.digest(), Header::digest),
            proposer: consensus_key(spoken.one(&ORGS)).public(),
        };
        let mut header = ledger::build(self.ledger.state(), context, &[]).header;
        match spoken.byte() {
            0 => header.state_root = Digest::ZERO,
            1 => header.parent = Digest::ZERO,
            2 => header.time = TimeMs::new(spoken.number()),
            3 => header.height = Height::new(spoken.number()),
            _ => {}
        }
        let block = Block::V1 { header, transactions: Vec::new() };
        self.blocks.push(block.clone());
        block
    }

    /// Precommits of all the others, or of some.
    fn certify(&self, spoken: &mut Spoken<'_>, block: &Block) -> Certificate {
        let (height, round) = (block.header().height, block.header().round);
        let statement =
            VoteStatement { kind: VoteKind::Precommit, height, round, block: Some(block.digest()) };
        let count = 1 + usize::from(spoken.byte() % 3).max(usize::from(spoken.is()) * 2);
        let signers = ORGS[1..].iter().take(count);
        let precommits = signers.map(|org| sign(org, statement, self.world.network())).collect();
        Certificate { height, round, block: block.digest(), precommits }
    }
}

/// A genesis under which the first organisation decides alone.
fn alone() -> Genesis {
    let mut genesis = genesis(2);
    if let Some(first) = genesis.organisations.get_mut(ORGS[0]) {
        first.weight = Weight::new(100);
    }
    genesis
}

fn key(org: &str) -> ConsensusKey {
    ConsensusKey::from_seed(consensus_key(org).secret())
}

fn sign(
    org: &str,
    statement: VoteStatement,
    network: Digest,
) -> (althing_contracts::signature::PublicKey, althing_contracts::signature::Signature) {
    let vote = key(org).sign_vote(statement, network);
    (vote.voter, vote.signature)
}

/// A validator, or a stranger.
fn node(spoken: &mut Spoken<'_>) -> NodeId {
    match spoken.byte() {
        0 => node_key("stranger").public(),
        byte => node_key(ORGS[1 + usize::from(byte) % 3]).public(),
    }
}
