//! Who gets which line, which message is printed, and when it is over.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{Notify, mpsc, watch};
use tokio::time::{Instant, sleep_until};
use zmtp_connection::codec::{SocketType, Subscription};
use zmtp_connection::{Event, Message};

use crate::args::{QuitAfter, Settings, Side};
use crate::code;
use crate::events::{Events, Failed};
use crate::lines::{Format, Lines, print};
use crate::pattern::{Pattern, Sends};
use crate::peer::{End, Input, Outgoing};
use crate::table::Table;

/// Requests that may wait for a REP to answer them.
const REQUESTS: usize = 64;
/// How long a line waits for a peer that reads nothing, while others wait for theirs.
const STALLED: Duration = Duration::from_secs(5);
/// How long a line of a publisher waits for peers that may be about to subscribe.
const PATIENCE: Duration = Duration::from_millis(200);

/// Who decides.
pub(crate) struct Engine {
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
    /// Since when the line waits for peers that have no room for it.
    held_up_since: Option<Instant>,
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
    /// Those who turn out to have subscribed to it, some time after it was read.
    Matching(Instant),
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
    pub(crate) fn new(settings: &Settings, topics: Vec<String>) -> Self {
        let pattern = settings.pattern;
        Self {
            pattern,
            format: settings.format.clone(),
            count: settings.count,
            quit_after: settings.quit_after,
            reads_stdin: !settings.echo && pattern.sends() != Sends::Nothing,
            events: Events { wanted: settings.events },
            connects: matches!(settings.side, Side::Connect(_)),
            topics,
            table: Table::new(pattern.is(SocketType::Router)),
            met: false,
            line: None,
            held_up_since: None,
            returned: VecDeque::new(),
            asked: None,
            heard: None,
            requests: VecDeque::new(),
            answering: None,
            received: 0,
            sent: 0,
            ended_at: None,
            problem: false,
        }
    }

    /// Runs until all is done or something is wrong, and says which. `room` tells that an outbox has room again,
    /// `finish` tells the peers' tasks to come to an end.
    pub(crate) async fn run(
        mut self,
        mut incoming: mpsc::Receiver<Input>,
        room: &Notify,
        finish: &watch::Sender<bool>,
    ) -> i32 {
        let mut lines = self.watches_stdin().then(Lines::start);
        loop {
            self.dispatch();
            if self.is_done() {
                return self.finish(incoming, finish).await;
            }
            let mut verdict = Ok(());
            let line = lines.as_mut().and_then(|lines| self.next_line(lines));
            if let Some(line) = line {
                verdict = self.stdin(line);
            } else {
                let stalled_at = self.held_up_since.map(|since| since + STALLED).filter(|&at| at > Instant::now());
                let wake = [self.quits_at(), self.settled_at(), stalled_at].into_iter().flatten().min();
                tokio::select! {
                    Some(input) = incoming.recv(), if self.requests.len() < REQUESTS => verdict = self.input(input),
                    more = fetch(&mut lines) => if !more { self.ended_at = Some(Instant::now()) },
                    () = room.notified() => {}
                    () = sleep_until(wake.unwrap_or_else(Instant::now)), if wake.is_some() => {}
                }
            }
            match verdict {
                Ok(()) => {}
                // The lines before the wrong one are sent.
                Err(code::USAGE) => {
                    self.finish(incoming, finish).await;
                    return code::USAGE;
                }
                Err(code) => return code,
            }
        }
    }

    /// The next line, if one can be taken and is there; otherwise sees to it that one comes.
    fn next_line(&self, lines: &mut Lines) -> Option<Vec<u8>> {
        if self.ended_at.is_some() {
            return None;
        }
        // A REP with nothing to answer wants to know whether it ever will have an answer again.
        let looks_ahead = self.pattern.sends() == Sends::Reply && self.sent > 0;
        let wants = self.wants_line();
        let line = if wants { lines.take() } else { None };
        if line.is_none() && (wants || looks_ahead) {
            lines.ask();
        }
        line
    }

    /// Stdin is read for its lines, or only for its end, where the program is to quit some time after that.
    fn watches_stdin(&self) -> bool {
        self.reads_stdin || (self.pattern.sends() == Sends::Nothing && self.quit_after.is_some())
    }

    /// Whether a line read now could be taken.
    fn wants_line(&self) -> bool {
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

    /// Until when a publisher's line waits for the subscriptions of new peers; `None`: it does not.
    fn settled_at(&self) -> Option<Instant> {
        let Some(Line { to: To::Matching(since), .. }) = &self.line else { return None };
        let patience = *since + PATIENCE;
        self.table.settled_at().map(|at| at.min(patience)).filter(|&at| at > Instant::now())
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
        if self.settled_at().is_some() {
            return;
        }
        let Some(Line { outgoing, mut to }) = self.line.take() else { return };
        if let (To::Matching(_), Outgoing::Message(message)) = (&to, &outgoing) {
            let first = message.parts().first().map_or(&[][..], |first| first);
            to = To::Each(self.table.matching(first, self.pattern.is(SocketType::Radio)));
        }
        self.line = match to {
            To::InTurn => match outgoing {
                Outgoing::Message(message) => self.give_in_turn(message).err().map(Outgoing::Message),
                command @ Outgoing::Command(_) => Some(command),
            }
            .map(|outgoing| Line { outgoing, to: To::InTurn }),
            To::Named(name) => match self.table.named(&name) {
                Some(id) => self.table.give(id, outgoing).err(),
                // A name that was made up does not come back, and others have lines behind this one.
                None if self.table.is_over(&name) => {
                    self.problem = true;
                    None
                }
                None => Some(outgoing),
            }
            .map(|outgoing| Line { outgoing, to: To::Named(name) }),
            To::LastHeard => match self.heard.filter(|&id| self.table.contains(id)).or_else(|| self.table.only()) {
                Some(id) => self.table.give(id, outgoing).err(),
                None => Some(outgoing),
            }
            .map(|outgoing| Line { outgoing, to: To::LastHeard }),
            To::Matching(_) => None,
            To::Each(mut ids) => {
                // Who is leaving gets nothing more, and nobody waits for that.
                ids.retain(|&id| !self.table.is_leaving(id) && self.table.give(id, outgoing.clone()).is_err());
                self.leave_behind(&mut ids);
                (!ids.is_empty()).then_some(Line { outgoing, to: To::Each(ids) })
            }
        };
        if self.line.is_none() {
            self.sent += 1;
            self.held_up_since = None;
        }
    }

    /// A line waits for every peer that is to have it, but one that reads nothing at all must not keep the others from
    /// theirs for ever.
    fn leave_behind(&mut self, ids: &mut Vec<u64>) {
        let others = self.table.ids().iter().any(|id| !ids.contains(id));
        let since = *self.held_up_since.get_or_insert_with(Instant::now);
        if !others || since.elapsed() < STALLED {
            return;
        }
        for id in ids.drain(..) {
            self.events.failed(&format!("#{id}"), &Failed::new("traffic", "the peer reads nothing; it is left behind"));
            self.table.remove(id);
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

    /// A line came.
    fn stdin(&mut self, line: Vec<u8>) -> Verdict {
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
            Sends::Matching => To::Matching(Instant::now()),
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
            Input::Ready { id, peer, address, outbox, noted } => {
                // Said here, so that what is done on hearing it meets an engine that knows the peer.
                self.events.ready(&address, &peer);
                let _ = noted.send(());
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
        } else if !unsent.is_empty() && self.owes() {
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

    /// Whether a message that a lost peer did not get is work left undone. An answer or an echo to somebody who did
    /// not wait for it is not, nor is a publication.
    fn owes(&self) -> bool {
        self.reads_stdin && !matches!(self.pattern.sends(), Sends::Matching | Sends::Reply)
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
                let undone = !unsent.is_empty() && self.owes();
                self.problem |= undone;
                if let (End::Failed { failed }, true) = (end, undone) {
                    self.events.fatal(&failed, true);
                }
            }
        }
        if self.problem { code::FAILED } else { code::DONE }
    }
}

/// Waits for the lines that were asked for; `false` at the end of stdin.
async fn fetch(lines: &mut Option<Lines>) -> bool {
    match lines.as_mut().filter(|lines| lines.asked()) {
        Some(lines) => lines.fetch().await,
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
