use actix::{ArbiterHandle, Context};

use super::*;

struct Fragile {
    life: usize,
    _lifeline: Lifeline,
}

#[derive(Message)]
#[rtype(result = "usize")]
struct Life;

#[derive(Message)]
#[rtype(result = "()")]
struct Panic;

impl Actor for Fragile {
    type Context = Context<Self>;
}

impl Handler<Life> for Fragile {
    type Result = usize;

    fn handle(&mut self, _: Life, _: &mut Context<Self>) -> usize {
        self.life
    }
}

impl Handler<Panic> for Fragile {
    type Result = ();

    fn handle(&mut self, _: Panic, _: &mut Context<Self>) {
        panic!("injected");
    }
}

fn fragile(arbiter: ArbiterHandle) -> impl FnMut(Lifeline) -> Result<Addr<Fragile>, StartError> {
    let mut life = 0;
    move |lifeline| {
        life += 1;
        let actor = Fragile { life, _lifeline: lifeline };
        Ok(Fragile::start_in_arbiter(&arbiter, move |_| actor))
    }
}

fn quick(failures_max: usize) -> RestartLimits {
    RestartLimits { backoff_first: Duration::from_millis(1), failures_max, ..RestartLimits::default() }
}

/// Asks until an actor answers: a message can reach the mailbox of an actor that is about to be gone.
async fn next_life(actor: &Watched<Fragile>) -> usize {
    loop {
        if let Ok(life) = actor.send(Life).await {
            return life;
        }
    }
}

#[actix_rt::test]
async fn a_panicked_actor_is_started_again() {
    let watcher = Watcher::new(quick(5));
    let arbiter = actix::Arbiter::new();
    let actor = watcher.supervise("fragile", fragile(arbiter.handle())).unwrap();
    assert_eq!(actor.send(Life).await, Ok(1));
    assert_eq!(actor.send(Panic).await, Err(ActorUnavailable("fragile")));
    assert_eq!(next_life(&actor).await, 2);
    assert_eq!(*watcher.read_only().borrow(), None);
    arbiter.stop();
}

#[actix_rt::test]
async fn too_many_panics_make_the_node_read_only_and_the_actor_still_answers() {
    let watcher = Watcher::new(quick(3));
    let arbiter = actix::Arbiter::new();
    let actor = watcher.supervise("fragile", fragile(arbiter.handle())).unwrap();
    let mut read_only = watcher.read_only();
    for life in 1..=3 {
        assert_eq!(next_life(&actor).await, life);
        assert!(actor.send(Panic).await.is_err());
    }
    assert_eq!(*read_only.wait_for(Option::is_some).await.unwrap(), Some("fragile"));
    assert_eq!(next_life(&actor).await, 4);
    arbiter.stop();
}

#[actix_rt::test]
async fn an_actor_that_cannot_start_says_so_at_once() {
    let watcher = Watcher::new(quick(3));
    let started = watcher.supervise::<Fragile, _>("fragile", |_| Err("no store".into()));
    assert_eq!(started.unwrap_err().to_string(), "no store");
}
