//! Who gets which line, which message is printed, and when it is over.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{Notify, mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until};
use zmtp_connection::codec::{SocketType, Subscription};
use zmtp_connection::{Event, Message};

use crate::args::{QuitAfter, Settings, Side};
use crate::code;
use crate::endpoint::{Cleanup, Endpoint, Listener};
use crate::events::{Events, Failed};
use crate::lines::{Format, Lines, print};
use crate::pattern::{Pattern, Sends};
use crate::peer::{Common, End, Input, Outgoing, run as run_peer};
use crate::table::Table;

/// Messages from all peers that may wait to be printed.
const INPUTS: usize = 16;
/// Requests that may wait for a REP to answer them.
const REQUESTS: usize = 64;
/// How long a connector waits between two tries, at first and at most.
const RETRY: (Duration, Duration) = (Duration::from_millis(20), Duration::from_millis(500));

/// Runs to the end, and says with which exit code.
pub(crate) async fn run(settings: Settings) -> i32 {
    tokio::select! {
        code = serve(settings) => code,
        () = told_to_stop() => code::DONE,
    }
}

/// SIGTERM or Ctrl-C.
async fn told_to_stop() {
    #[cfg(unix)]
    if let Ok(mut terminate) = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = tokio::signal::ctrl_c() => {}
        }
        return;
    }
    let _ = tokio::signal::ctrl_c().await;
}

async fn serve(settings: Settings) -> i32 {
    let events = Events { wanted: settings.events };
    let (inputs, incoming) = mpsc::channel(INPUTS);
    let (finish, finishing) = watch::channel(false);
    let room = Arc::new(Notify::new());
    let common = Arc::new(Common {
        config: settings.config,
        mechanism: settings.mechanism,
        subscriptions: settings.subscriptions,
        echo: settings.echo,
        events,
        inputs,
        room: Arc::clone(&room),
        finish: finishing,
    });
    let mut streams = JoinSet::new();
    let connects = matches!(settings.side, Side::Connect(_));
    // Lives as long as this future, also when a signal ends it.
    let _cleanup = match settings.side {
        Side::Bind(endpoint) => match listen(&endpoint, events).await {
            Ok((listener, cleanup)) => {
                streams.spawn(accept(listener, Arc::clone(&common)));
                cleanup
            }
            Err(failed) => {
                events.fatal(&failed, false);
                return code::FAILED;
            }
        },
        Side::Connect(endpoint) => {
            streams.spawn(connect(endpoint, Arc::clone(&common)));
            Cleanup::default()
        }
    };
    let engine = Engine {
        pattern: settings.pattern,
        format: settings.format,
        count: settings.count,
        quit_after: settings.quit_after,
        reads_stdin: !settings.echo && settings.pattern.sends() != Sends::Nothing,
        events,
        connects,
        topics: common.subscriptions.clone(),
        table: Table::default(),
        met: false,
        line: None,
        returned: VecDeque::new(),
        asked: None,
        heard: None,
        requests: VecDeque::new(),
        answering: None,
        received: 0,
        sent: 0,
        ended_at: None,
        problem: false,
    };
    engine.run(incoming, &room, &finish).await
}

async fn listen(endpoint: &Endpoint, events: Events) -> Result<(Listener, Cleanup), Failed> {
    let failed = |error| Failed::new("bind", format_args!("{endpoint}: {error}"));
    let (listener, cleanup) = endpoint.listen().await.map_err(failed)?;
    events.listening(&listener.endpoint().map_err(failed)?);
    Ok((listener, cleanup))
}

/// Serves peers as they come, each in a task of its own.
async fn accept(listener: Listener, common: Arc<Common>) {
    let mut peers = JoinSet::new();
    for id in 1.. {
        match listener.accept().await {
            Ok((stream, address)) => {
                common.events.accepted(&address);
                peers.spawn(run_peer(id, stream, address, Arc::clone(&common)));
            }
            // Too many open files, perhaps: those that are served go on, and will close some.
            Err(error) => {
                common.events.failed("", &Failed::new("accept", error));
                sleep(RETRY.1).await;
            }
        }
        while peers.try_join_next().is_some() {}
    }
}

/// Tries until the endpoint answers.
async fn connect(endpoint: Endpoint, common: Arc<Common>) {
    let address = endpoint.to_string();
    let mut pause = RETRY.0;
    let stream = loop {
        match endpoint.connect().await {
            Ok(stream) => break stream,
            Err(_) => sleep(pause).await,
        }
        pause = (pause * 2).min(RETRY.1);
    };
    common.events.connected(&address);
    run_peer(1, stream, address, common).await;
}

struct Engine {
    pattern: Pattern,
    format: Format,
    count: Option<u64>,
    quit_after: Option<QuitAfter>,
    /// Lines are messages to send.
    reads_stdin: bool,
    events: Events,
    connects: bool,
    /// What a SUB asked for; empty for everything.
    topics: Vec<String>,
    table: Table,
    /// A peer was ready at some time.
    met: bool,
    /// A line on its way to its receivers.
    line: Option<Line>,
    /// What a lost peer has left unsent.
    returned: VecDeque<Message>,
    /// A REQ's question: whom it was put to, and what it was.
    asked: Option<(u64, Message)>,
    /// Whom a SERVER or PEER heard last.
    heard: Option<u64>,
    /// Requests that a REP has not come to yet.
    requests: VecDeque<Request>,
    /// The request a REP is answering: from whom, and the envelope for the reply.
    answering: Option<(u64, Vec<Bytes>)>,
    received: u64,
    sent: u64,
    /// When stdin came to its end.
    ended_at: Option<Instant>,
    /// Something could not be done.
    problem: bool,
}

struct Line {
    outgoing: Outgoing,
    to: To,
}

enum To {
    InTurn,
    Named(Bytes),
    LastHeard,
    /// Those who still have to get it.
    Each(Vec<u64>),
}

struct Request {
    from: u64,
    envelope: Vec<Bytes>,
    body: Vec<Bytes>,
}

/// An exit code that cannot wait.
type Verdict = Result<(), i32>;

impl Engine {
    async fn run(mut self, mut incoming: mpsc::Receiver<Input>, room: &Notify, finish: &watch::Sender<bool>) -> i32 {
        let mut lines = self.watches_stdin().then(Lines::start);
        loop {
            self.dispatch();
            if self.is_done() {
                break;
            }
            let settled = self.settled_at();
            let wants = self.wants_line() && settled.is_none();
            if let Some(lines) = lines.as_mut().filter(|_| wants) {
                lines.ask();
            }
            let wake = [self.quits_at(), settled].into_iter().flatten().min();
            let verdict = tokio::select! {
                Some(input) = incoming.recv(), if self.requests.len() < REQUESTS => self.input(input),
                line = next_line(&mut lines), if lines.as_ref().is_some_and(Lines::asked) => self.stdin(line),
                () = room.notified() => Ok(()),
                () = sleep_until(wake.unwrap_or_else(Instant::now)), if wake.is_some() => Ok(()),
            };
            if let Err(code) = verdict {
                return code;
            }
        }
        self.finish(incoming, finish).await
    }

    /// Stdin is read for its lines, or only for its end, where the program is to quit some time after that.
    fn watches_stdin(&self) -> bool {
        self.reads_stdin || (self.pattern.sends() == Sends::Nothing && self.quit_after.is_some())
    }

    /// Whether a line read now could be taken.
    fn wants_line(&self) -> bool {
        if self.ended_at.is_some() {
            return false;
        }
        if !self.reads_stdin {
            return true;
        }
        let idle = self.line.is_none() && self.returned.is_empty() && self.asked.is_none();
        let enough = !self.pattern.receives() && self.count.is_some_and(|count| self.sent >= count);
        let somebody = match self.pattern.sends() {
            Sends::Reply => self.answering.is_some(),
            // The first peer is waited for. Later, what nobody wants is dropped.
            Sends::Matching => self.met,
            _ => !self.table.is_empty(),
        };
        idle && !enough && somebody
    }

    /// Until when a publisher waits for the subscriptions of new peers.
    fn settled_at(&self) -> Option<Instant> {
        (self.pattern.sends() == Sends::Matching).then(|| self.table.settled_at()).flatten()
    }

    fn quits_at(&self) -> Option<Instant> {
        match (self.ended_at, self.quit_after) {
            (Some(at), Some(QuitAfter::Time(time))) => at.checked_add(time),
            _ => None,
        }
    }

    fn is_done(&self) -> bool {
        let counted = if self.pattern.receives() { self.received } else { self.sent };
        let idle = self.line.is_none() && self.returned.is_empty() && self.asked.is_none();
        if self.count.is_some_and(|count| counted >= count) {
            // The answer to the last request is still owed, if there is somebody to write it.
            return idle && (self.answering.is_none() || self.ended_at.is_some());
        }
        let Some(ended_at) = self.ended_at else { return false };
        match self.quit_after {
            Some(QuitAfter::Never) => false,
            Some(QuitAfter::Time(time)) => idle && ended_at.elapsed() >= time,
            // What was asked for has not come yet.
            None if self.count.is_some() && self.pattern.receives() => false,
            None => idle,
        }
    }

    /// Gives what waits to those it is for, as far as they have room.
    fn dispatch(&mut self) {
        while let Some(message) = self.returned.pop_front() {
            if let Err(message) = self.give_in_turn(message) {
                self.returned.push_front(message);
                break;
            }
        }
        let Some(Line { outgoing, to }) = self.line.take() else { return };
        self.line = match to {
            To::InTurn => match outgoing {
                Outgoing::Message(message) => self.give_in_turn(message).err().map(Outgoing::Message),
                command @ Outgoing::Command(_) => Some(command),
            }
            .map(|outgoing| Line { outgoing, to: To::InTurn }),
            To::Named(name) => match self.table.named(&name) {
                Some(id) => self.table.give(id, outgoing).err(),
                None => Some(outgoing),
            }
            .map(|outgoing| Line { outgoing, to: To::Named(name) }),
            To::LastHeard => match self.heard.filter(|&id| self.table.contains(id)).or_else(|| self.table.only()) {
                Some(id) => self.table.give(id, outgoing).err(),
                None => Some(outgoing),
            }
            .map(|outgoing| Line { outgoing, to: To::LastHeard }),
            To::Each(mut ids) => {
                ids.retain(|&id| self.table.contains(id) && self.table.give(id, outgoing.clone()).is_err());
                (!ids.is_empty()).then_some(Line { outgoing, to: To::Each(ids) })
            }
        };
        if self.line.is_none() {
            self.sent += 1;
        }
    }

    fn give_in_turn(&mut self, message: Message) -> Result<(), Message> {
        match self.table.give_in_turn(Outgoing::Message(message.clone())) {
            Ok(id) => {
                if self.pattern.is(SocketType::Req) {
                    self.asked = Some((id, message));
                }
                Ok(())
            }
            Err(_) => Err(message),
        }
    }

    /// A line came, or stdin ended.
    fn stdin(&mut self, line: Option<Vec<u8>>) -> Verdict {
        let Some(line) = line else {
            self.ended_at = Some(Instant::now());
            return Ok(());
        };
        if !self.reads_stdin {
            return Ok(());
        }
        let usage = |problem: String| {
            self.events.fatal(&Failed::new("input", problem), false);
            code::USAGE
        };
        let mut parts = self.format.parse(line).map_err(usage)?;
        self.pattern.check(&parts).map_err(usage)?;
        let to = match self.pattern.sends() {
            Sends::Nothing => return Ok(()),
            Sends::InTurn => {
                if self.pattern.is(SocketType::Req) {
                    parts.insert(0, Bytes::new());
                }
                To::InTurn
            }
            Sends::Named => {
                let name = parts.remove(0);
                if parts.is_empty() {
                    parts.push(Bytes::new());
                }
                To::Named(name)
            }
            Sends::LastHeard => To::LastHeard,
            Sends::Matching => {
                let exact = self.pattern.is(SocketType::Radio);
                To::Each(self.table.matching(parts.first().map_or(&[], |first| first), exact))
            }
            Sends::All => To::Each(self.table.ids()),
            Sends::Reply => {
                let Some((from, envelope)) = self.answering.take() else { return Ok(()) };
                parts.splice(0..0, envelope);
                self.next_request()?;
                To::Each(vec![from])
            }
        };
        self.line = outgoing(parts, self.pattern).map(|outgoing| Line { outgoing, to });
        Ok(())
    }

    /// A peer's task has news.
    fn input(&mut self, input: Input) -> Verdict {
        match input {
            Input::Ready { id, peer, outbox } => {
                // Dropping its outbox is what ends a connection, gently.
                if !self.pattern.is_exclusive() || self.table.is_empty() {
                    self.met |= self.table.add(id, &peer, outbox);
                }
                Ok(())
            }
            Input::Event { id, .. } if !self.table.contains(id) => Ok(()),
            Input::Event { id, event } => self.event(id, event),
            Input::Gone { id, end, unsent } => self.gone(id, end, unsent),
        }
    }

    fn event(&mut self, id: u64, event: Event) -> Verdict {
        let publishes = self.pattern.sends() == Sends::Matching;
        let Ok(subscribed) = (if publishes { self.table.note(id, &event) } else { Ok(false) }) else {
            // Without its outbox the connection ends.
            self.table.remove(id);
            return Ok(());
        };
        if self.pattern.is(SocketType::Xpub) && subscribed {
            // However it came, it is shown in the form of a message.
            let Some(subscription) = event.subscription() else { return Ok(()) };
            let mut body = Vec::with_capacity(subscription.message_body_len());
            subscription.encode_message_body(&mut body);
            return self.show(&[body.into()]);
        }
        let Event::Message(message) = event else { return Ok(()) };
        if self.pattern.receives() { self.message(id, message.into_parts()) } else { Ok(()) }
    }

    fn message(&mut self, from: u64, mut parts: Vec<Bytes>) -> Verdict {
        self.heard = Some(from);
        if self.pattern.is(SocketType::Router) {
            parts.insert(0, self.table.name(from).unwrap_or_default());
        }
        if self.pattern.is(SocketType::Sub) && !self.wants_to_hear(parts.first().map_or(&[], |first| first)) {
            return Ok(());
        }
        if self.pattern.is(SocketType::Req) {
            // Only the answer to our question counts; it comes behind an empty part.
            if self.asked.as_ref().is_none_or(|(id, _)| *id != from) {
                return Ok(());
            }
            let Some(delimiter) = parts.iter().position(Bytes::is_empty).filter(|&at| at == 0) else {
                self.table.remove(from);
                return Ok(());
            };
            parts.drain(..=delimiter);
            self.asked = None;
        }
        if self.pattern.is(SocketType::Rep) {
            // A request without a delimiter is no request.
            let Some(delimiter) = parts.iter().position(Bytes::is_empty) else { return Ok(()) };
            let body = parts.split_off(delimiter + 1);
            self.requests.push_back(Request { from, envelope: parts, body });
            return self.next_request();
        }
        self.show(&parts)
    }

    /// A SUB filters what it gets: a publisher may send more than was asked for.
    fn wants_to_hear(&self, first: &[u8]) -> bool {
        self.topics.is_empty() || self.topics.iter().any(|topic| first.starts_with(topic.as_bytes()))
    }

    /// A REP takes up its next request, once the one before is answered.
    fn next_request(&mut self) -> Verdict {
        while self.answering.is_none() {
            if self.count.is_some_and(|count| self.received >= count) {
                return Ok(());
            }
            let Some(Request { from, envelope, body }) = self.requests.pop_front() else { return Ok(()) };
            if !self.table.contains(from) {
                continue;
            }
            // Echoes are sent by the peer's own task, and after the end of stdin there is nothing to answer with.
            if self.reads_stdin && self.ended_at.is_none() {
                self.answering = Some((from, envelope));
            }
            self.show(&body)?;
        }
        Ok(())
    }

    fn show(&mut self, parts: &[Bytes]) -> Verdict {
        if self.pattern.receives() && self.count.is_some_and(|count| self.received >= count) {
            return Ok(());
        }
        self.received += 1;
        // When nobody reads any more, there is nobody to tell either.
        if print(&self.format.line(parts)) { Ok(()) } else { Err(code::DONE) }
    }

    fn gone(&mut self, id: u64, end: End, unsent: Vec<Outgoing>) -> Verdict {
        self.table.remove(id);
        if self.answering.as_ref().is_some_and(|(from, _)| *from == id) {
            self.answering = None;
            self.next_request()?;
        }
        if self.asked.as_ref().is_some_and(|(to, _)| *to == id) {
            // Put to the next peer, whether this one has read it or not.
            self.returned.extend(self.asked.take().map(|(_, question)| question));
        } else if self.pattern.sends() == Sends::InTurn {
            self.returned.extend(unsent.into_iter().filter_map(|outgoing| match outgoing {
                Outgoing::Message(message) => Some(message),
                Outgoing::Command(_) => None,
            }));
        } else if !unsent.is_empty() && self.pattern.sends() != Sends::Matching {
            self.problem = true;
        }
        if !self.connects {
            return Ok(());
        }
        // A connector has one connection, and that was it.
        let undone = self.line.is_some() || !self.returned.is_empty() || self.problem || !self.is_counted();
        match end {
            End::Clean if !undone => Err(code::DONE),
            End::Clean => {
                let cause = "the peer closed the connection before everything was done";
                self.events.fatal(&Failed::new("connection", cause), false);
                Err(code::FAILED)
            }
            End::Failed { failed } => {
                self.events.fatal(&failed, true);
                Err(code::FAILED)
            }
        }
    }

    /// Whether as many messages came or went as were asked for, if they were counted at all.
    fn is_counted(&self) -> bool {
        let counted = if self.pattern.receives() { self.received } else { self.sent };
        self.count.is_none_or(|count| counted >= count)
    }

    /// Lets every peer have what waits for it, then closes.
    async fn finish(mut self, mut incoming: mpsc::Receiver<Input>, finish: &watch::Sender<bool>) -> i32 {
        let mut left = self.table.ids();
        self.table.clear();
        let _ = finish.send(true);
        while !left.is_empty() {
            let Some(input) = incoming.recv().await else { break };
            if let Input::Gone { id, end, unsent } = input
                && left.contains(&id)
            {
                left.retain(|&other| other != id);
                self.problem |= !unsent.is_empty();
                if let (End::Failed { failed }, false) = (end, unsent.is_empty()) {
                    self.events.fatal(&failed, true);
                }
            }
        }
        if self.problem { code::FAILED } else { code::DONE }
    }
}

async fn next_line(lines: &mut Option<Lines>) -> Option<Vec<u8>> {
    match lines {
        Some(lines) => lines.next().await,
        None => std::future::pending().await,
    }
}

/// The parts as something to send: for an XSUB, what looks like a subscription is one.
fn outgoing(parts: Vec<Bytes>, pattern: Pattern) -> Option<Outgoing> {
    if let ([body], true) = (parts.as_slice(), pattern.is(SocketType::Xsub))
        && let Some(subscription) = Subscription::from_message(body)
    {
        return Some(Outgoing::Command(subscription.into_command()));
    }
    Message::from_parts(parts).map(Outgoing::Message)
}
