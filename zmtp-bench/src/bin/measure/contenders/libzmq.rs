//! libzmq 4.3.5, the reference implementation in C++, with its defaults but for the limits of its queues.

use super::{Contender, Kind};
use crate::drive::{End, Over};
use crate::job::{Job, Mechanism, Role, Scenario, Transport};
use crate::meeting::Meeting;
use anyhow::{Result, bail};
use std::hint::black_box;
use std::time::{Duration, Instant};
use zmtp_bench::peers::libzmq::{Context, Message, Socket, SocketKind, curve_public, version};

/// Z85 of two secret keys of no secrecy.
const SERVER_SECRET: &str = "JTKVSB%%)wK0E.X)V>+}o?pNmC{O&4W4b!Ni{Lh6";
const CLIENT_SECRET: &str = "D:)Q[IlAW!ahhC2ac:9*A}h:p?([4%wOTJ%JR%cs";
/// A subscription is one message more, and it comes first.
const SUBSCRIPTION: &[u8] = b"\x01";

pub(super) fn contenders() -> Vec<Contender> {
    let (major, minor, patch) = version();
    // What the caller hands over is copied, or lent for ever.
    ["copy", "zero-copy"]
        .into_iter()
        .map(|mode| Contender {
            peer: "libzmq",
            version: format!("{major}.{minor}.{patch}"),
            mode,
            kind: Kind::SelfFlushing,
            scenarios: if mode == "copy" { Scenario::ALL } else { &[Scenario::Throughput] },
            mechanisms: &[Mechanism::Null, Mechanism::Curve],
            transports: Transport::HERE,
            connections: 1000,
            open,
        })
        .collect()
}

fn open(job: &Job, mode: &'static str, role: Role, meeting: &Meeting) -> Result<End> {
    let context = Context::new()?;
    let payload: &'static [u8] = Vec::leak(vec![7; job.size]);
    if role == Role::Visit {
        meeting.wait();
        let (job, endpoint) = (job.clone(), meeting.endpoint());
        return Ok(Box::new(move |count, _| visit(&context, &job, &endpoint, payload, count)));
    }
    let sockets =
        if role.binds() { vec![bind(&context, job, role, meeting)?] } else { connect(&context, job, role, meeting)? };
    Ok(match role {
        Role::Send => {
            let lends = mode == "zero-copy";
            Box::new(move |count, _: &Over| send(&sockets, payload, lends, count))
        }
        Role::Receive => Box::new(move |count, _| receive(&sockets[0], count)),
        Role::Subscribe => Box::new(move |count, _| {
            sockets.iter().try_for_each(|socket| receive(socket, count).map(drop))?;
            Ok(Vec::new())
        }),
        Role::Publish => Box::new(move |count, _| send(&sockets, payload, false, count)),
        Role::Ask => Box::new(move |count, _| ask(&sockets[0], payload, count)),
        Role::Echo => Box::new(move |count, _| echo(&sockets[0], count)),
        Role::Host => Box::new(move |count, _| host(&sockets[0], count)),
        Role::Visit => bail!("visits are made above"),
    })
}

fn socket(context: &Context, job: &Job, role: Role) -> Result<Socket> {
    let kind = match role {
        Role::Send => SocketKind::Push,
        Role::Receive => SocketKind::Pull,
        Role::Ask | Role::Echo | Role::Visit => SocketKind::Dealer,
        // It answers many: it has to know whom.
        Role::Host => SocketKind::Router,
        Role::Publish => SocketKind::Xpub,
        Role::Subscribe => SocketKind::Sub,
    };
    let socket = context.socket(kind)?;
    socket.set_sndhwm(0)?;
    socket.set_rcvhwm(0)?;
    socket.set_linger(Duration::ZERO)?;
    if role == Role::Publish {
        // Each subscription is to be seen, though they are all the same.
        socket.set_xpub_verbose(true)?;
    }
    if job.mechanism == Mechanism::Curve {
        if role.binds() {
            socket.set_curve_server(true)?;
            socket.set_curve_secretkey(SERVER_SECRET)?;
        } else {
            socket.set_curve_serverkey(curve_public(SERVER_SECRET)?)?;
            socket.set_curve_publickey(curve_public(CLIENT_SECRET)?)?;
            socket.set_curve_secretkey(CLIENT_SECRET)?;
        }
    }
    Ok(socket)
}

fn bind(context: &Context, job: &Job, role: Role, meeting: &Meeting) -> Result<Socket> {
    let socket = socket(context, job, role)?;
    socket.bind(&meeting.endpoint())?;
    meeting.announce();
    if role == Role::Publish {
        let mut message = Message::new();
        for _ in 0..job.connections {
            socket.recv_message(&mut message)?;
            anyhow::ensure!(message.body() == SUBSCRIPTION, "a subscription was expected");
        }
    }
    Ok(socket)
}

/// A socket for each connection: one that connects twice would share the work out, and has one queue.
fn connect(context: &Context, job: &Job, role: Role, meeting: &Meeting) -> Result<Vec<Socket>> {
    meeting.wait();
    let connect = |_| {
        let socket = socket(context, job, role)?;
        if role == Role::Subscribe {
            socket.subscribe(b"")?;
        }
        socket.connect(&meeting.endpoint())?;
        Ok(socket)
    };
    (0..job.connections).map(connect).collect()
}

fn send(sockets: &[Socket], payload: &'static [u8], lends: bool, count: u64) -> Result<Vec<u64>> {
    for (socket, _) in sockets.iter().cycle().zip(0..count) {
        if lends {
            socket.send_message(Message::from_static(payload), false)?;
        } else {
            socket.send_raw(payload, false)?;
        }
    }
    Ok(Vec::new())
}

fn receive(socket: &Socket, count: u64) -> Result<Vec<u64>> {
    let mut message = Message::new();
    for _ in 0..count {
        socket.recv_message(&mut message)?;
        black_box(message.body());
    }
    Ok(Vec::new())
}

fn ask(socket: &Socket, payload: &[u8], count: u64) -> Result<Vec<u64>> {
    let mut message = Message::new();
    let mut took = Vec::new();
    for _ in 0..count {
        let begun = Instant::now();
        socket.send_raw(payload, false)?;
        socket.recv_message(&mut message)?;
        took.push(u64::try_from(begun.elapsed().as_nanos())?);
    }
    Ok(took)
}

fn echo(socket: &Socket, count: u64) -> Result<Vec<u64>> {
    for _ in 0..count {
        let mut message = Message::new();
        socket.recv_message(&mut message)?;
        socket.send_message(message, false)?;
    }
    Ok(Vec::new())
}

fn host(socket: &Socket, count: u64) -> Result<Vec<u64>> {
    for _ in 0..count {
        let parts = socket.recv()?;
        let parts: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
        socket.send(&parts)?;
    }
    Ok(Vec::new())
}

fn visit(context: &Context, job: &Job, endpoint: &str, payload: &[u8], count: u64) -> Result<Vec<u64>> {
    let mut took = Vec::new();
    for _ in 0..count {
        let begun = Instant::now();
        let socket = socket(context, job, Role::Visit)?;
        socket.connect(endpoint)?;
        socket.send_raw(payload, false)?;
        socket.recv_message(&mut Message::new())?;
        took.push(u64::try_from(begun.elapsed().as_nanos())?);
    }
    Ok(took)
}
