//! The program's outside: binds or connects, runs a task per peer, and hears when it is to stop.

use std::io;
use std::process::exit;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, mpsc, watch};
use tokio::task::{JoinSet, yield_now};
use tokio::time::sleep;
use zmtp_connection::HandshakeLimiter;

use crate::args::{Settings, Side};
use crate::code;
use crate::endpoint::{Endpoint, Listener};
use crate::engine::Engine;
use crate::events::{Events, Failed};
use crate::peer::{Common, run as run_peer};

/// Messages from all peers that may wait to be printed.
const INPUTS: usize = 16;
/// How long a connector waits between two tries, at first and at most.
const RETRY: (Duration, Duration) = (Duration::from_millis(20), Duration::from_millis(500));

/// After this a handshake is stuck, if no time is set for it.
const STUCK: Duration = Duration::from_secs(86_400);
/// By so much later than its time-out a handshake would be given up by its place: the time-out knows more of it to tell.
const LATER: Duration = Duration::from_secs(1);

/// Runs to the end, and says with which exit code.
pub(crate) async fn run(mut settings: Settings) -> i32 {
    let events = Events { wanted: settings.events };
    let Settings { side, .. } = &settings;
    let (endpoint, binds) = match side {
        Side::Bind(endpoint) => (endpoint.clone(), true),
        Side::Connect(endpoint) => (endpoint.clone(), false),
    };
    // Before anybody can know that the program is there.
    if let Err(error) = stop_when_told(binds.then(|| endpoint.clone())) {
        events.fatal(&Failed::new("signals", error), false);
        return code::FAILED;
    }
    let (inputs, incoming) = mpsc::channel(INPUTS);
    let (finish, finishing) = watch::channel(false);
    let room = Arc::new(Notify::new());
    let common = Arc::new(Common {
        config: settings.config.clone(),
        security: settings.security.clone(),
        subscriptions: std::mem::take(&mut settings.subscriptions),
        echo: settings.echo,
        events,
        inputs,
        room: Arc::clone(&room),
        finish: finishing,
    });
    let mut streams = JoinSet::new();
    let engine = Engine::new(&settings, common.subscriptions.clone());
    if !binds {
        streams.spawn(connect(endpoint, Arc::clone(&common)));
        return engine.run(incoming, &room, &finish).await;
    }
    match listen(&endpoint, events).await {
        Ok(listener) => streams.spawn(accept(listener, Arc::clone(&common))),
        Err(failed) => {
            events.fatal(&failed, false);
            return code::FAILED;
        }
    };
    let code = engine.run(incoming, &room, &finish).await;
    endpoint.remove();
    code
}

/// Ends the program on SIGTERM and Ctrl-C: from a task of its own, since the engine may be waiting for somebody to
/// read stdout.
fn stop_when_told(bound: Option<Endpoint>) -> io::Result<()> {
    #[cfg(unix)]
    let told = {
        use tokio::signal::unix::{SignalKind, signal};
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        async move {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
        }
    };
    #[cfg(not(unix))]
    let told = async {
        let _ = tokio::signal::ctrl_c().await;
    };
    tokio::spawn(async move {
        told.await;
        if let Some(endpoint) = bound {
            endpoint.remove();
        }
        exit(code::DONE);
    });
    Ok(())
}

async fn listen(endpoint: &Endpoint, events: Events) -> Result<Listener, Failed> {
    let failed = |error| Failed::new("bind", format_args!("{endpoint}: {error}"));
    let listener = endpoint.listen().await.map_err(failed)?;
    events.listening(&listener.endpoint().map_err(failed)?);
    Ok(listener)
}

/// Serves peers as they come, each in a task of its own.
async fn accept(listener: Listener, common: Arc<Common>) {
    let mut peers = JoinSet::new();
    let deadline = common.config.handshake_timeout().map_or(STUCK, |timeout| timeout.saturating_add(LATER));
    let limiter = HandshakeLimiter::new().deadline(deadline);
    for id in 1.. {
        match listener.accept().await {
            Ok((stream, remote)) => {
                common.events.accepted(&remote.name);
                let permit = limiter.admit(remote.origin());
                peers.spawn(run_peer(id, stream, remote, Some(permit), Arc::clone(&common)));
                // Whoever had to give way is gone when its task has run.
                yield_now().await;
            }
            // Too many open files, perhaps: those that are served go on, and will close some.
            Err(error) => {
                common.events.failed("", &Failed::new("accept", error));
                limiter.make_room();
                sleep(RETRY.0).await;
            }
        }
        while peers.try_join_next().is_some() {}
    }
}

/// Tries until the endpoint answers.
async fn connect(endpoint: Endpoint, common: Arc<Common>) {
    let mut pause = RETRY.0;
    let (stream, remote) = loop {
        match endpoint.connect().await {
            Ok(connected) => break connected,
            Err(_) => sleep(pause).await,
        }
        pause = (pause * 2).min(RETRY.1);
    };
    common.events.connected(&remote.name);
    run_peer(1, stream, remote, None, common).await;
}
