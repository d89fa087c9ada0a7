use std::{fs, time::Duration};

use althing_contracts::{
    digest::Digest,
    quantity::Fence,
    testing::{name, target},
};

use super::{
    effects::{EFFECT_LOG, EffectRecord, Progress},
    process::Process,
    state_file::TargetState,
    *,
};
use crate::{journal::Journal, port::Evidence};

pub(crate) mod service;

use service::Site;

fn order(site: &Site, key: &str, fence: u64, action: Action, expect: Option<Action>) -> ProviderOrder {
    ProviderOrder {
        target: site.context(),
        action,
        expect,
        fence: Fence::new(fence),
        idempotency_key: key.to_owned(),
        deadline: Duration::from_secs(20),
    }
}

fn evidence(effect: Result<Effect, ProviderError>) -> Evidence {
    match effect {
        Ok(Effect::New(evidence)) => evidence,
        other => panic!("expected a new effect, got {other:?}"),
    }
}

/// A site on which release 1 runs under the key `a`.
async fn running(instances: usize) -> (Site, LocalProvider, Action) {
    let site = Site::new(instances);
    let provider = site.open();
    let first = site.release("v1", "serve one");
    evidence(provider.apply(&order(&site, "a", 1, first.clone(), None)).await);
    (site, provider, first)
}

#[tokio::test]
async fn a_deployed_service_answers_and_is_read_from_the_target() {
    let (site, provider, first) = running(2).await;
    assert_eq!(site.answers().await, ["200 one", "200 one"]);
    assert_eq!(provider.read(&site.context(), &name("web"), Fence::ZERO).await, Ok(Some(first.clone())));
    let same = provider.apply(&order(&site, "a", 1, first, None)).await;
    assert!(matches!(same, Ok(Effect::Same(_))), "{same:?}");
    provider.shutdown_services().await;
}

#[tokio::test]
async fn a_new_release_replaces_the_old_one_and_its_undo_brings_it_back() {
    let (site, provider, first) = running(2).await;
    let second = site.release("v2", "serve two");
    evidence(provider.apply(&order(&site, "b", 2, second.clone(), Some(first.clone()))).await);
    assert_eq!(site.answers().await, ["200 two", "200 two"]);
    evidence(provider.undo(&order(&site, "b-undo", 3, first.clone(), Some(second))).await);
    assert_eq!(site.answers().await, ["200 one", "200 one"]);
    let gone = Action::Remove { resource: name("web") };
    evidence(provider.undo(&order(&site, "a-undo", 4, gone, Some(first))).await);
    assert_eq!(provider.read(&site.context(), &name("web"), Fence::ZERO).await, Ok(None));
    assert!(TargetState::load(&site.root().join("state.json")).unwrap().instances.is_empty());
}

#[tokio::test]
async fn an_order_below_the_highest_fence_is_refused_even_after_a_restart() {
    let (site, provider, first) = running(1).await;
    let second = site.release("v2", "serve two");
    evidence(provider.apply(&order(&site, "b", 9, second.clone(), Some(first.clone()))).await);
    drop(provider);
    let provider = site.open();
    let stale = provider.apply(&order(&site, "c", 8, first, Some(second))).await;
    assert_eq!(stale, Err(ProviderError::Fenced { found: Fence::new(8), seen: Fence::new(9) }));
    provider.shutdown_services().await;
}

#[tokio::test]
async fn a_release_that_ends_before_it_answers_leaves_the_old_one_running() {
    let (site, provider, first) = running(2).await;
    let broken = site.release("v2", "crash out of memory");
    let refused = provider.apply(&order(&site, "b", 2, broken, Some(first.clone()))).await;
    let Err(ProviderError::Refused(reason)) = refused else { panic!("{refused:?}") };
    assert_eq!(
        reason,
        "instance 0 of web ended with status 3 before it answered; its log ends: out of memory"
    );
    assert_eq!(site.answers().await, ["200 one", "200 one"]);
    assert_eq!(provider.read(&site.context(), &name("web"), Fence::ZERO).await, Ok(Some(first)));
    provider.shutdown_services().await;
}

#[tokio::test]
async fn services_outlive_the_node_and_are_adopted() {
    let (site, provider, first) = running(2).await;
    let before = site.processes();
    drop(provider);
    let provider = site.open();
    assert_eq!(provider.read(&site.context(), &name("web"), Fence::ZERO).await, Ok(Some(first)));
    assert_eq!(site.processes(), before);
    assert_eq!(site.answers().await, ["200 one", "200 one"]);
    provider.shutdown_services().await;
    assert!(before.iter().all(|identity| Process::adopt(identity).is_none()));
}

#[tokio::test]
async fn an_instance_that_ends_is_started_again() {
    let (site, provider, _) = running(1).await;
    let before = site.processes();
    Process::adopt(&before[0]).unwrap().stop(Duration::from_secs(5)).await;
    assert_eq!(site.answers().await, ["200 one"]);
    assert_ne!(site.processes(), before);
    provider.shutdown_services().await;
}

fn effects(site: &Site) -> Vec<EffectRecord> {
    let mut records = Vec::new();
    Journal::open(&site.root().join("effects.log"), EFFECT_LOG, |record| records.push(record)).unwrap();
    records
}

/// Gives a site an effect log of these records.
fn write_effects(site: &Site, records: &[EffectRecord]) {
    let log = site.root().join("effects.log");
    fs::remove_file(&log).unwrap();
    let (mut journal, _) = Journal::open(&log, EFFECT_LOG, |_: EffectRecord| ()).unwrap();
    for record in records {
        journal.append(record).unwrap();
    }
}

#[tokio::test]
async fn an_effect_whose_record_was_cut_off_is_recorded_when_the_target_opens_again() {
    let (site, provider, first) = running(1).await;
    drop(provider);
    let whole = effects(&site);
    write_effects(&site, &whole[..1]);
    let provider = site.open();
    let EffectRecord::V1 { idempotency_key, progress, .. } = effects(&site).pop().unwrap();
    assert!(idempotency_key == "a" && matches!(progress, Progress::Done { .. }), "{progress:?}");
    let again = provider.apply(&order(&site, "a", 1, first, None)).await;
    assert!(matches!(again, Ok(Effect::Same(_))), "{again:?}");
    assert_eq!(effects(&site).len(), whole.len());
    provider.shutdown_services().await;
}

#[tokio::test]
async fn an_order_that_was_begun_and_is_not_in_effect_is_not_recorded_as_done() {
    let (site, provider, _) = running(1).await;
    provider.shutdown_services().await;
    drop(provider);
    let mut records = effects(&site);
    records.push(EffectRecord::V1 {
        time: althing_contracts::quantity::TimeMs::ZERO,
        idempotency_key: "b".to_owned(),
        fence: Fence::new(2),
        action: site.release("v2", "serve two"),
        progress: Progress::Begun,
    });
    write_effects(&site, &records);
    drop(site.open());
    assert_eq!(effects(&site), records);
}

#[tokio::test]
async fn a_process_that_was_started_but_not_recorded_is_found_and_ended() {
    let (site, provider, _) = running(1).await;
    let unrecorded = site.processes().remove(0);
    drop(provider);
    let path = site.root().join("state.json");
    let mut state = TargetState::load(&path).unwrap();
    state.instances.get_mut(&name("web")).unwrap().get_mut(&0).unwrap().process = None;
    state.save(&path).unwrap();
    let provider = site.open();
    let found = provider.read(&site.context(), &name("web"), Fence::ZERO).await;
    assert!(matches!(found, Ok(Some(_))));
    assert!(Process::adopt(&unrecorded).is_none());
    assert_eq!(site.answers().await, ["200 one"]);
    provider.shutdown_services().await;
}

#[tokio::test]
async fn an_order_that_is_not_finished_in_time_is_unknown_and_can_be_undone() {
    let (site, provider, first) = running(2).await;
    let hanging = site.release("v2", "hang");
    let mut late = order(&site, "b", 2, hanging.clone(), Some(first.clone()));
    late.deadline = Duration::from_millis(300);
    assert!(matches!(provider.apply(&late).await, Err(ProviderError::Unknown(_))));
    let read = provider.read(&site.context(), &name("web"), Fence::ZERO).await;
    assert_eq!(read, Err(ProviderError::Unknown("web is half changed by order b".to_owned())));
    let other = provider.apply(&order(&site, "c", 3, first.clone(), None)).await;
    assert_eq!(other, Err(ProviderError::Refused("web was left half changed by order b".to_owned())));
    evidence(provider.undo(&order(&site, "b-undo", 4, first, Some(hanging))).await);
    assert_eq!(site.answers().await, ["200 one", "200 one"]);
    provider.shutdown_services().await;
}

#[tokio::test]
async fn a_half_done_order_goes_on_after_a_restart() {
    let (site, provider, first) = running(2).await;
    let second = site.release("v2", "wait-for-file two");
    let mut late = order(&site, "b", 2, second.clone(), Some(first.clone()));
    late.deadline = Duration::from_millis(300);
    assert!(matches!(provider.apply(&late).await, Err(ProviderError::Unknown(_))));
    drop(provider);
    fs::write(site.root().join("go"), "").unwrap();
    let provider = site.open();
    evidence(provider.apply(&order(&site, "b", 3, second, Some(first))).await);
    assert_eq!(site.answers().await, ["200 two", "200 two"]);
    provider.shutdown_services().await;
}

#[tokio::test]
async fn a_target_that_has_moved_is_drift() {
    let (site, provider, first) = running(1).await;
    let second = site.release("v2", "serve two");
    let drift = provider.apply(&order(&site, "b", 2, second, None)).await;
    let Action::Deploy { artefact, .. } = first else { unreachable!() };
    let found = format!("web v1 ({}) on 1 instances", artefact.short());
    assert_eq!(drift, Err(ProviderError::Drift { expected: "nothing".to_owned(), found }));
    provider.shutdown_services().await;
}

#[tokio::test]
async fn what_is_not_allowed_is_refused_with_its_reason() {
    let site = Site::new(1);
    let provider = site.open();
    let release = Digest::of_artefact(b"absent");
    let deploy = |service: &str, instances| Action::Deploy {
        service: name(service),
        version: name("v1"),
        artefact: release,
        instances,
    };
    let refusal = async |action: Action| {
        let refused = provider.plan(&site.context(), &action).await;
        let Err(ProviderError::Refused(reason)) = refused else { panic!("{refused:?}") };
        reason
    };
    assert_eq!(
        refusal(deploy("shell", 1)).await,
        "the service shell is not on the allow list of acme-north, which has: web, settings"
    );
    assert_eq!(refusal(deploy("web", 9)).await, "9 instances of web; acme-north allows from 1 to 4");
    assert_eq!(
        refusal(deploy("web", 2)).await,
        "2 instances need as many endpoints, the target is registered with 1"
    );
    let missing = refusal(deploy("web", 1)).await;
    assert!(missing.ends_with(&format!("has the digest {release}; copy the artefact there")), "{missing}");
    let elsewhere = TargetContext { id: target("acme-south"), record: site.context().record };
    assert_eq!(
        provider.plan(&elsewhere, &deploy("web", 1)).await,
        Err(ProviderError::Refused(
            "the provider local has no target acme-south in its configuration".to_owned()
        ))
    );
}

#[tokio::test]
async fn a_plan_says_what_would_change_and_changes_nothing() {
    let (site, provider, first) = running(1).await;
    let second = site.release("v2", "serve two");
    let plan = provider.plan(&site.context(), &second).await.unwrap();
    assert_eq!(plan.before, Some(first));
    assert_eq!(plan.changes.len(), 2);
    assert!(plan.changes[1].starts_with("acme-north: replace instance 0 of web on 127.0.0.1:"));
    assert_eq!(site.answers().await, ["200 one"]);
    provider.shutdown_services().await;
}

#[tokio::test]
async fn a_file_is_switched_undone_and_its_drift_noticed() {
    let site = Site::new(1);
    let provider = site.open();
    let (first, second) = (site.settings("v1", "colour = 'red'"), site.settings("v2", "colour = 'blue'"));
    let path = site.root().join("settings.toml");
    evidence(provider.apply(&order(&site, "a", 1, first.clone(), None)).await);
    evidence(provider.apply(&order(&site, "b", 2, second.clone(), Some(first.clone()))).await);
    assert_eq!(fs::read_to_string(&path).unwrap(), "colour = 'blue'");
    evidence(provider.undo(&order(&site, "b-undo", 3, first.clone(), Some(second.clone()))).await);
    assert_eq!(fs::read_to_string(&path).unwrap(), "colour = 'red'");
    assert_eq!(provider.read(&site.context(), &name("settings"), Fence::ZERO).await, Ok(Some(first.clone())));
    fs::write(&path, "by hand").unwrap();
    let drift = provider.apply(&order(&site, "c", 4, second, Some(first))).await;
    assert!(matches!(drift, Err(ProviderError::Drift { .. })), "{drift:?}");
}

#[tokio::test]
async fn a_file_that_nobody_put_there_is_drift() {
    let site = Site::new(1);
    let provider = site.open();
    fs::create_dir_all(site.root()).unwrap();
    fs::write(site.root().join("settings.toml"), "by hand").unwrap();
    let drift = provider.apply(&order(&site, "a", 1, site.settings("v1", "x"), None)).await;
    assert!(matches!(drift, Err(ProviderError::Drift { .. })), "{drift:?}");
    assert_eq!(fs::read_to_string(site.root().join("settings.toml")).unwrap(), "by hand");
}

#[tokio::test]
async fn an_address_that_a_stranger_holds_is_refused() {
    let site = Site::new(1);
    let _stranger = std::net::TcpListener::bind(site.address(0)).unwrap();
    let provider = site.open();
    let refused = provider.apply(&order(&site, "a", 1, site.release("v1", "serve one"), None)).await;
    let Err(ProviderError::Refused(reason)) = refused else { panic!("{refused:?}") };
    assert!(
        reason.starts_with(&format!("instance 0 of web cannot listen on {}", site.address(0))),
        "{reason}"
    );
    assert_eq!(provider.read(&site.context(), &name("web"), Fence::ZERO).await, Ok(None));
}

/// Panics at its second question.
#[derive(Default)]
struct PanicSecond(std::sync::atomic::AtomicUsize);

impl Clock for PanicSecond {
    fn now(&self) -> althing_contracts::quantity::TimeMs {
        let asked = self.0.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        assert_ne!(asked, 1, "injected");
        althing_contracts::quantity::TimeMs::ZERO
    }
}

#[tokio::test]
async fn a_worker_that_panicked_between_its_marks_goes_on_from_the_disk() {
    let site = Site::new(1);
    let provider = site.open_with(&(Arc::new(PanicSecond::default()) as Arc<dyn Clock>));
    let first = site.release("v1", "serve one");
    let order = order(&site, "a", 1, first.clone(), None);
    assert!(matches!(provider.apply(&order).await, Err(ProviderError::Unknown(_))));
    let before = site.processes();
    let again = provider.apply(&order).await;
    assert!(matches!(again, Ok(Effect::Same(_))), "it was in effect and was recorded: {again:?}");
    assert_eq!(site.processes(), before, "the instance that was started is adopted");
    assert_eq!(provider.read(&site.context(), &name("web"), Fence::ZERO).await, Ok(Some(first)));
    provider.shutdown_services().await;
}
